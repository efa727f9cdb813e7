"""Whether a service keeps to what it has published, found out by asking it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_orchestrator._checks.conformance.asks import NothingToAsk, explicit_asks, generated_asks
from pytest_orchestrator._checks.conformance.judgement import CURES, Answer
from pytest_orchestrator._checks.conformance.process import check_conforms
from pytest_orchestrator._checks.conformance.promises import Promise, Schema, promises
from pytest_orchestrator._checks.conformance.requests import Ask, Request
from pytest_orchestrator._checks.conformance.search import Bounds, conform
from pytest_orchestrator._checks.contracts import PublishedContract
from pytest_orchestrator._domain.plan import Live
from pytest_orchestrator._domain.verdict import Finding

Send = Callable[[Request], Answer]
Change = Callable[[Request, Answer], Answer]

BODY = {
    "type": "object",
    "required": ["question"],
    "properties": {
        "question": {"type": "string", "minLength": 1, "maxLength": 80},
        "tone": {"enum": ["short", "long"]},
        "top": {"type": "integer", "minimum": 1, "maximum": 50},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    },
}
ANSWER = {
    "type": "object",
    "required": ["status", "text", "id"],
    "properties": {
        "status": {"enum": ["answered", "unknown"]},
        "text": {"type": ["string", "null"]},
        "id": {"type": "string", "format": "uuid"},
    },
}
PROBLEM = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}}
ID = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"


def described(schema: object, media_type: str = "application/json") -> dict[str, Any]:
    """An answer with a body."""
    return {"description": "It.", "content": {media_type: {"schema": schema}}}


def a_document(**responses: object) -> dict[str, Any]:
    """One operation with parameters in each place, and a body."""
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}},
        {"name": "X-Tenant", "in": "header", "required": True, "schema": {"enum": ["a", "b"]}},
    ]
    operation = {
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": {"schema": BODY}}},
        "responses": {
            "200": described(ANSWER),
            "400": described(PROBLEM, "application/problem+json"),
            **{key.removeprefix("_"): value for key, value in responses.items()},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Items", "version": "1"},
        "paths": {"/items/{id}/ask": {"post": operation}},
    }


def answer(status: int, body: object, media_type: str = "application/json") -> Answer:
    """An answer in JSON."""
    return Answer(status, {"content-type": media_type}, json.dumps(body).encode())


def is_right(request: Request) -> bool:
    """Whether a service that keeps to the document takes a request."""
    target = urlsplit(request.target)
    item = target.path.split("/")[2]
    limit = parse_qs(target.query).get("limit", ["1"])[0]
    headers = dict(request.headers)
    try:
        body = json.loads(request.body or b"")
        numbers = int(item) >= 1 and int(limit) <= 9
    except ValueError:
        return False
    tenant = headers.get("X-Tenant") in {"a", "b"}
    return numbers and tenant and Draft202012Validator(BODY).is_valid(body)


def keeps_to_it(request: Request) -> Answer:
    """A service without a defect, which takes no text of nothing but blanks."""
    if not is_right(request) or not json.loads(request.body or b"")["question"].strip():
        return answer(400, {"title": "Bad Request"}, "application/problem+json")
    return answer(200, {"status": "unknown", "text": None, "id": ID})


def changed(change: Change) -> Send:
    """The same service with one thing changed."""
    return lambda request: change(request, keeps_to_it(request))


def heard(send: Send, asked: list[Request]) -> Send:
    """The same service, and a list of what it is asked."""

    def listen(request: Request) -> Answer:
        asked.append(request)
        return send(request)

    return listen


def question(request: Request) -> str:
    """The question that is asked; empty if there is none."""
    try:
        asked = json.loads(request.body or b"").get("question", "")
    except (ValueError, AttributeError):
        return ""
    return asked if isinstance(asked, str) else ""


def when(told: Callable[[str], bool], other: Answer) -> Send:
    """Another answer to right requests with such a question."""
    return changed(
        lambda request, right: other if right.status == 200 and told(question(request)) else right
    )


def found(send: Send, document: object = None, **more: Any) -> list[Finding]:
    """What is found at a service."""
    operations = list(promises(document or a_document()))
    asked = conform(operations, send, "core", **{"bounds": Bounds(examples=20), **more})
    assert not asked.unasked
    return list(asked.findings)


RIGHT = {"status": "answered", "text": "Because.", "id": ID}
OK = answer(200, RIGHT)
DEFECTS: list[tuple[str, str, Send]] = [
    ("renamed field", "schema", when(lambda _: True, answer(200, {**RIGHT, "id": None}))),
    ("number as text", "schema", when(lambda _: True, answer(200, {**RIGHT, "text": 7}))),
    ("no uuid", "schema", when(lambda _: True, answer(200, {**RIGHT, "id": "nope"}))),
    ("odd enum", "schema", when(lambda q: len(q) == 1, answer(200, {**RIGHT, "status": "odd"}))),
    ("only short", "schema", when(lambda q: "Бчела" in q or q == "-1", answer(200, []))),
    ("text", "content-type", when(lambda _: True, answer(200, RIGHT, "text/plain"))),
    ("no type", "content-type", when(lambda _: True, Answer(200, {}, b"{}"))),
    ("no body", "content-type", when(lambda _: True, Answer(200, OK.headers))),
    ("no JSON", "not-json", when(lambda _: True, Answer(200, OK.headers, b'{"status": NaN}'))),
    ("418", "undocumented-status", when(lambda q: len(q) > 60, answer(418, {}))),
    ("500", "server-error", when(lambda q: not q.isascii(), answer(500, {}))),
    ("500 on NUL", "server-error", when(lambda q: "\0" in q, answer(500, {}))),
    ("refuses", "refuses-valid", when(lambda q: len(q) == 80, keeps_to_it(Request("", "/a/0")))),
    ("gone", "no-answer", when(lambda q: "%" in q, Answer(0, {}, failure="closed"))),
    (
        "422",
        "undocumented-status",
        changed(lambda _, right: replace(right, status=422) if right.status == 400 else right),
    ),
    (
        "takes nothing",
        "accepts-invalid",
        changed(lambda request, right: OK if request.body == b"" else right),
    ),
    (
        "takes empty",
        "accepts-invalid",
        changed(lambda r, right: OK if b'"question": ""' in (r.body or b"") else right),
    ),
    (
        "takes too many",
        "accepts-invalid",
        changed(lambda r, right: OK if b'"top": 51' in (r.body or b"") else right),
    ),
    (
        "takes any limit",
        "accepts-invalid",
        changed(lambda r, right: OK if "limit=10" in r.target else right),
    ),
    (
        "takes any tenant",
        "accepts-invalid",
        changed(lambda r, right: OK if ("X-Tenant", "not valid") in r.headers else right),
    ),
    (
        "500 on null",
        "server-error",
        changed(lambda r, right: answer(500, {}) if r.body == b"null" else right),
    ),
    (
        "500 on large numbers",
        "server-error",
        changed(lambda r, right: answer(500, {}) if len(r.target) > 30 else right),
    ),
]


@pytest.mark.parametrize(("rule", "send"), [d[1:] for d in DEFECTS], ids=[d[0] for d in DEFECTS])
def test_a_planted_defect_is_found(rule: str, send: Send) -> None:
    """Each rule has one finding for an operation, with the operation, the request and the seed."""
    findings = found(send)

    (finding,) = [f for f in findings if f.rule == rule]
    assert finding.where == "core POST /items/{id}/ask"
    assert "POST /items/" in finding.what
    assert "seed 0" in finding.what
    assert finding.cure == CURES[rule]


def test_the_request_that_is_shown_is_the_least_that_shows_it() -> None:
    """Hypothesis has looked for a smaller one: a question one longer than is taken."""
    send = when(lambda q: len(q) > 47, answer(418, {}))

    (finding,) = found(send)

    assert f'"{"x" * 48}"' in finding.what


VARIATIONS: dict[str, tuple[dict[str, Any], Send]] = {
    "none": (a_document(), keeps_to_it),
    "extra field": (
        a_document(),
        changed(lambda _, a: answer(200, {**RIGHT, "more": 1}) if a.status == 200 else a),
    ),
    "charset": (
        a_document(),
        changed(lambda _, a: replace(a, headers={"content-type": _charset(a)})),
    ),
    "key order": (
        a_document(),
        changed(lambda _, a: answer(200, dict(reversed(RIGHT.items()))) if a.status == 200 else a),
    ),
    "422, documented, too": (
        a_document(_422=described(PROBLEM, "application/problem+json")),
        changed(lambda r, a: replace(a, status=422) if a.status == 400 and r.body != b"" else a),
    ),
    "a range": (
        a_document(_400={"description": "No."}, _4XX={"description": "No."}),
        changed(lambda _, a: replace(a, status=409) if a.status == 400 else a),
    ),
    "never seen": (a_document(_404={"description": "No."}), keeps_to_it),
    "gone": (
        a_document(_404={"description": "No such item."}),
        changed(lambda _, a: replace(a, status=404) if a.status == 200 else a),
    ),
    "created": (
        a_document(_201=described(ANSWER)),
        changed(lambda _, a: replace(a, status=201) if a.status == 200 else a),
    ),
    "415 of the framework": (
        a_document(),
        changed(lambda r, a: Answer(415, {}) if ("Content-Type", "text/plain") in r.headers else a),
    ),
    "range of types": (
        a_document(_200={"description": "It.", "content": {"application/*": {"schema": ANSWER}}}),
        keeps_to_it,
    ),
    "undescribed body": (a_document(_200={"description": "It."}), keeps_to_it),
}


def _charset(right: Answer) -> str:
    return f"{right.headers['content-type'].upper()}; charset=utf-8"


@pytest.mark.parametrize(("document", "send"), VARIATIONS.values(), ids=VARIATIONS)
def test_an_honest_variation_is_no_finding(document: dict[str, Any], send: Send) -> None:
    """What a contract leaves open may be done in any way."""
    assert found(send, document) == []


def test_default_covers_refusals_if_nothing_else_does() -> None:
    """A document that describes refusals only by default has told what it does."""
    document = a_document(default=described(PROBLEM, "application/problem+json"))
    send = changed(lambda _, a: replace(a, status=422) if a.status == 400 else a)
    assert [f.rule for f in found(send, document)] == ["undocumented-status"]

    del document["paths"]["/items/{id}/ask"]["post"]["responses"]["400"]

    assert found(send, document) == []


def test_default_does_not_cover_another_success() -> None:
    """Who reads 200 does not read 201, unless nothing but default is documented."""
    document = a_document(default={"description": "It failed."})
    send = changed(lambda _, a: replace(a, status=201) if a.status == 200 else a)
    assert [f.rule for f in found(send, document)] == ["undocumented-status"]

    del document["paths"]["/items/{id}/ask"]["post"]["responses"]["200"]

    assert found(send, document) == []


@pytest.mark.parametrize(
    ("headers", "rules"),
    [({}, ["header"]), ({"x-count": "no"}, ["header"]), ({"x-count": "3"}, [])],
)
def test_a_documented_header_is_sent_as_it_is_documented(
    headers: dict[str, str], rules: list[str]
) -> None:
    """Required headers are there, and fit their schemas."""
    header = {"required": True, "schema": {"type": "integer"}}
    document = a_document(_200={**described(ANSWER), "headers": {"X-Count": header}})
    send = changed(
        lambda _, a: replace(a, headers={**a.headers, **headers}) if a.status == 200 else a
    )

    assert [f.rule for f in found(send, document)] == rules


def test_answers_are_held_against_the_shared_model_too() -> None:
    """What the document leaves open and the shared model does not."""
    model = Schema({"properties": {"text": {"type": "null"}}}, {})
    send = when(lambda _: True, OK)

    (finding,) = found(send, models={"POST /items/{id}/ask": model})

    assert finding.rule == "model"
    assert "#/text" in finding.what


def test_samples_reach_what_random_texts_do_not() -> None:
    """A defect in answers to questions that are answered shows only with such a question."""
    send = when(lambda q: "winter" in q.lower(), answer(200, {**RIGHT, "id": 7}))

    assert found(send) == []
    (finding,) = found(send, samples={"question": ["How warm is winter?"]})
    assert finding.rule == "schema"


def test_time_that_is_over_ends_the_asking() -> None:
    """Bounded by the clock, whatever is left to ask."""
    asked: list[Request] = []

    assert found(heard(keeps_to_it, asked), bounds=Bounds(wall_s=0.0)) == []
    assert asked == []


def test_a_service_that_no_longer_answers_is_not_asked_further() -> None:
    """One request that breaks it is enough."""
    asked: list[Request] = []
    silent = heard(lambda _: Answer(0, {}, failure="closed"), asked)

    assert [f.rule for f in found(silent)] == ["no-answer"]
    assert len(asked) == 1


@pytest.mark.parametrize("seed", [0, 1, 20261125])
@pytest.mark.parametrize("defect", ["odd enum", "418", "500", "takes empty"])
def test_the_same_service_gives_the_same_findings_again(defect: str, seed: int) -> None:
    """Neither the clock nor chance has a say, and the same is asked in the same order."""
    (send,) = (d[2] for d in DEFECTS if d[0] == defect)
    asked: list[list[Request]] = [[], []]
    bounds = Bounds(examples=10, seed=seed)
    results = [found(heard(send, each), bounds=bounds) for each in asked]

    assert results[0] == results[1]
    assert asked[0] == asked[1]


def test_another_seed_asks_something_else() -> None:
    """So that a tree can be asked more than once."""
    asked: list[list[Request]] = [[], []]
    for seed, requests in enumerate(asked):
        found(heard(keeps_to_it, requests), bounds=Bounds(seed=seed))

    assert len({*asked[0]} - {*asked[1]}) > 10


# ---------------------------------------------------------------- what is asked

SCHEMAS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 2, "maxLength": 5},
    {"type": "string", "pattern": "^[a-z]{3}-[0-9]+$"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "email"},
    {"type": "string", "format": "uri"},
    {"type": "string", "format": "ipv6"},
    {"type": "integer", "minimum": -3, "exclusiveMaximum": 9, "multipleOf": 3},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": ["boolean", "null"]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": True},
    {"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 1},
    {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]},
    {"anyOf": [{"$ref": "#/components/schemas/Tree"}, {"type": "null"}]},
    {
        "allOf": [{"$ref": "#/components/schemas/Named"}],
        "properties": {"age": {"type": "integer", "minimum": 0}},
        "required": ["age"],
    },
    {"const": {"a": [1, None]}},
    {},
]
COMPONENTS = {
    "Tree": {
        "type": "object",
        "required": ["value"],
        "properties": {
            "value": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
        },
    },
    "Named": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
}


def a_promise(schema: object, version: str = "3.1.0") -> Promise:
    """An operation whose body is this schema."""
    content = {"application/json": {"schema": schema}}
    operation = {"requestBody": {"required": True, "content": content}, "responses": {}}
    document = {
        "openapi": version,
        "paths": {"/a": {"post": operation}},
        "components": {"schemas": COMPONENTS},
    }
    (promise,) = promises(document)
    return promise


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_what_is_generated_fits(schema: dict[str, Any], data: st.DataObject) -> None:
    """No strategy lies: jsonschema agrees with every value."""
    ask = data.draw(generated_asks(a_promise(schema), {}))

    checked = Draft202012Validator(
        {**schema, "components": {"schemas": COMPONENTS}},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    assert list(checked.iter_errors(json.loads(ask.request.body or b"null"))) == []


@pytest.mark.parametrize("schema", SCHEMAS[:-1], ids=json.dumps)
def test_mistakes_are_mistakes(schema: dict[str, Any]) -> None:
    """What jsonschema refuses is sent as a mistake, and nothing else is."""
    checked = Draft202012Validator(
        {**schema, "components": {"schemas": COMPONENTS}},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    asks = [a for a in explicit_asks(a_promise(schema), {}) if _is_json(a)]

    assert {a.kind for a in asks} >= {"valid", "invalid"}
    for ask in asks:
        value = json.loads(ask.request.body or b"")
        assert checked.is_valid(value) is (ask.kind != "invalid"), ask


def _is_json(ask: Ask) -> bool:
    return bool(ask.request.body) and "is not JSON" not in ask.why


def test_a_schema_nothing_is_known_of_is_not_asked_for() -> None:
    """Where nothing fits, nobody pretends to have asked."""
    with pytest.raises(NothingToAsk, match="POST /a"):
        list(explicit_asks(a_promise({"type": "string", "not": {}}), {}))


def test_one_operation_that_cannot_be_asked_hides_nothing_of_another() -> None:
    """It is named, and the others are asked."""
    nowhere = a_promise({"type": "string", "not": {}})
    silent = Answer(0, {}, failure="closed")

    asked = conform([nowhere, *promises(a_document())], lambda _: silent, "core")

    assert asked.unasked == ("POST /a",)
    assert [f.rule for f in asked.findings] == ["no-answer"]


def test_what_is_not_understood_need_not_be_taken() -> None:
    """A service may have the reasons that a keyword nobody here knows stands for."""
    unknown = {"type": "string", "format": "telephone"}

    assert "valid" not in {ask.kind for ask in explicit_asks(a_promise(unknown), {})}


def test_a_bound_that_is_none_costs_nothing() -> None:
    """Some write down that of their language; nobody sends gigabytes for it."""
    schema = {"type": "string", "maxLength": 2**31 - 1}

    sizes = [len(ask.request.body or b"") for ask in explicit_asks(a_promise(schema), {})]

    assert max(sizes) < 10_000


@pytest.mark.parametrize(
    ("servers", "target"),
    [([], "/a"), ([{"url": "http://core:8000/"}], "/a"), ([{"url": "/v1"}], "/v1/a")],
)
def test_paths_are_below_the_server_s(servers: list[object], target: str) -> None:
    """Of a server only its path counts; where it runs is known better."""
    document = {
        "openapi": "3.1.0",
        "servers": servers,
        "paths": {"/a": {"get": {"responses": {}}}},
    }

    ask = next(explicit_asks(next(promises(document)), {}))

    assert ask.request.target == target


def test_null_is_understood_in_openapi_3_0() -> None:
    """Also beside a reference in ``allOf``, where it says nothing by the letter."""
    schema = {"allOf": [{"$ref": "#/components/schemas/Named"}], "nullable": True}
    body = a_promise(schema, "3.0.3").body

    assert body is not None
    assert body.schema.fits(None)
    assert not body.schema.fits({})


# ---------------------------------------------------------------- over the wire


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = tuple((name.title(), value) for name, value in self.headers.items())
        if not self.path.partition("?")[0].endswith("/"):
            self.send_response(307)
            path, _, query = self.path.partition("?")
            self.send_header("Location", f"{path}/" + (f"?{query}" if query else ""))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        sent = keeps_to_it(Request("POST", self.path, headers, body))
        self.send_response(sent.status)
        for name, value in (*sent.headers.items(), ("content-length", str(len(sent.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """A service that keeps to its contract, behind redirects to the same with a slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.slow
def test_a_real_service_is_asked_and_nothing_is_left_behind(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, past redirects to a slash, and without a folder of Hypothesis."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps(a_document()), encoding="utf-8")
    contract = PublishedContract("a", "a.json", tmp_path, live=Live(examples=5))

    assert check_conforms(contract, url, name="core").passed
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    (finding,) = check_conforms(contract, "http://127.0.0.1:9", name="core").findings
    assert finding.rule == "no-answer"


def test_hypothesis_stays_in_the_process_that_asks() -> None:
    """A session that has something asked neither loads it nor waits for it."""
    code = "import sys, pytest_orchestrator.checks; print(sorted({'hypothesis'} & {*sys.modules}))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
