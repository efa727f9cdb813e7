"""A runbook is a plan, or all that is wrong with it is said at once."""

from __future__ import annotations

import os
import re
import tomllib
from copy import deepcopy
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._domain import plan as values
from pytest_orchestrator._domain.plan import Part, Plan
from pytest_orchestrator._domain.runbook import Files, named_files, parse_runbook
from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator._run.runbook import MAX_BYTES, load_runbook
from pytest_orchestrator.errors import RunbookError
from tests.strategies import Document, calm, documents, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
REFERENCE = REPOSITORY / "docs" / "reference" / "runbook.md"

SMALL = """\
[run]
name = "small"
hides = ["gates/"]

[budget]
max_attempts = 3

[agents.lead]
role = "multi-agent-coordinator"
owns = ["docs/core.draft.json"]

[agents.core]
role = "python-pro"
owns = ["src/core/"]

[agents.api]
role = "csharp-developer"
owns = ["src/api/"]

[contracts.models]
kind = "models"
path = "docs/models.md"
publisher = "lead"
consumers = ["core"]

[contracts.core-api]
kind = "openapi"
path = "docs/core.json"
draft = "docs/core.draft.json"
publisher = "core"
consumers = ["api"]
operations = ["GET /health"]

[stacks.python]
recognised_by = ["main.py"]
start = ["{python}", "main.py"]

[services.core]
agent = "core"
path = "src/core"
stack = "python"
port = 8000

[services.api]
agent = "api"
path = "src/api"
stack = "python"
port = 5000
environment = { CORE_URL = "{core}/v1", OTLP_URL = "{traces}" }

[tasks.plan-models]
agent = "lead"
phase = 0
brief = "runbook/plan-models.md"
publishes = ["models"]

[tasks.core-domain]
agent = "core"
phase = 1
brief = "runbook/core-domain.md"
needs = ["models"]

[tasks.core-spec]
agent = "core"
phase = 1
brief = "runbook/core-spec.md"
needs = ["core-domain"]
publishes = ["core-api"]

[tasks.api-domain]
agent = "api"
phase = 1
brief = "runbook/api-domain.md"
needs = ["plan-models", "core-api"]

[gates.S1]
title = "Both are there"
phase = 1
tests = "gates/test_s1.py"
needs = ["core-api", "api-domain"]

[tasks.core-tests]
agent = "core"
phase = 2
brief = "runbook/core-tests.md"
needs = ["S1"]

[tasks.api-tests]
agent = "api"
phase = 2
brief = "runbook/api-tests.md"
needs = ["S1"]

[gates.S2]
title = "Both are tested"
phase = 2
tests = "gates/test_s2.py"
needs = ["core-tests", "api-tests"]
"""


def parse(text: str, *, files: Files | None = None) -> Plan:
    """The plan of a text, next to the files that the small runbook names."""
    there = files_of(tomllib.loads(SMALL)) if files is None else files
    return parse_runbook(tomllib.loads(text), source="runbook.toml", files=there)


def told(text: str, *, files: Files | None = None) -> list[tuple[str, str]]:
    """What is wrong with a text: each finding's key and sentence, in their order."""
    with pytest.raises(RunbookError) as caught:
        parse(text, files=files)
    return [(f.where, f.what) for f in caught.value.findings if isinstance(f, Finding)]


def findings(text: str, *, files: Files | None = None) -> dict[str, str]:
    """What is wrong with a text, by key."""
    return dict(told(text, files=files))


def changed(*changes: tuple[str, str], text: str = SMALL) -> str:
    """A text with some passages replaced; each must be there, or the change would be none.

    ``[tasks.core-spec] needs = …`` looks for the passage below that header only.
    """
    for old, new in changes:
        header, _, passage = old.rpartition("] ")
        start = text.index(f"{header}]") if header else 0
        at = text.index(passage, start)
        text = text[:at] + new + text[at + len(passage) :]
    return text


class Case(NamedTuple):
    """A way of being wrong: the changes that make it, the key it is told by, decisive words."""

    name: str
    changes: tuple[tuple[str, str], ...]
    where: str
    words: str


def case(name: str, where: str, words: str, *changes: tuple[str, str]) -> Any:
    """One way of being wrong, with a name to select it by."""
    return pytest.param(Case(name, changes, where, words), id=name)


SHAPES = [
    case(
        "run missing", "run", "[run] is missing", ('[run]\nname = "small"\nhides = ["gates/"]', "")
    ),
    case("run without name", "run.name", "is missing; [run] has one", ('name = "small"', "")),
    case(
        "unknown table",
        "bugdet",
        "unknown table; did you mean 'budget'?",
        ("[budget]", "[bugdet]"),
    ),
    case(
        "unknown key",
        "tasks.core-spec.neds",
        "unknown key; did you mean 'needs'?",
        ('[tasks.core-spec] needs = ["core-domain"]', "neds = []"),
    ),
    case(
        "unknown key without a near one",
        "budget.colour",
        "unknown key; expected one of 'max_attempts', 'max_wall_s', 'max_turns', "
        "'max_output_tokens', 'max_cost_usd'",
        ("max_attempts = 3", "colour = 3"),
    ),
    case(
        "unknown key of an agent's budget",
        "agents.api.budget.max_turn",
        "unknown key; did you mean 'max_turns'?",
        ('role = "csharp-developer"', 'role = "csharp-developer"\nbudget = { max_turn = 3 }'),
    ),
    case(
        "unknown key that is not meant to be a name",
        "gates.S1.nam",
        "unknown key; expected one of 'title', 'phase', 'tests', 'needs'",
        ("[gates.S1] phase = 1", "phase = 1\nnam = 1"),
    ),
    case(
        "name as a key",
        "tasks.core-spec.name",
        "unknown key; the name is the one of the table, 'core-spec'",
        ("[tasks.core-spec] phase = 1", 'phase = 1\nname = "spec"'),
    ),
    case(
        "missing key",
        "gates.S1.title",
        "is missing; every gate has one",
        ('title = "Both are there"\n', ""),
    ),
    case(
        "table that is a value",
        "agents.extra",
        "expected a table, got 3",
        ("[agents.lead]", "[agents]\nextra = 3\n\n[agents.lead]"),
    ),
    case(
        "text for a number",
        "tasks.core-spec.phase",
        "expected a whole number, got '1'",
        ("[tasks.core-spec] phase = 1", 'phase = "1"'),
    ),
    case(
        "boolean for a number",
        "services.core.port",
        "expected a whole number, got true",
        ("port = 8000", "port = true"),
    ),
    case(
        "fraction for a whole number",
        "tasks.core-tests.phase",
        "expected a whole number, got 2.5",
        ("[tasks.core-tests] phase = 2", "phase = 2.5"),
    ),
    case(
        "number for a text",
        "gates.S1.title",
        "expected a string, got 1",
        ('title = "Both are there"', "title = 1"),
    ),
    case(
        "text for a list",
        "agents.core.owns",
        "expected a list, got 'src/core/'; write ['src/core/']",
        ('owns = ["src/core/"]', 'owns = "src/core/"'),
    ),
    case(
        "number in a list",
        "tasks.core-tests.needs[1]",
        "expected a string, got 7",
        ('[tasks.core-tests] needs = ["S1"]', 'needs = ["S1", 7]'),
    ),
    case(
        "list for a table",
        "services.api.environment",
        "expected a table, got an empty list",
        ('environment = { CORE_URL = "{core}/v1", OTLP_URL = "{traces}" }', "environment = []"),
    ),
    case(
        "phase below zero",
        "gates.S2.phase",
        "expected at least 0, got -1",
        ("[gates.S2] phase = 2", "phase = -1"),
    ),
    case(
        "port out of range",
        "services.core.port",
        "expected at most 65535, got 80000",
        ("port = 8000", "port = 80000"),
    ),
    case(
        "no time at all",
        "budget.max_wall_s",
        "expected more than 0, got 0",
        ("max_attempts = 3", "max_wall_s = 0"),
    ),
    case(
        "no end of time",
        "budget.max_wall_s",
        "expected a finite number, got inf",
        ("max_attempts = 3", "max_wall_s = inf"),
    ),
    case(
        "kind that does not exist",
        "contracts.models.kind",
        "expected 'openapi' or 'models', got 'model'; did you mean 'models'?",
        ('kind = "models"', 'kind = "model"'),
    ),
    case(
        "check that does not exist",
        "tasks.core-spec.checks[0]",
        "expected 'build' or 'test', got 'lint'; expected one of 'build', 'test'",
        ("[tasks.core-spec] phase = 1", 'phase = 1\nchecks = ["lint"]'),
    ),
    case(
        "operation without method",
        "contracts.core-api.operations[0]",
        "expected a method and a path, e.g. 'GET /health', got '/health'",
        ("GET /health", "/health"),
    ),
    case(
        "health that is no path",
        "services.core.health",
        "expected a path that begins with '/', got 'health'",
        ("port = 8000", 'port = 8000\nhealth = "health"'),
    ),
    case(
        "empty list", "agents.api.owns", "must not be empty", ('owns = ["src/api/"]', "owns = []")
    ),
    case("empty text", "agents.api.role", "must not be empty", ("csharp-developer", "")),
    case(
        "name with a space",
        'services."the core"',
        "expected a name: a letter, then letters, digits, '-' or '_', got 'the core'",
        ("[services.core]", '[services."the core"]'),
        ("{core}/v1", "http://localhost"),
    ),
    case(
        "variable with a strange name",
        "services.api.environment.1_URL",
        "expected a name",
        ("CORE_URL", "1_URL"),
    ),
    case(
        "very long value",
        "contracts.models.kind",
        f"got '{'m' * 60}…'",
        ('kind = "models"', f'kind = "{"m" * 5000}"'),
    ),
    case(
        "number of many digits",
        "services.core.port",
        "got a number of very many digits",
        ("port = 8000", f"port = 0x{'f' * 5000}"),
    ),
]

