"""Journeys of questions, right in every respect until a test changes something."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pytest_orchestrator._checks.models.document import schema_bytes
from pytest_orchestrator._checks.round_trip.journey import Heard, Journey
from pytest_orchestrator._domain.hop import Hop

ROOT = Path(__file__).parent.parent
QUESTION = 'Is it "so" & why?'
ID = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"
OTHER_ID = "00000000-0000-4000-8000-000000000000"
CITATIONS = [
    {
        "source_document": "zebra.md", "page": 3, "chunk_id": "zebra.md#12",
        "relevance_score": 0.93817,
    },
    {"source_document": "apple.md", "page": None, "chunk_id": "apple.md#1", "relevance_score": 0.5},
]  # fmt: skip
ANSWER: dict[str, Any] = {
    "status": "answered", "answer": "It is <b> & so.", "citations": CITATIONS, "interaction_id": ID,
}  # fmt: skip
HEADERS = {"content-type": "application/json; charset=utf-8"}


def _schema() -> Any:
    page = ROOT / "oracle/any/write-models/docs/contracts/shared-models.md"
    schema, verdict = schema_bytes(page.read_bytes(), page.name)
    verdict.raise_for_findings()
    return json.loads(schema)


SCHEMA = _schema()


def html(answer: dict[str, Any]) -> str:
    """A page that shows an answer."""
    parts = [f'<p data-field="status">{answer["status"]}</p>']
    if answer["answer"] is not None:
        parts.append(f'<p data-field="answer">{escape(answer["answer"])}</p>')
    parts.append(f'<code data-field="interaction_id">{answer["interaction_id"]}</code>')
    items = [f'<li data-field="citation">{_citation(c)}</li>' for c in answer["citations"]]
    return f"<!doctype html><html>{''.join(parts)}<ol>{''.join(items)}</ol></html>"


def _citation(citation: dict[str, Any]) -> str:
    page = "" if citation["page"] is None else f", page {citation['page']}"
    return f"{escape(citation['source_document'])}{page}, {citation['relevance_score']:.2f}"


def _hop(service: str, path: str, question: str, given: str, answer: Any) -> Hop:
    headers = HEADERS | {"x-interaction-id": answer["interaction_id"]}
    asked = {"question": question, "interaction_id": given}
    return Hop(service, "POST", path, 200, answer, asked, answer_headers=headers)


def api_journey(said: dict[str, Any], by_api: Any = None, question: str = QUESTION) -> Journey:
    """A question put to the api; core ``said`` that, and the api made ``by_api`` of it."""
    given = by_api or said
    headers = HEADERS | {"x-interaction-id": given["interaction_id"]}
    heard = Heard(200, headers, json.dumps(given), 0.01)
    core = _hop("core", "/internal/query", question, said["interaction_id"], said)
    return Journey(question, heard, "api", asked_core=(core,))


def page_journey(
    said: dict[str, Any], by_api: Any = None, shown: str | None = None, question: str = QUESTION
) -> Journey:
    """A question typed into the page, which shows ``shown`` of what the api made ``by_api``."""
    given = by_api or said
    journey = api_journey(said, by_api, question)
    api = _hop("api", "/api/query", question, "", given)
    headers = {"content-type": "text/html", "x-interaction-id": given["interaction_id"]}
    status = 502 if given["status"] == "error" else 200
    page = Heard(status, headers, html(given) if shown is None else shown, 0.01)
    return Journey(question, page, "frontend", (api,), journey.asked_core)


_TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\x85"),
    min_size=1, max_size=20,
).filter(lambda text: text.strip())  # fmt: skip
_NAMES = st.from_regex(r"\A[a-z]{1,8}(-[a-z]{1,4})?\.(md|pdf)\Z")


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """Everything core may say by the shared models."""
    status = draw(st.sampled_from(["answered", "unknown", "error"]))
    interaction = str(draw(st.uuids()))
    if status != "answered":
        return {"status": status, "answer": None, "citations": [], "interaction_id": interaction}
    citations = draw(st.lists(_citations(), min_size=1, max_size=4))
    citations.sort(key=lambda c: -c["relevance_score"])
    return {
        "status": status, "answer": draw(_TEXTS), "citations": citations,
        "interaction_id": interaction,
    }  # fmt: skip


@st.composite
def _citations(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(_NAMES)
    return {
        "source_document": name,
        "page": draw(st.none() | st.integers(1, 400) | st.sampled_from([1.5, 7.25])),
        "chunk_id": f"{name}#{draw(st.integers(1, 99))}",
        "relevance_score": draw(st.integers(0, 100_000)) / 100_000,
    }
