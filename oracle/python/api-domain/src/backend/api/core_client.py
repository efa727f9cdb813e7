"""How the API asks core, by the contract docs/contracts/core-api.json or its draft."""

from __future__ import annotations

from uuid import UUID

import httpx
from models import QueryResponse
from pydantic import ValidationError


class CoreUnavailable(Exception):
    """Core gave no answer that can be passed on."""

    def __init__(self, why: object) -> None:
        super().__init__(f"core gave no answer that can be passed on: {why!r}")


class CoreClient:
    """Core's internal API."""

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        # A transport of our own also means: no proxy from the environment.
        self._http = httpx.AsyncClient(
            base_url=base_url, transport=transport or httpx.AsyncHTTPTransport(), timeout=10.0
        )

    async def query(self, question: str, interaction_id: UUID) -> QueryResponse:
        """Put a question to core.

        Raises:
            CoreUnavailable: Core cannot be reached, refuses, or breaks the contract.
        """
        asked = {"question": question, "interaction_id": str(interaction_id)}
        try:
            answer = (await self._http.post("/internal/query", json=asked)).raise_for_status()
            response = QueryResponse.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise CoreUnavailable(error) from error
        if response.interaction_id != interaction_id:
            raise CoreUnavailable(response.interaction_id)
        return response