NAMES = [
    case(
        "agent of a task",
        "tasks.core-spec.agent",
        "there is no agent 'cor'; did you mean 'core'?",
        ('[tasks.core-spec] agent = "core"', 'agent = "cor"'),
    ),
    case(
        "agent of a service",
        "services.core.agent",
        "there is no agent 'nobody'; expected one of 'lead', 'core', 'api'",
        ('[services.core] agent = "core"', 'agent = "nobody"'),
    ),
    case(
        "publisher",
        "contracts.models.publisher",
        "there is no agent 'leed'; did you mean 'lead'?",
        ('publisher = "lead"', 'publisher = "leed"'),
    ),
    case(
        "consumer",
        "contracts.core-api.consumers[0]",
        "there is no agent 'apy'; did you mean 'api'?",
        ('consumers = ["api"]', 'consumers = ["apy"]'),
    ),
    case(
        "stack",
        "services.api.stack",
        "there is no stack 'pyton'; did you mean 'python'?",
        ('[services.api] stack = "python"', 'stack = "pyton"'),
    ),
    case(
        "need of a task",
        "tasks.api-domain.needs[1]",
        "there is no gate, contract or task 'core_api'; did you mean 'core-api'?",
        ('"plan-models", "core-api"', '"plan-models", "core_api"'),
    ),
    case(
        "need in another case",
        "tasks.core-tests.needs[0]",
        "there is no gate, contract or task 's1'; did you mean 'S1'?",
        ('[tasks.core-tests] needs = ["S1"]', 'needs = ["s1"]'),
    ),
    case(
        "need of a gate",
        "gates.S1.needs[1]",
        "there is no gate, contract or task 'frontend'; expected one of 'S1', 'S2', 'models', "
        "'core-api', 'plan-models', 'core-domain', 'core-spec', 'api-domain' and 2 more",
        ('"core-api", "api-domain"', '"core-api", "frontend"'),
    ),
    case(
        "contract that does not exist",
        "tasks.core-domain.publishes[0]",
        "there is no contract 'model'; did you mean 'models'?",
        ('needs = ["models"]', 'needs = ["models"]\npublishes = ["model"]'),
    ),
    case(
        "name of a task and of a contract",
        "tasks.models",
        "is also the name of contracts.models; needs may name either, so rename one",
        ("[tasks.plan-models]", "[tasks.models]"),
        ('"plan-models", "core-api"', '"models", "core-api"'),
    ),
    case(
        "name of a task and of a gate",
        "tasks.S2",
        "is also the name of gates.S2",
        ("[tasks.core-domain]", "[tasks.S2]"),
        ('needs = ["core-domain"]', ""),
    ),
    case(
        "agent without a task",
        "agents.idle",
        "has no task",
        ("[agents.lead]", '[agents.idle]\nrole = "x"\nowns = ["x/"]\n\n[agents.lead]'),
    ),
    case(
        "contract nobody publishes",
        "contracts.models",
        "no task publishes it, and tasks.core-domain waits for it; "
        "add it to the publishes of a task of lead",
        ('publishes = ["models"]', ""),
    ),
    case(
        "contract with consumers that nobody publishes",
        "contracts.models",
        "no task publishes it, and core, api wait for it",
        ('publishes = ["models"]', ""),
        ('needs = ["models"]', ""),
        ('consumers = ["core"]', 'consumers = ["core", "api"]'),
    ),
    case(
        "contract published twice",
        "tasks.core-tests.publishes[0]",
        "'core-api' is published by tasks.core-spec.publishes[0] already; remove one",
        ('[tasks.core-tests] needs = ["S1"]', 'needs = ["S1"]\npublishes = ["core-api"]'),
    ),
    case(
        "contract published by another agent",
        "tasks.core-spec.publishes[0]",
        "'core-api' is published by api, but this task is core's; move it to a task of api",
        ('publisher = "core"', 'publisher = "api"'),
    ),
    case(
        "operations of models",
        "contracts.models.operations",
        "only a contract of kind 'openapi' has operations, this one is 'models'; remove them",
        ('kind = "models"', 'kind = "models"\noperations = ["GET /health"]'),
    ),
    case(
        "response of an operation nobody asks for",
        'contracts.core-api.responses."GET /helth"',
        "is not among the operations; did you mean 'GET /health'?",
        (
            'operations = ["GET /health"]',
            'operations = ["GET /health"]\nresponses = {"GET /helth" = "Health"}',
        ),
    ),
    case(
        "response that is no name",
        'contracts.core-api.responses."GET /health"',
        "expected a name: a letter, then letters, digits, '-' or '_', got 'a model'",
        (
            'operations = ["GET /health"]',
            'operations = ["GET /health"]\nresponses = {"GET /health" = "a model"}',
        ),
    ),
    case(
        "unknown way to ask",
        "contracts.core-api.live.sede",
        "unknown key; did you mean 'seed'?",
        ('operations = ["GET /health"]', 'operations = ["GET /health"]\nlive = {sede = 1}'),
    ),
    case(
        "no yes or no",
        "contracts.core-api.live.schemathesis",
        "expected true or false, got 'yes'",
        (
            'operations = ["GET /health"]',
            'operations = ["GET /health"]\nlive = {schemathesis = "yes"}',
        ),
    ),
    case(
        "live models",
        "contracts.models.live",
        "only a contract of kind 'openapi' has live, this one is 'models'; remove them",
        ('kind = "models"', 'kind = "models"\nlive = {seed = 1}'),
    ),
    case(
        "placeholder of no service",
        "services.api.environment.CORE_URL",
        "there is no service '{coer}'; did you mean 'core'?",
        ("{core}/v1", "{coer}/v1"),
    ),
    case(
        "placeholder with spaces",
        "services.api.environment.CORE_URL",
        "there is no service '{ core }'; did you mean 'core'?",
        ("{core}/v1", "{ core }/v1"),
    ),
    case(
        "service called traces",
        "services.traces",
        "'{traces}' stands for the trace store's URL; give the service another name",
        ("[services.core]", "[services.traces]"),
        ("{core}/v1", "http://localhost"),
    ),
    case(
        "service called port",
        "services.port",
        "'{port}' stands for the port a service was given; give the service another name",
        ("[services.core]", "[services.port]"),
        ("{core}/v1", "http://localhost"),
    ),
    case(
        "port of two services",
        "services.api.port",
        "8000 is the port of service 'core' already; choose another",
        ("port = 5000", "port = 8000"),
    ),
    case(
        "gate that needs nothing",
        "gates.S1.needs",
        "is empty; name the tasks, contracts or gates this gate judges",
        ('needs = ["core-api", "api-domain"]', "needs = []"),
    ),
    case(
        "gate without needs",
        "gates.S1.needs",
        "is missing; every gate has one",
        ('needs = ["core-api", "api-domain"]', ""),
    ),
    case(
        "two gates with one module",
        "gates.S2.tests",
        "'gates/test_s1.py' judges gate 'S1' already; give each its own module",
        ("test_s2.py", "test_s1.py"),
    ),
]

