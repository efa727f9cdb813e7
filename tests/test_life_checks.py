"""What is wrong with a service's life is found, and called by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_orchestrator._domain.life import Answer, Ending, Life, Program, Sighting
from pytest_orchestrator.checks import check_ending, check_health, check_root_page, check_steady

SAYS = {"status": "ok"}
GOOD = Answer("curl", 200, "application/json; charset=utf-8", '{"up_s": 1, "status": "ok"}')
SERVER, OTHER = Program(7, "python main.py"), Program(8, "python worker.py")
LIFE = Life(
    "core",
    "/health",
    8000,
    (GOOD, replace(GOOD, asked_as="a browser", at_s=2.0)),
    Ending(143, took_s=0.1, within_s=5),
    page="/",
    pages=(Answer("curl", 200, "text/html", "<!doctype html><title>It is</title><p>here"),),
    sightings=tuple(
        Sighting(at_s, frozenset({7}), frozenset({SERVER})) for at_s in (0.0, 1.0, 2.0)
    ),
    lived_s=2.1,
    log="; the last lines of core.log:\n    up",
)


def sighting(at_s: float, *listening: Program, alive: tuple[int, ...] = ()) -> Sighting:
    """What is seen when these listen, and these are there as well."""
    return Sighting(at_s, frozenset({*alive, *(p.pid for p in listening)}), frozenset(listening))


def answered(*answers: Answer) -> Life:
    """A life in which health was asked for so often."""
    return replace(LIFE, answers=answers)


def bad(**values: object) -> Answer:
    """An answer that is not as it should be."""
    return replace(GOOD, **values)  # type: ignore[arg-type] # a field each


def test_life_without_fault_passes() -> None:
    """A service that was healthy each time, and ended when told to, has no finding."""
    verdict = check_steady(LIFE) + check_health(LIFE, SAYS) + check_ending(LIFE)

    assert verdict.findings == ()
    assert check_root_page(LIFE, "It is").passed


@pytest.mark.parametrize(
    ("answer", "rule", "said"),
    [
        (bad(status=503, body=""), "status", "answers with status 503, not 200; no body"),
        (bad(content_type="text/plain"), "media-type", "'text/plain', not 'application/json'"),
        (bad(content_type=""), "media-type", "content type None"),
        (bad(body="ok"), "json", "does not answer JSON"),
        (bad(body=""), "json", "does not answer JSON"),
        (bad(body='{"status": NaN}'), "json", "does not answer JSON"),
        (bad(body='"ok"'), "json", "not a JSON object"),
        (bad(body='{"status": "OK"}'), "health-says", "'status' must be 'ok'"),
        (bad(body="{}"), "health-says", "'status' must be 'ok'"),
        (Answer("curl", error="no answer within 5 s"), "no-answer", "no answer within 5 s"),
    ],
)
def test_wrong_health_is_found_once(answer: Answer, rule: str, said: str) -> None:
    """What every answer lacks is one finding, with the place, the answer and the log."""
    life = answered(answer, replace(answer, asked_as="a browser"))

    (finding,) = check_health(life, SAYS).findings

    assert (finding.where, finding.rule) == ("core /health", rule)
    assert said in finding.what
    assert finding.what.endswith(LIFE.log)


def test_health_that_depends_on_who_asks_is_found() -> None:
    """An answer that only some clients get is a fault of its own; both sides are named."""
    wrong = bad(status=404, asked_as="a browser")

    (finding,) = check_health(answered(GOOD, wrong, GOOD, wrong), SAYS).findings

    assert finding.rule == "asker"
    assert "when a browser asks, not when curl does" in finding.what


def test_health_that_comes_and_goes_is_found() -> None:
    """How often it was wrong, in which time, and when for the first time, is told."""
    life = answered(GOOD, bad(status=503, at_s=1.0), bad(at_s=1.9), bad(status=503, at_s=2.0))

    (finding,) = check_health(life, SAYS).findings

    assert finding.rule == "unsteady"
    assert "2 of 4 times in 2.0 s, for the first time after 1.0 s" in finding.what


def test_died_service_is_one_finding() -> None:
    """That it could not be asked any more goes without saying; nobody takes it for healthy."""
    life = replace(answered(bad(error="connection refused")), died="ended with status 0")

    assert check_health(life, SAYS).passed
    for verdict in (check_steady(life), check_ending(life), check_root_page(life, None)):
        (finding,) = verdict.findings
        assert (finding.where, finding.rule) == ("core", "died")
        assert "ended with status 0 by itself, 2.1 s after /health had answered" in finding.what


@pytest.mark.parametrize(
    "sightings",
    [
        (sighting(0, SERVER), sighting(0.5, SERVER), sighting(1, OTHER)),
        (sighting(0, SERVER), sighting(0.5, SERVER), sighting(1), sighting(1.5, OTHER)),
        (sighting(0, OTHER, SERVER), sighting(0.5, OTHER, SERVER), sighting(1, OTHER)),
    ],
)
def test_replaced_process_is_found(sightings: tuple[Sighting, ...]) -> None:
    """A process that listened and is gone is named, and when it was missed."""
    (finding,) = check_steady(replace(LIFE, sightings=sightings)).findings

    assert finding.rule == "restart"
    assert "process 7 (python main.py), which listened on its port, was gone 1.0 s" in finding.what


@pytest.mark.parametrize(
    "sightings",
    [
        tuple(sighting(n, SERVER, *([OTHER] if n == 1 else [])) for n in range(4)),
        (sighting(0, SERVER), sighting(0.5, SERVER), sighting(1, OTHER, alive=(7,))),
        (sighting(0, alive=(7,)), sighting(0.5, SERVER), sighting(1, SERVER)),
    ],
)
def test_helpers_may_come_and_go(sightings: tuple[Sighting, ...]) -> None:
    """A child seen once, e.g. just forked, is no restart; nor is handing on the socket."""
    assert check_steady(replace(LIFE, sightings=sightings)).passed


def test_port_nobody_of_its_own_listens_on_is_found() -> None:
    """A service that answers, though none of its processes listens, is not taken for granted."""
    (finding,) = check_steady(replace(LIFE, sightings=(sighting(0), sighting(1)))).findings

    assert finding.rule == "port"


def test_flood_of_log_is_found() -> None:
    """A megabyte is more than a service has to say that is merely up."""
    assert check_steady(replace(LIFE, wrote_bytes=1_000_000)).passed
    (finding,) = check_steady(replace(LIFE, wrote_bytes=34_000_000)).findings

    assert finding.rule == "log"
    assert "wrote 34.0 MB of log though it was merely up, for 2.1 s" in finding.what


@pytest.mark.parametrize(
    ("ending", "rule", "said"),
    [
        (Ending(137, obeyed=False, within_s=5), "ignores-sigterm", "had not ended 5 s later"),
        (Ending(1), "exit-status", "ended with status 1, not 0 or 143"),
        (Ending(0, left=(OTHER,)), "left-behind", "left process 8 (python worker.py)"),
        (Ending(0, listening=(OTHER,)), "port-held", "port 8000 is held by process 8"),
    ],
)
def test_bad_ending_is_found(ending: Ending, rule: str, said: str) -> None:
    """What did not end, or how, is told with the time it had."""
    (finding,) = check_ending(replace(LIFE, ending=ending)).findings

    assert (finding.where, finding.rule) == ("core", rule)
    assert said in finding.what
    assert finding.what.endswith(LIFE.log)


@pytest.mark.parametrize(
    ("page", "rule"),
    [
        (Answer("curl", 500, "text/html", "<html>"), "status"),
        (Answer("curl", 200, "application/json", "{}"), "media-type"),
        (Answer("curl", 200, "text/html", "It is"), "html"),
        (Answer("curl", 200, "text/html", "<html><title>Else</title><p>It is"), "title"),
        (Answer("curl", 200, "text/html", "<html><title>It is</title>"), "empty"),
    ],
)
def test_wrong_root_page_is_found(page: Answer, rule: str) -> None:
    """The page is held to the same each time."""
    (finding,) = check_root_page(replace(LIFE, pages=(page, page)), "It is").findings

    assert (finding.where, finding.rule) == ("core /", rule)
