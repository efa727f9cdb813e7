"""The page: a form, and below it what became of the question. Works without JavaScript."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from string import Template

from models import Citation, QueryResponse

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Document assistant</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 42rem; padding: 0 1rem }
input { box-sizing: border-box; font: inherit; width: 100% }
</style>
</head>
<body>
<h1>Document assistant</h1>
<form method="post" action="/">
<label for="question">Your question</label>
<input id="question" name="question" maxlength="500" required value="$question">
<button type="submit">Ask</button>
</form>
$outcome
</body>
</html>
""")
_NOTES = {
    "answered": "",
    "unknown": "The documents do not answer this question.",
    "error": "The question could not be answered just now. Please try again later.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page to send; ``interaction_id`` is empty if no question was answered."""

    html: str
    status_code: int = 200
    interaction_id: str = ""


def blank() -> Page:
    """The form."""
    return Page(_PAGE.substitute(question="", outcome=""))


def answered(question: str, response: QueryResponse) -> Page:
    """What became of a question."""
    outcome = [
        _line("p", "status", response.status),
        _note(_NOTES[response.status]),
        _line("p", "answer", response.answer) if response.answer else "",
        *_citations(response.citations),
        f"<p>Interaction {_line('code', 'interaction_id', response.interaction_id)}</p>",
    ]
    html = _PAGE.substitute(question=escape(question), outcome="\n".join(filter(None, outcome)))
    return Page(html, 502 if response.status == "error" else 200, response.interaction_id)


def refused(question: str, reasons: Iterable[str]) -> Page:
    """Why a question was not taken."""
    outcome = _note(f"This cannot be asked: {'; '.join(reasons)}.")
    return Page(_PAGE.substitute(question=escape(question), outcome=outcome), 400)


def unavailable(question: str) -> Page:
    """That nobody was there to answer."""
    outcome = f"{_line('p', 'status', 'error')}\n{_note(_NOTES['error'])}"
    return Page(_PAGE.substitute(question=escape(question), outcome=outcome), 502)


def _citations(citations: Iterable[Citation]) -> Iterable[str]:
    items = [f'<li data-field="citation">{_citation(citation)}</li>' for citation in citations]
    return ["<h2>Sources</h2>", "<ol>", *items, "</ol>"] if items else []


def _citation(citation: Citation) -> str:
    parts = [_line("cite", "source_document", citation.source_document)]
    if citation.page is not None:
        parts.append(f"page {_line('span', 'page', f'{citation.page:g}')}")
    parts.append(f"relevance {_line('span', 'relevance_score', f'{citation.relevance_score:.2f}')}")
    return ", ".join(parts)


def _line(element: str, field: str, text: str) -> str:
    return f'<{element} data-field="{field}">{escape(text)}</{element}>'


def _note(text: str) -> str:
    return _line("p", "note", text) if text else ""