PLACES = [
    case(
        "absolute",
        "agents.core.owns[1]",
        "'/etc/' is absolute; write it relative to the runbook's folder",
        ('owns = ["src/core/"]', 'owns = ["src/core/", "/etc/"]'),
    ),
    case(
        "drive",
        "tasks.core-spec.brief",
        "'C:/core.md' is absolute",
        ("runbook/core-spec.md", "C:/core.md"),
    ),
    case(
        "upwards",
        "gates.S1.tests",
        "'gates/../x.py' goes up by '..'",
        ("gates/test_s1.py", "gates/../x.py"),
    ),
    case(
        "backslash",
        "contracts.models.path",
        r"'docs\\models.md' has a backslash; write '/'",
        ("docs/models.md", r"docs\\models.md"),
    ),
    case(
        "dot",
        "services.core.path",
        "'./src/core' has an empty part or a '.'",
        ('path = "src/core"', 'path = "./src/core"'),
    ),
    case(
        "double slash",
        "run.hides[0]",
        "'gates//x' has an empty part",
        ('hides = ["gates/"]', 'hides = ["gates//x"]'),
    ),
    case(
        "control character",
        "contracts.core-api.draft",
        "has a control character",
        ('draft = "docs/core.draft.json"', r'draft = "docs/\u0000"'),
    ),
    case(
        "folder for a file",
        "contracts.models.path",
        "'docs/models/' is a folder; name a file",
        ("docs/models.md", "docs/models/"),
    ),
    case(
        "one folder of two agents",
        "agents.api.owns[1]",
        "'src/core/', which api owns, is the same as 'src/core/', which core owns; "
        "a path has one owner",
        ('owns = ["src/api/"]', 'owns = ["src/api/", "src/core/"]'),
    ),
    case(
        "folder in another agent's folder",
        "agents.api.owns[1]",
        "'src/core/api/', which api owns, lies inside 'src/core/', which core owns",
        ('owns = ["src/api/"]', 'owns = ["src/api/", "src/core/api/"]'),
    ),
    case(
        "folder around another agent's folder",
        "agents.api.owns[1]",
        "'src/', which api owns, contains 'src/core/', which core owns",
        ('owns = ["src/api/"]', 'owns = ["src/api/", "src/"]'),
    ),
    case(
        "folder without its slash",
        "agents.api.owns[1]",
        "'src/core', which api owns, is the same as 'src/core/', which core owns",
        ('owns = ["src/api/"]', 'owns = ["src/api/", "src/core"]'),
    ),
    case(
        "contract in another agent's folder",
        "contracts.models.path",
        "'src/core/models.md', which lead publishes, lies inside 'src/core/', which core owns",
        ("docs/models.md", "src/core/models.md"),
    ),
    case(
        "contract another agent owns",
        "contracts.models.path",
        "'docs/models.md', which lead publishes, is the same as 'docs/models.md', which api owns",
        ('owns = ["src/api/"]', 'owns = ["src/api/", "docs/models.md"]'),
    ),
    case(
        "two contracts in one file",
        "contracts.core-api.path",
        "'docs/models.md' is contracts.models.path already; give each its own file",
        ("docs/core.json", "docs/models.md"),
    ),
    case(
        "contract that is its own draft",
        "contracts.core-api.draft",
        "'docs/core.json' is contracts.core-api.path already",
        ('draft = "docs/core.draft.json"', 'draft = "docs/core.json"'),
        ('owns = ["src/core/"]', 'owns = ["src/core/", "docs/core.json"]'),
    ),
    case(
        "draft nobody may write",
        "contracts.core-api.draft",
        "nobody may write 'docs/draft.json'; add it to the owns of who drafts it",
        ('draft = "docs/core.draft.json"', 'draft = "docs/draft.json"'),
    ),
    case(
        "service outside its agent's folders",
        "services.core.path",
        "'src/kernel' is in none of the folders core owns; add 'src/kernel/' to agents.core.owns",
        ('path = "src/core"', 'path = "src/kernel"'),
    ),
    case(
        "brief that is not there",
        "tasks.core-spec.brief",
        "'runbook/spec.md' is not there",
        ("runbook/core-spec.md", "runbook/spec.md"),
    ),
    case(
        "gate nobody judges",
        "gates.S2.tests",
        "'gates/test_s3.py' is not there, so nobody would judge this gate",
        ("test_s2.py", "test_s3.py"),
    ),
]

