"""What a gate needs to judge a round trip: ask, stand in for a service, and say who is to blame.

Shown by ``gates/test_s4_round_trip.py``.
"""

from __future__ import annotations

from pytest_orchestrator._checks.round_trip.blame import (
    check_core_says,
    check_failure,
    check_failure_shown,
    check_failure_visible,
    check_form,
    check_journey,
    check_says_so,
    check_text_stays_text,
    check_visit,
    documented_statuses,
)
from pytest_orchestrator._checks.round_trip.crowds import check_core_at_once, check_not_mixed_up
from pytest_orchestrator._checks.round_trip.forms import ask_by_form
from pytest_orchestrator._checks.round_trip.interview import AGENTS, AT_ONCE, Interview
from pytest_orchestrator._checks.round_trip.journey import Heard, Journey
from pytest_orchestrator._checks.round_trip.library import Library, read_library
from pytest_orchestrator._checks.round_trip.questions import (
    Known,
    broad_questions,
    known_questions,
    unknown_questions,
)
from pytest_orchestrator._checks.round_trip.refusals import (
    BAD_BODIES,
    check_refusal_shown,
    check_refused,
    refusing,
)
from pytest_orchestrator._checks.round_trip.script import (
    Case,
    Crowd,
    Script,
    answering,
    mark,
    marked_answer,
    right_cases,
    same_beginning,
    wrong_answers,
    wrong_api_answers,
)
from pytest_orchestrator._checks.round_trip.support import (
    check_answered,
    check_cited,
    check_unknown,
)

__all__ = [
    "AGENTS",
    "AT_ONCE",
    "BAD_BODIES",
    "Case",
    "Crowd",
    "Heard",
    "Interview",
    "Journey",
    "Known",
    "Library",
    "Script",
    "answering",
    "ask_by_form",
    "broad_questions",
    "check_answered",
    "check_cited",
    "check_core_at_once",
    "check_core_says",
    "check_failure",
    "check_failure_shown",
    "check_failure_visible",
    "check_form",
    "check_journey",
    "check_not_mixed_up",
    "check_refusal_shown",
    "check_refused",
    "check_says_so",
    "check_text_stays_text",
    "check_unknown",
    "check_visit",
    "documented_statuses",
    "known_questions",
    "mark",
    "marked_answer",
    "read_library",
    "refusing",
    "right_cases",
    "same_beginning",
    "unknown_questions",
    "wrong_answers",
    "wrong_api_answers",
]
