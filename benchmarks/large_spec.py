"""OpenAPI documents as large as real ones, valid, and the same every time."""

from __future__ import annotations

from typing import Any

UUID = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"
WORDS = ["amount", "billing", "currency", "customer", "delivery", "invoice", "order", "refund"]


def large_spec(version: str = "3.1.0", schemas: int = 600, fields: int = 30) -> dict[str, Any]:
    """A document with as many schemas, and two paths for every second one.

    Args:
        version: Of OpenAPI, e.g. ``"3.0.3"``.
        schemas: About 7 kB of JSON each, with its operations.
        fields: Of each schema.
    """
    definitions = {f"Model{number}": _schema(number, schemas, fields) for number in range(schemas)}
    paths: dict[str, Any] = {}
    for number in range(0, schemas, 2):
        paths[f"/models{number}"] = {"get": _list(number), "post": _create(number)}
        paths[f"/models{number}/{{id}}"] = {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": _read(number),
        }
    return {
        "openapi": version,
        "info": {"title": "A large one", "version": "1.0.0", "description": _prose(7)},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**definitions, "Problem": _problem()},
            "parameters": {
                "Id": {
                    "name": "id",
                    "in": "path",
                    "required": True,
                    "description": _prose(3),
                    "schema": {"type": "string", "format": "uuid"},
                    "example": UUID,
                }
            },
            "responses": {
                "Problem": {
                    "description": _prose(2),
                    "content": _json({"$ref": "#/components/schemas/Problem"}),
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _prose(start: int, words: int = 14) -> str:
    chosen = [WORDS[(start * 7 + i * 3) % len(WORDS)] for i in range(words)]
    return f"{' '.join(chosen).capitalize()}."


def _json(schema: dict[str, Any], example: object = None) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": schema}
    if example is not None:
        media["example"] = example
    return {"application/json": media}


def _schema(number: int, schemas: int, fields: int) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "id": {"type": "string", "format": "uuid", "description": _prose(number)},
        "next": {"$ref": f"#/components/schemas/Model{(number * 7 + 1) % schemas}"},
        "all": {
            "type": "array",
            "items": {"$ref": f"#/components/schemas/Model{(number * 3 + 2) % schemas}"},
        },
    }
    for at in range(fields):
        properties[f"{WORDS[at % len(WORDS)]}_{at}"] = _field(number + at)
    return {
        "type": "object",
        "description": _prose(number, 30),
        "required": ["id", "amount_0"],
        "properties": properties,
    }


def _field(number: int) -> dict[str, Any]:
    description = _prose(number)
    match number % 5:
        case 0:
            return {"type": "integer", "minimum": 0, "description": description, "example": number}
        case 1:
            text = f"text-{number}"
            return {
                "type": "string",
                "pattern": "^[a-z]+-[0-9]+$",
                "description": description,
                "example": text,
            }
        case 2:
            return {"type": "string", "enum": WORDS, "description": description}
        case 3:
            return {"type": "boolean", "default": False, "description": description}
        case _:
            at = "2026-01-31T12:30:00Z"
            return {
                "type": "string",
                "format": "date-time",
                "description": description,
                "example": at,
            }


def _example(number: int) -> dict[str, Any]:
    amount: dict[int, object] = {0: 3, 1: "text-1", 2: "order", 3: True, 4: "2026-01-31T12:30:00Z"}
    return {"id": UUID, "amount_0": amount[number % 5], "all": []}


def _responses(status: str, schema: dict[str, Any], example: object) -> dict[str, Any]:
    return {
        status: {"description": _prose(5), "content": _json(schema, example)},
        "404": {"$ref": "#/components/responses/Problem"},
        "default": {"$ref": "#/components/responses/Problem"},
    }


def _list(number: int) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/Model{number}"}
    limit = {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    return {
        "operationId": f"list{number}",
        "summary": _prose(number, 5),
        "parameters": [{"name": "limit", "in": "query", "schema": limit, "example": 10}],
        "responses": _responses("200", {"type": "array", "items": reference}, [_example(number)]),
    }


def _create(number: int) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/Model{number}"}
    return {
        "operationId": f"create{number}",
        "summary": _prose(number, 5),
        "requestBody": {"required": True, "content": _json(reference, _example(number))},
        "responses": _responses("201", reference, _example(number)),
    }


def _read(number: int) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/Model{number}"}
    return {
        "operationId": f"read{number}",
        "summary": _prose(number, 5),
        "responses": _responses("200", reference, _example(number)),
    }


def _problem() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["title"],
        "properties": {"title": {"type": "string"}, "status": {"type": "integer"}},
        "example": {"title": "It is not there.", "status": 404},
    }