ORDER = [
    case(
        "need of a later gate",
        "tasks.api-domain.needs[0]",
        "'S2' is of phase 2, but 'api-domain' is of phase 1, which comes first; make it 2 or more",
        ('[tasks.api-domain] needs = ["plan-models", "core-api"]', 'needs = ["S2"]'),
        ('needs = ["core-api", "api-domain"]', 'needs = ["core-api"]'),
        ('needs = ["core-tests", "api-tests"]', 'needs = ["core-tests"]'),
    ),
    case(
        "need of a later task",
        "tasks.api-domain.needs[0]",
        "'core-tests' is of phase 2, but 'api-domain' is of phase 1",
        ('needs = ["plan-models", "core-api"]', 'needs = ["core-tests"]'),
        ('needs = ["core-api", "api-domain"]', 'needs = ["core-api"]'),
    ),
    case(
        "need of a contract that is published later",
        "tasks.core-domain.needs[0]",
        "'models' is published in phase 2, but 'core-domain' is of phase 1",
        ("[tasks.plan-models] phase = 0", "phase = 2"),
        ('[tasks.api-domain] needs = ["plan-models", "core-api"]', 'needs = ["core-api"]'),
    ),
    case(
        "gate before what it judges",
        "gates.S2.needs[0]",
        "'core-tests' is of phase 2, but 'S2' is of phase 1, which comes first",
        ("[gates.S2] phase = 2", "phase = 1"),
        ('needs = ["core-tests", "api-tests"]', 'needs = ["core-tests"]'),
    ),
    case(
        "task that needs itself",
        "tasks.core-domain.needs[0]",
        "core-domain -> core-domain: each waits for the next, so none can ever start; "
        "drop one of these needs",
        ('needs = ["models"]', 'needs = ["core-domain"]'),
    ),
    case(
        "tasks in a circle",
        "tasks.core-domain.needs[0]",
        "core-domain -> api-domain -> core-domain: each waits for the next",
        ('needs = ["models"]', 'needs = ["api-domain"]'),
        ('"plan-models", "core-api"', '"core-domain"'),
    ),
    case(
        "circle through a gate",
        "tasks.core-domain.needs[0]",
        "core-domain -> S1 -> core-spec -> core-domain: each waits for the next, so none can "
        "ever start (core-spec comes in its lane after core-domain); drop one of these needs",
        ('needs = ["models"]', 'needs = ["S1"]'),
        ('needs = ["core-api", "api-domain"]', 'needs = ["core-spec"]'),
    ),
    case(
        "circle through a gate that waits although there is a draft",
        "tasks.core-domain.needs[0]",
        "core-domain -> S1 -> core-api -> core-spec -> core-domain",
        ('needs = ["models"]', 'needs = ["S1"]'),
        ('needs = ["core-api", "api-domain"]', 'needs = ["core-api"]'),
    ),
    case(
        "circle by a need that is written twice",
        "tasks.core-domain.needs[0]",
        "core-domain -> api-domain -> core-domain",
        ('needs = ["models"]', 'needs = ["api-domain", "api-domain"]'),
        ('"plan-models", "core-api"', '"core-domain"'),
    ),
    case(
        "circle through the order of a lane",
        "tasks.core-domain.needs[0]",
        "core-domain -> core-spec -> core-domain: each waits for the next, so none can ever "
        "start (core-spec comes in its lane after core-domain)",
        ('needs = ["models"]', 'needs = ["core-spec"]'),
        ('[tasks.core-spec] needs = ["core-domain"]', "needs = []"),
    ),
    case(
        "circle through a contract",
        "tasks.plan-models.needs[0]",
        "plan-models -> core-domain -> models -> plan-models: each waits for the next, so none "
        "can ever start (models is published by plan-models)",
        ("[tasks.plan-models] phase = 0", 'phase = 1\nneeds = ["core-domain"]'),
    ),
    case(
        "gates in a circle",
        "gates.S1.needs[0]",
        "S1 -> S2 -> S1: each waits for the next",
        ('needs = ["core-api", "api-domain"]', 'needs = ["S2"]'),
        ('needs = ["core-tests", "api-tests"]', 'needs = ["S1"]'),
        ("[gates.S1] phase = 1", "phase = 2"),
    ),
    case(
        "parts in a circle",
        "tasks.core-spec.needs[0]",
        "core_phase1 -> api_phase1 -> core_phase1: an agent's part of a phase is waited for as a "
        "whole, so these wait for each other although their tasks do not (core_phase1 waits for "
        "api_phase1 by tasks.core-spec.needs[0], api_phase1 waits for core_phase1 by "
        "tasks.api-domain.needs[0]); move a task to another phase, or split it",
        ('[tasks.core-spec] needs = ["core-domain"]', 'needs = ["api-domain"]'),
        ('"plan-models", "core-api"', '"core-domain"'),
    ),
    case(
        "part in a circle with a gate",
        "tasks.core-spec.needs[0]",
        "core_phase1 -> S1 -> core_phase1: an agent's part of a phase is waited for as a whole",
        ('[tasks.core-spec] needs = ["core-domain"]', 'needs = ["S1"]'),
        ('needs = ["core-api", "api-domain"]', 'needs = ["core-domain"]'),
    ),
]


SERVICES = [
    case(
        "artefact outside of the service",
        "stacks.python.artefacts[0]",
        "'../out/*' goes up by '..'; write it from the runbook's folder down",
        ('recognised_by = ["main.py"]', 'recognised_by = ["main.py"]\nartefacts = ["../out/*"]'),
    ),
    case(
        "compiled artefact outside of the service",
        "stacks.python.artefacts[0]",
        "'{bytecode}/../*.pyc' goes up by '..'",
        (
            'recognised_by = ["main.py"]',
            'recognised_by = ["main.py"]\nartefacts = ["{bytecode}/../*.pyc"]',
        ),
    ),
    case(
        "artefact that nothing makes",
        "stacks.python.artefacts[0]",
        "nothing makes 'main.exe'; give stacks.python a build",
        ('recognised_by = ["main.py"]', 'recognised_by = ["main.py"]\nartefacts = ["main.exe"]'),
    ),
    case(
        "artefacts misspelt",
        "stacks.python.artifacts",
        "unknown key; did you mean 'artefacts'?",
        ('recognised_by = ["main.py"]', 'recognised_by = ["main.py"]\nartifacts = ["main.exe"]'),
    ),
    case(
        "steady for too long",
        "services.core.steady_s",
        "expected at most 600, got 3600",
        ("port = 8000", "port = 8000\nsteady_s = 3600"),
    ),
    case(
        "what health says is no text",
        "services.core.health_says.status",
        "expected a string, got true",
        ("port = 8000", "port = 8000\nhealth_says = { status = true }"),
    ),
]


GENERATED = """
[contracts.core-api.generated.api]
command = ["generate", "{contract}", "{out}/src/api/core.py"]
files = ["src/api/core.py"]

[stacks.python]"""


def generates(name: str, where: str, words: str, *changes: tuple[str, str]) -> Any:
    """One way of being wrong for a runbook with a generator."""
    return case(name, where, words, ("[stacks.python]", GENERATED), *changes)


