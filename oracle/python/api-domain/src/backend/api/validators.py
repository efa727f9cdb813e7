"""What a request must be like; every rule that is broken is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

MAX_LENGTH = 500


class Rule(NamedTuple):
    """A property of one field, and what to say if it does not hold."""

    field: str
    reason: str
    holds: Callable[[Any], bool]


IS_TEXT = Rule("question", "must be given, as a text", lambda value: isinstance(value, str))
RULES = (
    Rule("question", "must not be empty", lambda text: text.strip() != ""),
    Rule(
        "question",
        f"must not be longer than {MAX_LENGTH} characters",
        lambda text: len(text.strip()) <= MAX_LENGTH,
    ),
)


def broken_rules(body: object) -> list[Rule]:
    """The rules that the body of a query breaks, in order; empty if it is fine."""
    question = body.get("question") if isinstance(body, dict) else None
    if not IS_TEXT.holds(question):
        return [IS_TEXT]
    return [rule for rule in RULES if not rule.holds(question)]
