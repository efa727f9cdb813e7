"""OpenAPI documents for the tests: a valid one, and the same with defects planted."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

VERSIONS = ("3.0.3", "3.1.0", "3.2.0")
GONE = object()
ASK = "/paths/~1items~1{id}~1ask/post"
BODY = f"{ASK}/requestBody/content/application~1json/schema"


def a_contract(version: str = "3.1.0") -> dict[str, Any]:
    """A small valid document with one of everything."""
    return {
        "openapi": version,
        "info": {"title": "Core", "version": "1"},
        "paths": {
            "/health": {
                "get": {
                    "operationId": "health",
                    "responses": {"200": {"description": "It is up."}},
                }
            },
            "/items/{id}/ask": {
                "parameters": [{"$ref": "#/components/parameters/Id"}],
                "post": {
                    "operationId": "ask",
                    "parameters": [{"name": "k", "in": "query", "schema": {"type": "integer"}}],
                    "requestBody": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {"question": {"type": "string"}},
                                    "example": {"$ref": "http://example.invalid/not-a-reference"},
                                }
                            }
                        }
                    },
                    "responses": {
                        "2XX": {
                            "description": "An answer.",
                            "content": {
                                "application/json": {
                                    "schema": {"$ref": "#/components/schemas/Answer"}
                                }
                            },
                        },
                        "default": {"description": "A problem."},
                    },
                },
            },
        },
        "components": {
            "parameters": {
                "Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
            },
            "schemas": {
                "Answer": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "follow_ups": {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/Answer"},
                        },
                    },
                }
            },
        },
    }


def planted(document: dict[str, Any], pointer: str, value: object) -> dict[str, Any]:
    """A copy of the document with one place changed, or taken away by ``GONE``."""
    copy = deepcopy(document)
    *keys, last = [k.replace("~1", "/").replace("~0", "~") for k in pointer.split("/")[1:]]
    place: Any = copy
    for key in keys:
        place = place[int(key) if isinstance(place, list) else key]
    if isinstance(place, list):
        place[int(last)] = value
    elif value is GONE:
        del place[last]
    else:
        place[last] = value
    return copy