GENERATORS = [
    case(
        "time to wait for no draft",
        "contracts.models.draft_after_s",
        "there is no draft to begin on; name one by draft, or remove this",
        ('kind = "models"', 'kind = "models"\ndraft_after_s = 30'),
    ),
    case(
        "time before it begins",
        "contracts.core-api.draft_after_s",
        "expected at least 0, got -1",
        ('kind = "openapi"', 'kind = "openapi"\ndraft_after_s = -1'),
    ),
    generates(
        "generator of no consumer",
        "contracts.core-api.generated.apy",
        "there is no consumer 'apy'; did you mean 'api'?",
        ("generated.api]", "generated.apy]"),
    ),
    generates(
        "generator of somebody who does not consume",
        "contracts.core-api.generated.lead",
        "lead is no consumer of 'core-api'; add 'lead' to contracts.core-api.consumers",
        ("generated.api]", "generated.lead]"),
        ("src/api/core.py", "docs/core.draft.json"),
        ('["src/api/core.py"]', '["docs/core.draft.json"]'),
    ),
    generates(
        "generator of who needs no contract",
        "contracts.core-api.generated.api",
        "no task of api needs 'core-api', so no gate would compare these files; "
        "add it to the needs of the task that generates them",
        ('"plan-models", "core-api"', '"plan-models"'),
    ),
    generates(
        "generator that no gate sees",
        "contracts.core-api.generated.api",
        "no gate judges both api_phase1 and the published 'core-api', so nobody would compare",
        ('needs = ["core-api", "api-domain"]', 'needs = ["api-domain"]'),
        ('needs = ["core-tests", "api-tests"]', 'needs = ["S1"]'),
        ('[tasks.core-tests] needs = ["S1"]', "needs = []"),
        ('[tasks.api-tests] needs = ["S1"]', "needs = []"),
    ),
    generates(
        "file that nobody may write",
        "contracts.core-api.generated.api.files[0]",
        "'src/core/api.py' is in nothing that api owns; add it to agents.api.owns, or move it",
        ('files = ["src/api/core.py"]', 'files = ["src/core/api.py"]'),
    ),
    generates(
        "file that goes up",
        "contracts.core-api.generated.api.files[1]",
        "'../core.py' goes up by '..'",
        ('files = ["src/api/core.py"]', 'files = ["src/api/core.py", "../core.py"]'),
    ),
    generates(
        "folder for a file that is generated",
        "contracts.core-api.generated.api.files[0]",
        "'src/api/' is a folder; name a file",
        ('files = ["src/api/core.py"]', 'files = ["src/api/"]'),
    ),
    generates(
        "file that is made twice",
        "contracts.core-api.generated.api.files[1]",
        "'src/api/core.py' is contracts.core-api.generated.api.files[0] already; give each its own",
        ('files = ["src/api/core.py"]', 'files = ["src/api/core.py", "src/api/core.py"]'),
    ),
    generates(
        "command that reads nothing",
        "contracts.core-api.generated.api.command",
        "'{contract}' does not occur in it; write it for the file to read",
        ('"{contract}"', '"docs/core.json"'),
    ),
    generates(
        "command that writes nowhere",
        "contracts.core-api.generated.api.command",
        "'{out}' does not occur in it; write it for the folder to write to",
        ("{out}/src", "src"),
    ),
    generates(
        "placeholder for nothing",
        "contracts.core-api.generated.api.command[1]",
        "'{contrct}' stands for nothing; did you mean 'contract'?",
        ('"{contract}"', '"{contrct}"'),
    ),
    generates(
        "placeholder with spaces in a command",
        "contracts.core-api.generated.api.command[2]",
        "'{ out }' stands for nothing; did you mean 'out'?",
        ("{out}/src", "{ out }/src"),
    ),
    generates(
        "unknown key of a generator",
        "contracts.core-api.generated.api.timeout",
        "unknown key; did you mean 'timeout_s'?",
        ('files = ["src/api/core.py"]', 'files = ["src/api/core.py"]\ntimeout = 3'),
    ),
    generates(
        "generator without files",
        "contracts.core-api.generated.api.files",
        "is missing; [contracts.core-api.generated.api] has one",
        ('files = ["src/api/core.py"]', ""),
    ),
    generates(
        "generator without time",
        "contracts.core-api.generated.api.timeout_s",
        "expected more than 0, got 0",
        ('files = ["src/api/core.py"]', 'files = ["src/api/core.py"]\ntimeout_s = 0'),
    ),
    generates(
        "text for a command",
        "contracts.core-api.generated.api.command",
        "expected a list, got 'generate'; write ['generate']",
        ('["generate", "{contract}", "{out}/src/api/core.py"]', '"generate"'),
    ),
    generates(
        "number in a command",
        "contracts.core-api.generated.api.command[3]",
        "expected a string, got 3",
        ('"{out}/src/api/core.py"]', '"{out}/src/api/core.py", 3]'),
    ),
]


def traces(*lines: str) -> tuple[str, str]:
    """The small runbook with a table [traces]."""
    return "[agents.lead]", "\n".join(("[traces]", *lines, "", "[agents.lead]"))


URL = 'url = "http://127.0.0.1:3200"'
OTLP = 'otlp = "http://127.0.0.1:4318"'
TRACES = [
    case("url alone", "traces.url", "needs otlp beside it", traces(URL)),
    case("otlp alone", "traces.otlp", "needs url beside it", traces(OTLP)),
    case(
        "grafana alone", "traces.grafana", "needs url and otlp: Grafana cannot look into",
        traces('grafana = "http://127.0.0.1:3001"'),
    ),
    case(
        "never settles", "traces.settle_s", "settle_s is 20 and must be less than deadline_s, "
        "which is 15", traces("settle_s = 20"),
    ),
    case(
        "no time to settle", "traces.deadline_s", "must be less than deadline_s, which is 1",
        traces("deadline_s = 1"),
    ),
    case("no time", "traces.deadline_s", "expected more than 0, got 0", traces("deadline_s = 0")),
    case("skew", "traces.skew_s", "expected at least 0, got -1", traces("skew_s = -1")),
    case("text", "traces.settle_s", "expected a number, got '1'", traces('settle_s = "1"')),
    case("typo", "traces.dedline_s", "did you mean 'deadline_s'", traces("dedline_s = 9")),
    case(
        "no scheme", "traces.url", "the URL of a server, without a name or password",
        traces('url = "127.0.0.1:3200"', OTLP),
    ),
    case(
        "password", "traces.otlp", "the URL of a server, without a name or password",
        traces(URL, 'otlp = "http://me:secret@127.0.0.1:4318"'),
    ),
    case(
        "no uid", "traces.grafana_datasource", "must not be empty",
        traces('grafana_datasource = ""'),
    ),
]  # fmt: skip


def test_traces_have_their_bounds_and_store() -> None:
    """What is written is what holds; the rest by default."""
    plan = parse(changed(traces("deadline_s = 5.5", URL, OTLP)))

    assert plan.traces == values.Traces(
        deadline_s=5.5, url="http://127.0.0.1:3200", otlp="http://127.0.0.1:4318"
    )
    assert parse(SMALL).traces == values.Traces(deadline_s=15, settle_s=1, url=None)


@pytest.mark.parametrize("wrong", SHAPES + NAMES + PLACES + SERVICES + ORDER + GENERATORS + TRACES)
def test_a_mistake_is_told_by_its_key(wrong: Case) -> None:
    """One mistake is one finding: the key as people write it, and a sentence."""
    ((where, what),) = told(changed(*wrong.changes))

    assert where == wrong.where
    assert wrong.words in what


def test_a_runbook_that_holds_together_is_a_plan() -> None:
    """Names come from the tables, paths and numbers as they are written, the rest by default."""
    plan = parse(SMALL)

    assert list(plan.tasks) == [
        "plan-models",
        "core-domain",
        "core-spec",
        "api-domain",
        "core-tests",
        "api-tests",
    ]
    assert plan.tasks["core-spec"].name == "core-spec"
    assert plan.tasks["core-spec"].publishes == ("core-api",)
    assert plan.run.agents == "off"
    assert plan.budget == values.Budget(max_attempts=3)
    assert plan.services["api"].environment["CORE_URL"] == "{core}/v1"
    assert plan.briefs["runbook/core-spec.md"] == "What runbook/core-spec.md asks for."
    assert [str(part) for part in plan.parts] == [
        "lead_phase0",
        "core_phase1",
        "api_phase1",
        "core_phase2",
        "api_phase2",
    ]


