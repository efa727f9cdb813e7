"""How core refuses a request: 400 with a problem document, RFC 9457."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT = {"type": "string"}
_ERRORS = {"type": "array", "items": _object(name=_TEXT, reason=_TEXT)}
_PROBLEM = _object(type=_TEXT, title=_TEXT, status={"type": "integer"}, errors=_ERRORS)

# "default" keeps FastAPI from documenting a 422 that never happens here.
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {
        "description": "The request cannot be taken; says what is wrong with which field",
        "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
    },
    "default": {"description": "The service failed"},
}


async def refuse(_request: Request, refused: RequestValidationError) -> JSONResponse:
    """Turn what FastAPI found wrong with a request into a problem document."""
    errors = [{"name": _name(e["loc"]), "reason": e["msg"]} for e in refused.errors()]
    problem = {"type": "about:blank", "title": "Bad Request", "status": 400, "errors": errors}
    return JSONResponse(problem, status_code=400, media_type=MEDIA_TYPE)


def _name(location: tuple[str | int, ...]) -> str:
    # Malformed JSON is reported at an offset of the body, a field at its name.
    fields = [part for part in location[1:] if isinstance(part, str)]
    return ".".join(fields) or "body"


HANDLERS: dict[int | type[Exception], Any] = {RequestValidationError: refuse}
