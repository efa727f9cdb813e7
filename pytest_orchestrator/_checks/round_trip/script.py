"""What a stand-in answers: marked, so that nobody can have it from anywhere else; and faults."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_orchestrator._domain.hop import HangUp, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Response = dict[str, Any]
Answers = Callable[[Request], Reply | HangUp]
"""From a request with a question to what is answered."""

SLOW_S = 3.0
"""Seconds a slow answer takes: a model's, well within what the briefs allow."""
PATIENCE_S = 60.0
"""Seconds a service that hangs says nothing."""


def mark() -> str:
    """A word that nobody can guess, e.g. ``"q3f8a91c07be2d"``."""
    return f"q{token_hex(7)}"


@dataclass(frozen=True)
class Script:
    """A stand-in that knows what to answer to which question; all others go to the service.

    The same question may be given several answers, one after another; the last one holds.
    """

    _lines: dict[str, list[Answers]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, question: str, *answers: Answers) -> str:
        """Write down what is answered to a question; returns the question."""
        self._lines[question.strip()] = list(answers)
        return question

    def __call__(self, request: Request) -> Reply | HangUp | None:
        """What is answered to a request; ``None`` if the script does not have its question."""
        asked = request.json
        question = asked.get("question") if isinstance(asked, dict) else None
        if request.method != "POST" or not isinstance(question, str):
            return None
        with self._lock:
            lines = self._lines.get(question.strip())
            if not lines:
                return None
            line = lines.pop(0) if len(lines) > 1 else lines[0]
        return line(request)


def answering(response: Response, **reply: Any) -> Answers:
    """Answer so, with the interaction that is asked about, or a new one if none is.

    Args:
        response: A QueryResponse without ``interaction_id``.
        reply: What else of the ``Reply``.
    """

    def line(request: Request) -> Reply:
        asked = request.json
        given = asked.get("interaction_id") if isinstance(asked, dict) else None
        said = response if "interaction_id" in response else response | {
            "interaction_id": given or str(uuid4())
        }  # fmt: skip
        return _reply(said, **reply)

    return line


def compressed(response: Response) -> Answers:
    """Answer so, compressed if the asker takes that."""

    def line(request: Request) -> Reply:
        plain = answering(response)(request)
        assert isinstance(plain, Reply)  # noqa: S101 - for the type checker
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return plain
        coding = ("Content-Encoding", "gzip")
        return Reply(body=gzip.compress(plain.body), headers=(*plain.headers, coding))

    return line


def _reply(said: Response, **reply: Any) -> Reply:
    header = ("X-Interaction-Id", str(said.get("interaction_id", "")))
    return Reply(body=json.dumps(said).encode(), headers=(header,), **reply)


def cite(document: str, page: float | None, chunk: str, score: float) -> Response:
    """A Citation."""
    return {
        "source_document": document, "page": page, "chunk_id": chunk, "relevance_score": score,
    }  # fmt: skip


def answered(text: str, *citations: Response) -> Response:
    """A QueryResponse without interaction that answers."""
    return {"status": "answered", "answer": text, "citations": list(citations)}


UNKNOWN: Response = {"status": "unknown", "answer": None, "citations": []}
ERROR: Response = {"status": "error", "answer": None, "citations": []}


def marked_answer(word: str) -> Response:
    """An answer with one citation, both marked by a word."""
    return answered(f"It is {word}.", cite(f"{word}.md", 7, f"{word}.md#3", 0.61803))


@dataclass(frozen=True, slots=True)
class Case:
    """A question, and what is answered to it.

    Attributes:
        question: Marked by a word of its own, like the answer.
        answers: What the stand-in does.
        tag: Name of an element that stands in the texts and must not become one; may be empty.
    """

    question: str
    answers: Answers
    tag: str = ""


def right_cases() -> Mapping[str, Case]:
    """Everything core may say, by what is particular about it; marked anew each time."""
    return {
        "one-citation": _case(marked_answer),
        "several-citations": _case(_several),
        "same-document": _case(_same_document),
        "long": _case(_long),
        "unknown": _case(lambda _: UNKNOWN),
        "error": _case(lambda _: ERROR),
        "fields-nobody-knows": _case(_extended),
        "compressed": _case(marked_answer, compressed),
        "slow": _case(marked_answer, lambda r: answering(r, delay_s=SLOW_S)),
        "markup": _markup(),
        "longest-question": _longest(),
    }