def test_generators_are_named_by_consumer() -> None:
    """What a consumer generates is a value under its name, bounded by two minutes."""
    plan = parse(changed(("[stacks.python]", GENERATED)))

    assert plan.contracts["core-api"].generated == {
        "api": values.Generated(
            command=("generate", "{contract}", "{out}/src/api/core.py"), files=("src/api/core.py",)
        )
    }
    assert plan.contracts["core-api"].generated["api"].timeout_s == 120


def test_a_gate_judges_generators_whose_contract_and_consumer_it_needs() -> None:
    """By way of other gates, too; not where it needs one without the other."""
    both = changed(("[stacks.python]", GENERATED))
    contract_only = changed(
        ('needs = ["core-api", "api-domain"]', 'needs = ["core-api"]'), text=both
    )
    task_only = changed(('needs = ["core-api", "api-domain"]', 'needs = ["api-domain"]'), text=both)

    found = {
        name: [parse(text).generated_before(gate) for gate in ("S1", "S2")]
        for name, text in (("both", both), ("contract", contract_only), ("task", task_only))
    }

    pair = (("core-api", "api"),)
    assert found == {"both": [pair, pair], "contract": [(), pair], "task": [(), pair]}


def test_a_generator_is_not_called_unjudged_for_a_need_that_leads_nowhere() -> None:
    """One mistake in a gate's needs is one finding."""
    text = changed(
        ("[stacks.python]", GENERATED),
        ('needs = ["core-api", "api-domain"]', 'needs = ["core-api", "api-domian"]'),
        ('needs = ["core-tests", "api-tests"]', 'needs = ["core-tests"]'),
    )

    assert list(findings(text)) == ["gates.S1.needs[1]"]


def test_a_plan_made_of_a_runbook_is_valid() -> None:
    """Whoever validates the plan once more gets the same plan."""
    plan = parse(SMALL)

    assert Plan.model_validate(plan.model_dump()) == plan


def test_only_run_agents_and_tasks_are_needed() -> None:
    """A runbook without budget, contracts, services, stacks and gates is one."""
    plan = parse(
        """
        run.name = "smallest"
        agents.core = { role = "python-pro", owns = ["src/"] }
        tasks.core-domain = { agent = "core", phase = 1, brief = "runbook/core-domain.md" }
        """
    )

    assert plan.budget == values.Budget()
    assert not plan.gates


def test_an_empty_runbook_lacks_three_tables() -> None:
    """What is missing is said once, not once for everything that would refer to it."""
    found = findings("")

    assert list(found) == ["run", "agents", "tasks"]
    assert found["agents"].startswith("[agents] is missing")
    assert found["tasks"].startswith("[tasks] is missing")


def test_tasks_without_agents_lack_the_agents_only() -> None:
    """Without any agent, it is not said of every task that its agent does not exist."""
    text = re.sub(r"\[agents\.\w+\]\n.*\n.*\n", "", SMALL)

    assert list(findings(text)) == ["agents"]


def test_agents_without_tasks_lack_the_tasks_only() -> None:
    """Without any task, it is not said of every agent that it has none."""
    text = SMALL.partition("[contracts.models]")[0]

    assert list(findings(text)) == ["tasks"]


def test_a_misplaced_path_has_no_owner() -> None:
    """Two agents that own the same absolute path are told that it is absolute, twice."""
    text = changed(
        ('owns = ["src/core/"]', 'owns = ["src/core/", "/etc/"]'),
        ('owns = ["src/api/"]', 'owns = ["src/api/", "/etc/"]'),
    )

    assert [(where, "is absolute" in what) for where, what in told(text)] == [
        ("agents.core.owns[1]", True),
        ("agents.api.owns[1]", True),
    ]


def test_a_table_of_the_wrong_kind_is_told_once() -> None:
    """What is in place of a table is quoted, and that is all."""
    text = changed(("[run]", "gates = 3\n[run]")).partition("[gates.S1]")[0]

    assert findings(text) == {"gates": "expected tables with names, e.g. [gates.core], got 3"}


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    """Findings of every kind come together, from the first line to the last."""
    text = changed(
        ("max_attempts = 3", "max_attempts = 0"),
        ('owns = ["src/api/"]', 'owns = ["src/api/", "/tmp/"]'),
        ('kind = "models"', 'kind = "modell"'),
        ("port = 5000", "port = 8000"),
        ('[tasks.core-domain] needs = ["models"]', 'needs = ["models", "core-spec"]'),
        ("runbook/core-spec.md", "runbook/nowhere.md"),
        ('"plan-models", "core-api"', '"plan-model", "S2"'),
        ('title = "Both are there"', 'titel = "Both are there"'),
        ("test_s2.py", "test_s1.py"),
    )

    assert list(findings(text)) == [
        "budget.max_attempts",
        "agents.api.owns[1]",
        "contracts.models.kind",
        "services.api.port",
        "tasks.core-domain.needs[1]",
        "tasks.core-spec.brief",
        "tasks.api-domain.needs[0]",
        "tasks.api-domain.needs[1]",
        "gates.S1.titel",
        "gates.S1.title",
        "gates.S2.tests",
    ]


def test_an_unsound_entry_hides_no_other_mistake_of_its_own() -> None:
    """A task whose brief is missing still takes part in a circle, and in names."""
    text = changed(
        ('needs = ["models"]', 'needs = ["core-spec", "nothing"]'),
        ('brief = "runbook/core-spec.md"', ""),
    )

    assert list(findings(text)) == [
        "tasks.core-domain.needs[0]",
        "tasks.core-domain.needs[1]",
        "tasks.core-spec.brief",
    ]


def test_each_circle_is_told() -> None:
    """Two circles are two findings."""
    text = changed(
        ('needs = ["models"]', 'needs = ["core-spec"]'),
        ('"plan-models", "core-api"', '"plan-models", "api-domain"'),
    )

    found = findings(text)

    assert "core-domain -> core-spec -> core-domain" in found["tasks.core-domain.needs[0]"]
    assert "api-domain -> api-domain" in found["tasks.api-domain.needs[1]"]


def test_a_draft_opens_a_circle() -> None:
    """Who needs a contract that has a draft does not wait, so nothing waits for itself."""
    text = changed(('needs = ["models"]', 'needs = ["api-domain"]'), ('["plan-models", ', "["))

    assert parse(text).rests_on(Part("api", 1)) == (frozenset(), frozenset())
    assert (
        "core-domain -> api-domain -> core-api -> core-spec -> core-domain"
        in (
            findings(changed(('draft = "docs/core.draft.json"', ""), text=text))[
                "tasks.core-domain.needs[0]"
            ]
        )
    )


def test_a_circle_of_parts_may_go_through_a_lane() -> None:
    """A part waits for the part before it, although no need says so."""
    text = changed(
        ('[tasks.core-spec] needs = ["core-domain"]', 'needs = ["S1"]'),
        ('"plan-models", "core-api"', '"core-domain"'),
        ('needs = ["core-api", "api-domain"]', 'needs = ["api-tests"]'),
        ('[tasks.api-tests] needs = ["S1"]', "needs = []"),
    )

    found = findings(text)

    assert list(found) == ["tasks.core-spec.needs[0]", "gates.S1.needs[0]"]
    assert (
        "core_phase1 -> S1 -> api_phase2 -> api_phase1 -> core_phase1"
        in found["tasks.core-spec.needs[0]"]
    )
    assert "api_phase2 comes in its lane after api_phase1" in found["tasks.core-spec.needs[0]"]


