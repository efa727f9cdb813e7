"""How the frontend asks the public API."""

from __future__ import annotations

from typing import Any

import httpx
from models import QueryResponse
from pydantic import TypeAdapter, ValidationError

_RESPONSE = TypeAdapter(QueryResponse)


class ApiUnavailable(Exception):
    """The API gave no answer that can be shown."""

    def __init__(self, why: object) -> None:
        super().__init__(f"the API gave no answer that can be shown: {why!r}")


class QuestionRefused(Exception):
    """The API does not take the question; ``reasons`` are sentences for the person who asked."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class ApiClient:
    """The public API."""

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url, timeout=15.0, transport=transport or httpx.AsyncHTTPTransport()
        )

    async def ask(self, question: str) -> QueryResponse:
        """Put a question to the API.

        Raises:
            QuestionRefused: The API answered 400.
            ApiUnavailable: It cannot be reached, or breaks the contract.
        """
        try:
            answer = await self._http.post("/api/query", json={"question": question})
            if answer.status_code == httpx.codes.BAD_REQUEST:
                raise QuestionRefused(_reasons(answer.json()))
            return _RESPONSE.validate_json(answer.content)
        except (httpx.HTTPError, ValidationError, ValueError, LookupError, TypeError) as error:
            raise ApiUnavailable(error) from error


def _reasons(problem: Any) -> list[str]:
    return [f"{error['name']} {error['reason']}" for error in problem["errors"]]