def wrong_answers() -> Mapping[str, Answers]:
    """Answers of core that cannot be handed on, by what is wrong with them."""
    word = mark()
    right = marked_answer(word)
    return {
        "status-500": lambda _: Reply(500, b"Internal Server Error", "text/plain"),
        "status-500-with-an-answer": answering(right, status=500),
        "status-503": lambda _: Reply(503, b"{}"),
        "status-404": lambda _: Reply(404, b'{"title": "Not Found", "status": 404}'),
        "not-json": lambda _: Reply(200, f"<p>{word}</p>".encode(), "text/html"),
        "empty": lambda _: Reply(200, b""),
        "not-an-object": lambda _: Reply(200, f'["{word}"]'.encode()),
        "other-status": answering(right | {"status": "maybe"}),
        "no-status": answering({k: v for k, v in right.items() if k != "status"}),
        "no-citations": answering({k: v for k, v in right.items() if k != "citations"}),
        "citation-without-document": answering(
            right | {"citations": [{"page": 1, "chunk_id": word, "relevance_score": 0.5}]}
        ),
        "answer-is-no-text": answering(right | {"answer": {"text": word}}),
        "other-interaction": answering(right | {"interaction_id": str(uuid4())}),
        "cut-off": answering(right, sent_bytes=20),
        "connection-closed": lambda _: HangUp(),
        "hangs": lambda _: HangUp(PATIENCE_S),
        "stalls": answering(right, sent_bytes=20, silence_s=PATIENCE_S),
    }


def wrong_api_answers() -> Mapping[str, Answers]:
    """Answers of the api that cannot be shown, by what is wrong with them."""
    problem = b'{"type": "about:blank", "title": "Internal Server Error", "status": 500}'
    left_out = {"status-500-with-an-answer", "other-interaction", "status-500", "status-404"}
    wrong = {name: line for name, line in wrong_answers().items() if name not in left_out}
    return wrong | {
        "problem-500": lambda _: Reply(500, problem, "application/problem+json"),
        "status-502-error": answering(ERROR, status=502),
        "status-200-error": answering(ERROR),
    }


class Crowd:
    """Holds answers back until all questions are there, and gives them in another order.

    Args:
        size: How many are waited for.
        patience_s: Seconds from the first question after which nobody is held back any more.
    """

    def __init__(self, size: int, patience_s: float = 2.0) -> None:
        self._size = size
        self._patience_s = patience_s
        self._there = threading.Condition()
        self._turns = random.sample(range(size), size)
        self._arrived = 0
        self._deadline = threading.Event()

    def answering(self, response: Response) -> Answers:
        """Answer so, when the others are there."""

        def line(request: Request) -> Reply | HangUp:
            turn = self._wait()
            # In an order that is not that of arrival, a moment between one and the next.
            self._deadline.wait(0.005 * turn)
            return answering(response)(request)

        return line

    def _wait(self) -> int:
        with self._there:
            number = self._arrived
            self._arrived += 1
            self._there.notify_all()
            self._there.wait_for(lambda: self._arrived >= self._size, self._patience_s)
            # Whoever comes later is not made to wait for those who will not come.
            self._arrived = max(self._arrived, self._size)
        return self._turns[number] if number < self._size else 0


# ---------------------------------------------------------------- what is particular


def _case(
    response: Callable[[str], Response], answers: Callable[[Response], Answers] = answering
) -> Case:
    word = mark()
    return Case(f"What is {word}?", answers(response(word)))


def _several(word: str) -> Response:
    """Neither in the order of names nor of pages; with and without a page."""
    return answered(
        f"First {word}, then the rest.",
        cite(f"zebra-{word}.md", 12, f"zebra-{word}.md#40", 0.93817),
        cite(f"apple-{word}.md", None, f"apple-{word}.md#2", 0.74231),
        cite(f"mango-{word}.md", 3.5, f"mango-{word}.md#9", 0.74231),
        cite(f"birch-{word}.md", 2, f"birch-{word}.md#1", 0.50209),
    )


def _same_document(word: str) -> Response:
    """Two passages of one page are two citations."""
    name = f"{word}.md"
    return answered(
        f"Both say {word}.",
        cite(name, 4, f"{name}#8", 1), cite(name, 4, f"{name}#6", 0.87654),
        cite(name, 1, f"{name}#1", 0.65432),
    )  # fmt: skip


def _long(word: str) -> Response:
    parts = [f"Line {n} of {word}: “größer”, naïve, 蜜蜂, 🐝, 100 % & more." for n in range(60)]
    return answered("\n".join(parts), cite(f"Bücher {word} (2).md", 1, f"{word}#1", 0.55555))


def _extended(word: str) -> Response:
    citation = cite(f"{word}.md", 7, f"{word}.md#3", 0.61803) | {"snippet": "added later"}
    return {"model": "added later", **answered(f"It is {word}.", citation), "usage": {"tokens": 7}}


def _markup() -> Case:
    word = mark()
    tag = f"x-{word}"
    text = (
        f'<{tag} onclick="alert(1)">&amp; "quoted" \'so\' <script>alert("{word}")</script> A&B < C'
    )
    response = answered(text, cite(f"<{tag}> & Söhne.md", 7, f"<{tag}>#3", 0.61803))
    question = f'What is <{tag}>"\' onfocus-{tag}=1 <script>alert("{word}")</script> & A&amp;B?'
    return Case(question, answering(response), tag)


def _longest() -> Case:
    word = mark()
    question = f"{'Long, long question. ' * 30}"[: 500 - len(word) - 1] + f"{word}?"
    return Case(question, answering(marked_answer(word)))


def same_beginning(count: int) -> Sequence[str]:
    """Questions that differ only at their end."""
    return [
        f"What do the documents say about one and the same thing: {mark()}?" for _ in range(count)
    ]