def test_phases_may_have_holes() -> None:
    """Only the order of the numbers counts."""
    plan = parse(SMALL.replace("phase = 2", "phase = 7"))

    assert plan.phases == (0, 1, 7)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (Files({}), "'runbook/core-spec.md' is not there; write what the agent is to do"),
        (
            Files({"runbook/core-spec.md": " \n\t"}),
            "'runbook/core-spec.md' is empty; write what the agent is to do",
        ),
        (
            Files(refused={"runbook/core-spec.md": "is a symbolic link"}),
            "'runbook/core-spec.md' is a symbolic link",
        ),
    ],
)
def test_a_brief_without_a_text_is_told(files: Files, words: str) -> None:
    """A brief says something, or why it does not."""
    assert findings(SMALL, files=files)["tasks.core-spec.brief"] == words


def test_only_safe_paths_are_looked_up() -> None:
    """Of a document, however strange, only paths below its folder are asked for."""
    document: Document = {
        "tasks": {
            "a": {"brief": "runbook/a.md"},
            "b": {"brief": "../b.md"},
            "c": {"brief": "/c.md"},
            "d": {"brief": "d\0.md"},
            "e": {"brief": 3},
            "f": 3,
        },
        "gates": [{"tests": "gates/test_a.py"}],
    }

    assert named_files(document) == (frozenset({"runbook/a.md"}), frozenset())


def test_no_finding_speaks_of_the_library_that_validates() -> None:
    """Neither links nor the words of a library are shown to who writes a runbook."""
    for wrong in SHAPES:
        told = str(findings(changed(*wrong.values[0].changes)))
        assert not re.search(r"https?:|pydantic|Value error|Input should|[Tt]uple|dictionary", told)


