"""S4: a question travels from the page through the api to core, and its answer comes back.

For most of it somebody stands in for core, with answers marked by words nobody can
know: they can only have come back the way they should. What core itself answers is
compared with its documents.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pytest_orchestrator.checks import (
    Verdict,
    check_built_on,
    check_generated,
    check_still_fits,
)
from pytest_orchestrator.round_trip import (
    AGENTS,
    AT_ONCE,
    BAD_BODIES,
    Case,
    Crowd,
    Interview,
    Journey,
    Library,
    Script,
    answering,
    broad_questions,
    check_answered,
    check_cited,
    check_core_at_once,
    check_core_says,
    check_failure,
    check_failure_shown,
    check_failure_visible,
    check_form,
    check_journey,
    check_not_mixed_up,
    check_refusal_shown,
    check_refused,
    check_says_so,
    check_text_stays_text,
    check_unknown,
    check_visit,
    documented_statuses,
    known_questions,
    mark,
    marked_answer,
    read_library,
    refusing,
    right_cases,
    same_beginning,
    unknown_questions,
    wrong_answers,
    wrong_api_answers,
)
from pytest_orchestrator.types import (
    Agreement,
    Browser,
    Consumption,
    Contracts,
    Hops,
    Plan,
    Services,
    Visit,
)

pytestmark = pytest.mark.gate("S4")

CORE, API = "core POST /internal/query", "api POST /api/query"
ENTRIES = ("api", "frontend")
QUESTIONS = 60
RECOVERY_S = 30.0
IN_BROWSER = ("several-citations", "same-document", "long", "unknown", "error", "markup")

Told = dict[tuple[str, str], tuple[Case, Journey]]


@pytest.fixture(scope="module")
def interview(services: Services, hops: Hops) -> Iterator[Interview]:
    """Whoever asks, all three services running."""
    running = services.start("core", "api", "frontend")
    addresses = {name: service.url for name, service in running.items()}
    with Interview(addresses, hops) as interview:
        yield interview


@pytest.fixture(scope="module")
def schema(contracts: Contracts) -> Any:
    """The schema of the shared models."""
    return contracts["shared-models"].schema()


@pytest.fixture(scope="module")
def library(plan: Plan, workspace: Path) -> Library:
    """The documents core answers from."""
    core = plan.services["core"]
    folder = f"{core.path.rstrip('/')}/{core.documents}" if core.documents else None
    return read_library(workspace, folder, "core")


# ---------------------------------------------------------------- core answers, others hand it on


@pytest.fixture(scope="module")
def told(interview: Interview, hops: Hops) -> Told:
    """Every kind of right answer, asked for at the api and at the page, all at once."""
    script = Script()
    cases = {(at, name): case for at in ENTRIES for name, case in right_cases().items()}
    for case in cases.values():
        script.answer(case.question, case.answers)
    with hops.standing_in("core", script):
        asked = [(at, case.question) for (at, _), case in cases.items()]
        journeys = interview.ask_everywhere(asked)
    return {key: (cases[key], journey) for key, journey in zip(cases, journeys, strict=True)}


@pytest.mark.parametrize("at", ENTRIES)
@pytest.mark.parametrize("case", right_cases())
def test_answer_comes_back_as_core_gave_it(case: str, at: str, told: Told, schema: Any) -> None:
    """The api relays it and the page shows it: status, answer, citations, interaction."""
    asked, journey = told[at, case]

    verdict = check_journey(journey, schema)

    if at == "frontend" and asked.tag:
        verdict += check_text_stays_text(journey, asked.tag)
    verdict.raise_for_findings()


@pytest.mark.parametrize("at", ENTRIES)
def test_questions_asked_at_once_are_not_mixed_up(
    at: str, interview: Interview, hops: Hops, schema: Any
) -> None:
    """Each of 20 gets its own answer and interaction, in whatever order core is done."""
    script, crowd = Script(), Crowd(AT_ONCE)
    questions = same_beginning(AT_ONCE)
    for question in questions:
        script.answer(question, crowd.answering(marked_answer(mark())))

    with hops.standing_in("core", script):
        journeys = interview.ask_all(at, questions)

    judged_all(journeys, schema).raise_for_findings()


@pytest.mark.parametrize("at", ENTRIES)
def test_question_asked_again_is_asked_anew(
    at: str, interview: Interview, hops: Hops, schema: Any
) -> None:
    """What core says now is what comes back, not what it said a moment ago."""
    script = Script()
    question = f"What about {mark()}?"
    script.answer(question, *(answering(marked_answer(mark())) for _ in range(3)))

    with hops.standing_in("core", script):
        journeys = [interview.ask_all(at, [question])[0] for _ in range(3)]

    judged_all(journeys, schema).raise_for_findings()


@pytest.mark.parametrize("at", ENTRIES)
def test_answer_does_not_depend_on_who_asks(
    at: str, interview: Interview, hops: Hops, schema: Any
) -> None:
    """A person's browser, a script and a bot get the same."""
    script, verdict = Script(), Verdict("round-trip")
    with hops.standing_in("core", script):
        for agent in AGENTS:
            question = script.answer(f"Who is {mark()}?", answering(marked_answer(mark())))
            journey = interview.ask_all(at, [question], agent=agent)[0]
            verdict += check_journey(journey, schema)
    verdict.raise_for_findings()


