"""What a service must do from its start to its end, judged by what was seen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.answers import parse_json
from pytest_orchestrator._checks.comparison.outline import media_type
from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._checks.pages import check_page
from pytest_orchestrator._checks.rules.faults import told
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_orchestrator._domain.life import Answer, Life, Program

    Judge = Callable[[Answer], Finding | None]

OK = 200
LOG_MOST_BYTES = 1_000_000
"""More than that, written by a service that is merely up, is a defect of its own."""
_SIGTERM_STATUS = 143


def check_steady(life: Life) -> Verdict:
    """Whether a service's processes stayed, and stayed calm.

    Returns:
        A finding if its process died; if a process that listened on its port was replaced by
        another; if nobody of its own listened; if it wrote more than ``LOG_MOST_BYTES`` of log.
    """
    findings = [*_died(life), *_replaced(life), *_verbose(life)]
    return Verdict("steady", tuple(findings))


def check_health(life: Life, says: Mapping[str, str]) -> Verdict:
    """Whether the health endpoint gave the right answer each time, whoever asked.

    Args:
        life: What was seen.
        says: Members that the JSON object it answers must have, with their values.

    Returns:
        A finding per kind of fault that everybody met; or one that says that only some
        clients met it, or that it came and went. None about a service whose process died,
        which `check_steady` tells.
    """
    if life.died:
        return Verdict("health")
    place = f"{life.name} {life.health}"
    findings = _over_time(life.answers, place, lambda answer: _health_fault(answer, place, says))
    return Verdict("health", tuple(_with_log(finding, life) for finding in findings))


def check_root_page(life: Life, title: str | None) -> Verdict:
    """Whether the root page was rendered each time, whoever asked.

    Args:
        life: What was seen.
        title: What the page's ``<title>`` must contain; ``None``: anything.

    Returns:
        As `check_health`; about status, content type, what makes it a page, its title, and
        whether its body shows anything.
    """
    if life.died:
        return Verdict("page", tuple(_died(life)))
    place = f"{life.name} {life.page}"
    findings = _over_time(life.pages, place, lambda answer: _page_fault(answer, place, title))
    return Verdict("page", tuple(_with_log(finding, life) for finding in findings))


def check_ending(life: Life) -> Verdict:
    """Whether a service ended by itself when its process was sent SIGTERM.

    Returns:
        A finding if it did not end in time, or not with status 0 or 143; if something it had
        started was left; if somebody held its port after it. One about a service that had
        died before: it could not be told to.
    """
    if life.died:
        return Verdict("ending", tuple(_died(life)))
    return Verdict("ending", tuple(_with_log(f, life) for f in _ending_faults(life)))


def _died(life: Life) -> Iterator[Finding]:
    if life.died:
        what = (
            f"{life.died} by itself, {life.lived_s:.1f} s after {life.health} had answered {OK} "
            "for the first time"
        )
        yield _with_log(told(life.name, what, "died"), life)


def _replaced(life: Life) -> Iterator[Finding]:
    """A process that listened twice and is gone: somebody starts it again and again."""
    for before, after in zip(life.sightings, life.sightings[1:], strict=False):
        later = [s for s in life.sightings if s.at_s > after.at_s]
        for program in sorted(before.listening & after.listening):
            gone = next((s for s in later if program.pid not in s.alive), None)
            if gone is not None and not life.died:
                what = (
                    f"{program}, which listened on its port, was gone {gone.at_s:.1f} s after "
                    f"{life.health} had answered {OK} for the first time{_instead(gone.listening)}"
                )
                yield _with_log(told(life.name, what, "restart"), life)
                return
    if life.sightings and not life.died and not any(s.listening for s in life.sightings):
        what = f"none of its processes was seen to listen on port {life.port}, which it was given"
        yield _with_log(told(life.name, what, "port"), life)


def _instead(listening: frozenset[Program]) -> str:
    return f"; {', '.join(map(str, sorted(listening)))} listens now" if listening else ""


def _verbose(life: Life) -> Iterator[Finding]:
    if life.wrote_bytes > LOG_MOST_BYTES:
        what = (
            f"wrote {life.wrote_bytes / 1e6:.1f} MB of log though it was merely up, for "
            f"{life.lived_s:.1f} s; at most {LOG_MOST_BYTES / 1e6:g} MB are expected"
        )
        yield _with_log(told(life.name, what, "log"), life)


def _ending_faults(life: Life) -> Iterator[Finding]:
    end = life.ending
    if not end.obeyed:
        what = f"was sent SIGTERM and had not ended {end.within_s:g} s later (`stop_s`)"
        yield told(life.name, what, "ignores-sigterm")
    elif end.status not in {0, _SIGTERM_STATUS}:
        what = f"was sent SIGTERM and ended with status {end.status}, not 0 or {_SIGTERM_STATUS}"
        yield told(life.name, what, "exit-status")
    if end.left:
        left = ", ".join(map(str, end.left))
        what = (
            f"was sent SIGTERM and left {left}; what it starts must be gone with it, within "
            f"{end.within_s:g} s (`stop_s`)"
        )
        yield told(life.name, what, "left-behind")
    elif end.listening:
        who = ", ".join(map(str, end.listening))
        yield told(life.name, f"has ended, but its port {life.port} is held by {who}", "port-held")


def _over_time(answers: Sequence[Answer], place: str, fault_of: Judge) -> list[Finding]:
    """What the faults of many answers to one question come to."""
    faults = [fault_of(answer) for answer in answers]
    found = {fault.rule: fault for fault in faults if fault is not None}
    if not found or None not in faults:
        return list(found.values())
    first = next(fault for fault in faults if fault is not None)
    wrong = [a for a, fault in zip(answers, faults, strict=True) if fault is not None]
    right = [a for a, fault in zip(answers, faults, strict=True) if fault is None]
    met, spared = ({a.asked_as for a in part} for part in (wrong, right))
    if not met & spared:
        who, others = " or ".join(sorted(met)), " or ".join(sorted(spared))
        what = f"{first.what}; that is when {who} asks, not when {others} does"
        return [told(place, what, "asker")]
    what = (
        f"{first.what}; {len(wrong)} of {len(answers)} times in {answers[-1].at_s:.1f} s, for the "
        f"first time after {wrong[0].at_s:.1f} s"
    )
    return [told(place, what, "unsteady")]


def _health_fault(answer: Answer, place: str, says: Mapping[str, str]) -> Finding | None:
    if (finding := _answer_fault(answer, place, "application/json")) is not None:
        return finding
    value, verdict = parse_json(answer.body.encode(), place)
    if not verdict.passed:
        return told(place, f"does not answer JSON: {verdict.findings[0].what}", "json")
    if not isinstance(value, dict):
        return told(place, f"answers {shortened(answer.body)!r}, not a JSON object", "json")
    for key, expected in says.items():
        if value.get(key) != expected:
            what = f"answers {shortened(answer.body)!r}; {key!r} must be {expected!r}"
            return told(place, what, "health-says")
    return None


def _page_fault(answer: Answer, place: str, title: str | None) -> Finding | None:
    if (finding := _answer_fault(answer, place, "text/html")) is not None:
        return finding
    return next(iter(check_page(answer.body, title=title, name=place).findings), None)


def _answer_fault(answer: Answer, place: str, expected: str) -> Finding | None:
    body = f"; body: {shortened(answer.body)!r}" if answer.body else "; no body"
    if answer.error:
        return told(place, f"could not be asked: {answer.error}", "no-answer")
    if answer.status != OK:
        return told(place, f"answers with status {answer.status}, not {OK}{body}", "status")
    if media_type(answer.content_type) != expected:
        written = answer.content_type or None
        what = f"answers with content type {written!r}, not {expected!r}{body}"
        return told(place, what, "media-type")
    return None


def _with_log(finding: Finding, life: Life) -> Finding:
    return Finding(finding.where, finding.what + life.log, finding.rule, finding.cure)