# ------------------------------------------------------------------ drawn runbooks


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def places_in(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every key of a document, with the table or list it is in."""
    for key in node if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places_in(node[key])


@calm
@given(document=documents(), data=st.data())
def test_whatever_is_written_is_a_plan_or_a_list_of_findings(
    document: Document, data: st.DataObject
) -> None:
    """No document breaks the reading: it is told what is wrong, with text and place."""
    wrong = deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(list(places_in(wrong)) or [(wrong, "run")]))
        if data.draw(st.booleans()):
            holder[key] = data.draw(ANYTHING)
        else:
            del holder[key]

    try:
        parse_runbook(wrong, source="runbook.toml", files=files_of(document))
    except RunbookError as error:
        assert error.findings  # noqa: PT017
        assert all(f.where and f.what for f in error.findings if isinstance(f, Finding))  # noqa: PT017


@calm
@given(data=st.data())
def test_whatever_is_written_of_generators_is_a_plan_or_a_list_of_findings(
    data: st.DataObject,
) -> None:
    """No table of generators breaks the reading either."""
    wrong = tomllib.loads(changed(("[stacks.python]", GENERATED)))
    generated = wrong["contracts"]["core-api"]
    for _ in range(data.draw(st.integers(1, 2))):
        holder, key = data.draw(st.sampled_from(list(places_in(generated))))
        holder[key] = data.draw(ANYTHING)

    try:
        parse_runbook(wrong, source="runbook.toml", files=files_of(tomllib.loads(SMALL)))
    except RunbookError as error:
        assert all(f.where and f.what for f in error.findings if isinstance(f, Finding))  # noqa: PT017


@calm
@given(document=documents(), data=st.data())
def test_a_circle_is_told_if_and_only_if_there_is_one(
    document: Document, data: st.DataObject
) -> None:
    """With a few more needs, of whatever kind, what is told is what cannot be ordered."""
    wrong = deepcopy(document)
    known = [*wrong["tasks"], *wrong["gates"], *wrong["contracts"]]
    entries = [*wrong["tasks"].values(), *wrong["gates"].values()]
    for _ in range(data.draw(st.integers(1, 2))):
        data.draw(st.sampled_from(entries))["needs"].append(data.draw(st.sampled_from(known)))

    try:
        parse_runbook(wrong, source="runbook.toml", files=files_of(wrong))
        found = ""
    except RunbookError as error:
        found = str(error)

    assert ("->" in found) is not can_be_ordered(unchecked(wrong))


def unchecked(document: Document) -> Plan:
    """The plan of a document as it is, circles included."""
    named = {
        table: {name: {"name": name, **entry} for name, entry in document[table].items()}
        for table in ("agents", "tasks", "contracts", "stacks", "services", "gates")
    }
    return Plan.model_validate(document | named)


def can_be_ordered(plan: Plan) -> bool:
    """Whether tasks can be done, and parts and gates be decided, one after another."""
    waits: dict[object, set[object]] = {
        part: {needed for kind in plan.rests_on(part) for needed in kind} for part in plan.parts
    }
    waits |= {
        gate: {needed for kind in plan.needed_by_gate(gate) for needed in kind}
        for gate in plan.gates
    }
    return acyclic(waits) and acyclic(waits_of_tasks(plan))


def acyclic(waits: dict[object, set[object]]) -> bool:
    """Whether nothing waits for itself."""
    try:
        TopologicalSorter(waits).prepare()
    except ValueError:
        return False
    return True


def waits_of_tasks(plan: Plan) -> dict[object, set[object]]:
    """What each task and gate waits for: other tasks, gates, and the rest of its lane so far."""
    waits: dict[object, set[object]] = {}
    for task in plan.tasks.values():
        drafts = {name for name, contract in plan.contracts.items() if contract.draft}
        waits[task.name] = {publishing(plan, name) for name in set(task.needs) - drafts}
    for gate in plan.gates.values():
        waits[gate.name] = {publishing(plan, name) for name in gate.needs}
    order = sorted(plan.tasks.values(), key=lambda task: task.phase)
    for i, task in enumerate(order):
        waits[task.name] |= {before.name for before in order[:i] if before.agent == task.agent}
    return waits


def publishing(plan: Plan, name: str) -> str:
    """The task that publishes a contract; any other name is its own."""
    return plan.publishing_task(name).name if name in plan.contracts else name


# ------------------------------------------------------------------ files


@pytest.fixture
def runbook(tmp_path: Path) -> Path:
    """The small runbook on disk, with its briefs and gates."""
    briefs, tests = named_files(tomllib.loads(SMALL))
    for path in briefs | tests:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"What {path} asks for.", encoding="utf-8")
    written = tmp_path / "runbook.toml"
    written.write_text(SMALL, encoding="utf-8")
    return written


def refused(path: Path) -> list[str]:
    """What is wrong with a runbook on disk, one line each."""
    with pytest.raises(RunbookError) as caught:
        load_runbook(path)
    assert caught.value.source == str(path)
    return [str(finding) for finding in caught.value.findings]


def test_a_runbook_on_disk_is_the_plan_of_its_text(runbook: Path) -> None:
    """Loading a file gives what parsing its text gives, briefs included."""
    assert load_runbook(runbook) == parse(SMALL)


def test_paths_are_relative_to_the_runbook(
    runbook: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It does not matter where one stands when a runbook is read, nor how one names it."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    assert load_runbook(Path(os.path.relpath(runbook))) == parse(SMALL)


def test_a_runbook_may_be_in_a_linked_folder(runbook: Path, tmp_path: Path) -> None:
    """Only what lies below the runbook's folder must not be a link."""
    (tmp_path / "link").symlink_to(runbook.parent, target_is_directory=True)

    assert load_runbook(tmp_path / "link" / "runbook.toml") == parse(SMALL)


def test_a_runbook_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The message says which file was looked for."""
    assert refused(tmp_path / "runbook.toml") == [
        "runbook.toml: cannot be read: No such file or directory"
    ]


def test_a_folder_is_no_runbook(tmp_path: Path) -> None:
    """A folder of that name is refused."""
    assert refused(tmp_path) == [f"{tmp_path.name}: cannot be read: Is a directory"]


def test_a_pipe_is_no_runbook(tmp_path: Path) -> None:
    """Nobody waits until somebody writes to a pipe."""
    os.mkfifo(tmp_path / "runbook.toml")

    assert refused(tmp_path / "runbook.toml") == [
        "runbook.toml: cannot be read: it is not a regular file"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"[run\n", "runbook.toml, line 1, column 5: is not TOML: Expected ']'"),
        (b"[run]\nname = small\n", "runbook.toml, line 2, column 8: is not TOML: Invalid value"),
        (b"[run]\nname", "runbook.toml, end of document: is not TOML: Expected '='"),
        (b"[run]\n[run]\n", "runbook.toml, line 2, column 5: is not TOML: Cannot declare"),
        (b"a = 1\n\nb = '\xc3\xa9\xff'", "runbook.toml: is not UTF-8 at line 3, column 7; save it"),
        (b"a = " + b"9" * 5000, "runbook.toml: is not TOML: Exceeds the limit"),
        (b"a = " + b"[" * 5000, "runbook.toml: is nested too deeply"),
        (b"#" * (MAX_BYTES + 1), f"runbook.toml: is larger than {MAX_BYTES} bytes; shorten it"),
    ],
    ids=["header", "value", "end", "twice", "latin-1", "digits", "depth", "size"],
)
def test_what_is_not_toml_is_refused(tmp_path: Path, text: bytes, line: str) -> None:
    """The one finding says what is wrong, and in which line and column if that is known."""
    (tmp_path / "runbook.toml").write_bytes(text)

    (found,) = refused(tmp_path / "runbook.toml")

    assert found.startswith(line)


def test_a_runbook_may_be_as_large_as_the_limit(runbook: Path) -> None:
    """Reaching the limit is allowed, passing it is not."""
    padding = MAX_BYTES - len(SMALL.encode())
    runbook.write_bytes(SMALL.encode() + b"#" * padding)

    assert load_runbook(runbook).run.name == "small"


def test_missing_files_are_told(runbook: Path) -> None:
    """A brief and a gate that are not on disk are two findings."""
    (runbook.parent / "runbook/core-spec.md").unlink()
    (runbook.parent / "gates/test_s2.py").unlink()

    assert refused(runbook) == [
        "tasks.core-spec.brief: 'runbook/core-spec.md' is not there; write what the agent is to do",
        "gates.S2.tests: 'gates/test_s2.py' is not there, so nobody would judge this gate",
    ]


def test_a_folder_judges_nothing(runbook: Path) -> None:
    """What a gate names is a file."""
    (runbook.parent / "gates/test_s2.py").unlink()
    (runbook.parent / "gates/test_s2.py").mkdir()

    assert refused(runbook)[0].startswith("gates.S2.tests: 'gates/test_s2.py' is not there")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; write what the agent is to do"),
        (b"ok\n\xff", "is not UTF-8 at line 2, column 1; save it as UTF-8"),
        (b"#" * (MAX_BYTES + 1), f"is larger than {MAX_BYTES} bytes; shorten it"),
    ],
    ids=["empty", "binary", "large"],
)
def test_a_brief_that_cannot_be_told_is_refused(runbook: Path, content: bytes, words: str) -> None:
    """A brief is text, some, and not without end."""
    (runbook.parent / "runbook/core-spec.md").write_bytes(content)

    assert refused(runbook) == [f"tasks.core-spec.brief: 'runbook/core-spec.md' {words}"]


def test_a_brief_behind_a_link_is_refused(
    runbook: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither the brief nor a folder on the way to it may be a symbolic link."""
    secret = tmp_path_factory.mktemp("elsewhere")
    (secret / "core-spec.md").write_text("private", encoding="utf-8")
    (runbook.parent / "runbook/core-spec.md").unlink()
    (runbook.parent / "runbook/core-spec.md").symlink_to(secret / "core-spec.md")
    (runbook.parent / "linked").symlink_to(secret, target_is_directory=True)
    runbook.write_text(changed(("runbook/core-tests.md", "linked/core-spec.md")), encoding="utf-8")

    why = "is a symbolic link, or lies behind one; put the file itself there"

    assert refused(runbook) == [
        f"tasks.core-spec.brief: 'runbook/core-spec.md' {why}",
        f"tasks.core-tests.brief: 'linked/core-spec.md' {why}",
    ]


# ------------------------------------------------------------------ this repository


def test_the_repositorys_own_runbook_holds_together() -> None:
    """Its briefs and gates are there, and nothing in it waits for itself."""
    plan = load_runbook(REPOSITORY / "runbook.toml")

    assert [gate.name for gate in plan.gates.values()] == ["S1", "S2", "S3", "S4", "S5", "suite"]
    assert plan.phases == (0, 1, 2, 3, 4, 5)


def fenced(language: str) -> list[str]:
    """The blocks of the reference page in one language."""
    text = REFERENCE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_example_of_the_reference_holds_together() -> None:
    """Whoever copies the example from the reference has a runbook."""
    example = fenced("toml")[0]

    plan = parse(example, files=files_of(tomllib.loads(example)))

    assert plan.gates


def test_the_error_of_the_reference_is_a_real_one() -> None:
    """The reference shows what its example says when one task of it is written wrong."""
    example, wrong = fenced("toml")[0], fenced("toml")[-1]
    header = wrong.partition("\n")[0]
    before, _, after = example.partition(header)
    text = before + wrong + after.partition("\n\n")[2]

    with pytest.raises(RunbookError) as caught:
        parse(text, files=files_of(tomllib.loads(example)))

    assert str(caught.value) == fenced("text")[-1].rstrip()


@pytest.mark.parametrize(
    "kind",
    [
        values.Run,
        values.Budget,
        values.Agent,
        values.Contract,
        values.Generated,
        values.Live,
        values.Service,
        values.Stack,
        values.Task,
        values.Gate,
        values.Traces,
    ],
)
def test_every_key_is_in_the_reference(kind: type[values.Run]) -> None:
    """The reference has a row for each key, and none for a key that does not exist."""
    text = REFERENCE.read_text(encoding="utf-8")
    titles = {
        "Run": "run",
        "Budget": "budget",
        "Traces": "traces",
        "Generated": "contracts.NAME.generated.CONSUMER",
        "Live": "contracts.NAME.live",
    }
    title = titles.get(kind.__name__, f"{kind.__name__.lower()}s.NAME")
    section = text.partition(f"## `[{title}]`")[2].partition("\n## ")[0]

    rows = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)

    assert rows == [key for key in kind.model_fields if key != "name" or kind is values.Run]