@pytest.mark.parametrize("case", ["unknown", "error"])
def test_page_says_in_words_that_there_is_no_answer(case: str, told: Told) -> None:
    """The status is for programs; people are told in a sentence."""
    (_, journey), (_, answered) = told["frontend", case], told["frontend", "one-citation"]

    check_says_so(journey, answered).raise_for_findings()


def test_page_is_blank_for_somebody_who_has_not_asked(interview: Interview, told: Told) -> None:
    """It has the form, and nobody else's answer."""
    del told
    check_form(interview.look()).raise_for_findings()


# ---------------------------------------------------------------- core answers from its documents


def test_core_answers_what_its_documents_say(
    interview: Interview, library: Library, schema: Any
) -> None:
    """Questions made of sentences of the documents are answered, and cite where those stand."""
    known, broad = known_questions(library, QUESTIONS), broad_questions(library, QUESTIONS)
    asked = [(question, str(uuid4())) for question in (*(k.question for k in known), *broad)]

    heard = interview.ask_core(asked)

    verdict = Verdict("core-says")
    for (_, interaction), answer in zip(asked, heard, strict=True):
        verdict += check_core_says(answer, interaction, schema, CORE)
    verdict.raise_for_findings()
    responses = [answer.json for answer in heard]
    answered = list(zip(known, responses[: len(known)], strict=True))
    (
        check_answered(answered, library, CORE) + check_cited(responses, library, CORE)
    ).raise_for_findings()


def test_core_says_when_its_documents_do_not(
    interview: Interview, library: Library, schema: Any
) -> None:
    """Questions about what nobody has written of are unknown, and nothing is made up."""
    questions = unknown_questions(library, 12, random.Random())  # noqa: S311 - anything nobody knows
    asked = [(question, str(uuid4())) for question in questions]

    heard = interview.ask_core(asked)

    verdict = Verdict("unknown")
    for (_, interaction), answer in zip(asked, heard, strict=True):
        verdict += check_core_says(answer, interaction, schema, CORE)
    verdict.raise_for_findings()
    for question, answer in zip(questions, heard, strict=True):
        verdict += check_unknown(question, answer.json, CORE)
    verdict.raise_for_findings()


def test_core_does_not_mix_up_questions_asked_at_once(
    interview: Interview, library: Library, schema: Any
) -> None:
    """Of 20 at a time, each gets what it asked for, wave after wave."""
    known = known_questions(library, AT_ONCE)
    asked = [(known[n % len(known)], str(uuid4())) for n in range(5 * AT_ONCE)]

    heard = interview.ask_core([(k.question, i) for k, i in asked], at_once=AT_ONCE)

    verdict = Verdict("at-once")
    for (_, interaction), answer in zip(asked, heard, strict=True):
        verdict += check_core_says(answer, interaction, schema, CORE)
    verdict.raise_for_findings()
    check_core_at_once(asked, [answer.json for answer in heard], CORE).raise_for_findings()


