"""The public API: a person's question in, what became of it out."""

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import uuid4

import problems
import validators
from core_client import CoreClient, CoreUnavailable
from fastapi import APIRouter, Request, Response
from models import QueryResponse

_QUESTION = {"type": "string", "minLength": 1, "maxLength": validators.MAX_LENGTH}
_REQUEST = {"type": "object", "required": ["question"], "properties": {"question": _QUESTION}}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {
        "description": "The question cannot be taken; says what is wrong with it",
        "content": {problems.ProblemResponse.media_type: {"schema": problems.SCHEMA}},
    },
    502: {"description": "Core cannot be asked", "model": QueryResponse},
}


def routes(core: CoreClient) -> APIRouter:
    """The operations of the API, answered by core."""
    router = APIRouter()

    @router.post(
        "/api/query",
        operation_id="query",
        response_model=QueryResponse,
        responses=_RESPONSES,
        openapi_extra=_BODY,
    )
    async def query(request: Request, response: Response) -> Response | QueryResponse:
        """Answer a question."""
        body = _parsed(await request.body())
        if broken := validators.broken_rules(body):
            return problems.refuse(broken)
        interaction_id = uuid4()
        response.headers["X-Interaction-Id"] = str(interaction_id)
        try:
            return await core.query(body["question"].strip(), interaction_id)
        except CoreUnavailable as unavailable:
            logging.getLogger("api").warning("%s: %s", interaction_id, unavailable)
            response.status_code = 502
            return QueryResponse.failed(interaction_id)

    return router


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