@pytest.mark.parametrize("at", ENTRIES)
def test_question_travels_through_all_services(
    at: str, interview: Interview, library: Library, schema: Any
) -> None:
    """With nobody standing in: what the documents say comes back, and what they do not."""
    known = known_questions(library, 3)
    unknown = unknown_questions(library, 3, random.Random())  # noqa: S311 - anything nobody knows

    journeys = interview.ask_all(at, [*(k.question for k in known), *unknown])

    verdict = check_not_mixed_up(journeys[: len(known)])
    for journey in journeys:
        verdict += check_journey(journey, schema)
    verdict.raise_for_findings()
    # Asked by the api, core answers as it does when it is asked directly.
    said = [journey.asked_core[-1].answer for journey in journeys]
    verdict = check_answered(list(zip(known, said[: len(known)], strict=True)), library, CORE)
    for question, answer in zip(unknown, said[len(known) :], strict=True):
        verdict += check_unknown(question, answer, CORE)
    verdict.raise_for_findings()


# ---------------------------------------------------------------- questions that cannot be taken


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bad_question_is_refused_with_reasons(body: str, interview: Interview, hops: Hops) -> None:
    """It is the asker's error, described as problem details, and core is not asked."""
    before = [hop for hop in hops if hop.service == "core"]

    heard = interview.post("api", BAD_BODIES[body])

    asked = len([hop for hop in hops if hop.service == "core"]) - len(before)
    check_refused(heard, asked, API).raise_for_findings()


def test_page_shows_why_a_question_is_refused(interview: Interview, hops: Hops) -> None:
    """The api's reason is on the page, and the question is still in the form."""
    script, reason = Script(), f"must not be about {mark()}"
    question = script.answer(f'What "about" <{mark()}> & so on?', refusing(reason))

    with hops.standing_in("api", script):
        journey = interview.ask_page(question)

    check_refusal_shown(journey, reason).raise_for_findings()


# ---------------------------------------------------------------- when somebody fails


@pytest.fixture(scope="module")
def failed(interview: Interview, hops: Hops, told: Told) -> dict[tuple[str, str], Journey]:
    """Everything that can go wrong behind the api and behind the page, all at once.

    After the right answers: an api may well ask a core that fails so often a little later.
    """
    del told
    core, api = Script(), Script()
    asked = {
        **{
            ("api", name): core.answer(f"What of {mark()}?", line)
            for name, line in wrong_answers().items()
        },
        **{
            ("frontend", name): api.answer(f"What of {mark()}?", line)
            for name, line in wrong_api_answers().items()
        },
    }
    with hops.standing_in("core", core), hops.standing_in("api", api):
        journeys = interview.ask_everywhere([(at, q) for (at, _), q in asked.items()])
    return dict(zip(asked, journeys, strict=True))


@pytest.mark.parametrize("fault", wrong_answers())
def test_api_says_when_core_fails(
    fault: str, failed: dict[tuple[str, str], Journey], contracts: Contracts
) -> None:
    """Within its deadline, with an error its own document has, whatever core did."""
    statuses = documented_statuses(contracts["public-api"].document(), "/api/query")

    check_failure(failed["api", fault], statuses).raise_for_findings()


@pytest.mark.parametrize("fault", wrong_api_answers())
def test_page_says_when_the_api_fails(
    fault: str, failed: dict[tuple[str, str], Journey], schema: Any
) -> None:
    """Within its deadline, as an error, whatever the api did."""
    journey = failed["frontend", fault]

    if fault.endswith("-error"):  # an answer in order, which says that there is none
        check_journey(journey, schema).raise_for_findings()
    check_failure_shown(journey).raise_for_findings()


def test_core_that_is_down_is_an_error_everywhere(
    interview: Interview, hops: Hops, contracts: Contracts, failed: object
) -> None:
    """The api says so, the page shows it, and when core is back, all is well again."""
    del failed
    statuses = documented_statuses(contracts["public-api"].document(), "/api/query")

    with hops.refusing("core"):
        api, page = interview.ask_everywhere([("api", "Why?"), ("frontend", "Why so?")])

    (check_failure(api, statuses) + check_failure_shown(page)).raise_for_findings()


def test_api_that_is_down_is_an_error_on_the_page(
    interview: Interview, hops: Hops, failed: object
) -> None:
    """The form is there all the same, and says that there is no answer."""
    del failed
    with hops.refusing("api"):
        form, page = interview.look(), interview.ask_page("Why?")

    (check_form(form) + check_failure_shown(page)).raise_for_findings()


def test_all_is_well_when_the_fault_is_over(
    interview: Interview, hops: Hops, schema: Any, failed: dict[tuple[str, str], Journey]
) -> None:
    """The very questions that failed are answered, half a minute later at the latest."""
    script = Script()
    asked = [(at, journey.question) for (at, _), journey in failed.items()]
    for _, question in asked:
        script.answer(question, answering(marked_answer(mark())))

    deadline_s = time.monotonic() + RECOVERY_S
    with hops.standing_in("core", script):
        verdict = judged_all(interview.ask_everywhere(asked), schema)
        while still_down(verdict) and time.monotonic() < deadline_s:
            time.sleep(1.0)
            verdict = judged_all(interview.ask_everywhere(asked), schema)
    verdict.raise_for_findings()


def judged_all(journeys: Sequence[Journey], schema: Any) -> Verdict:
    """What is wrong with journeys that were made at once."""
    each = (check_journey(journey, schema) for journey in journeys)
    return sum(each, check_not_mixed_up(journeys))


def still_down(verdict: Verdict) -> bool:
    """Whether somebody does not yet dare to ask again, or does not see that it was asked."""
    return any(finding.rule in {"http-status", "not-asked"} for finding in verdict.findings)


# ---------------------------------------------------------------- in a real browser, with --browser


@pytest.mark.parametrize("case", IN_BROWSER)
def test_browser_shows_what_the_api_answered(
    case: str, interview: Interview, hops: Hops, schema: Any, browser: Browser
) -> None:
    """Typed and sent by a person: status, answer and citations are there to be seen."""
    script, asked = Script(), right_cases()[case]
    script.answer(asked.question, asked.answers)
    visits: list[Visit] = []

    def ask(url: str) -> str:
        visits.append(browser.ask(url, asked.question))
        return visits[0].html

    with hops.standing_in("core", script):
        journey = interview.in_browser(asked.question, ask)

    verdict = check_visit(visits[0]) + check_journey(journey, schema)
    if asked.tag:
        verdict += check_text_stays_text(journey, asked.tag)
    visits[0].explained(verdict).raise_for_findings()


@pytest.mark.parametrize("service", ["core", "api"])
def test_browser_shows_that_there_is_no_answer(
    service: str, interview: Interview, hops: Hops, browser: Browser
) -> None:
    """Whoever is down, a person sees that the question could not be answered."""
    with hops.refusing(service):
        visit = browser.ask(interview.url("frontend"), "Why?")

    verdict = check_visit(visit) + check_failure_visible(visit)
    visit.explained(verdict).raise_for_findings()


# ---------------------------------------------------------------- consumers and what they built on


def test_consumer_is_not_broken_by_what_is_published(consumption: Consumption) -> None:
    """Whoever was built on a draft or an earlier revision still fits what is published."""
    check_still_fits(consumption).raise_for_findings()


def test_consumer_generated_what_is_published(agreement: Agreement, workspace: Path) -> None:
    """A consumer has built on what is published, and its generator makes just its files of that."""
    contract, consumer = agreement.contract, agreement.consumer

    check_built_on(
        contract.name, consumer, built_on=agreement.built_on, published=agreement.published
    ).raise_for_findings()
    check_generated(
        contract, agreement.generated, workspace, consumer=consumer, known=agreement.known
    ).raise_for_findings()
