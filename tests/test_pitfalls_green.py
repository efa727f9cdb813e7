"""A session is green only if every gate it was to judge has passed."""

from __future__ import annotations

import pytest

from pytest_orchestrator._domain.verdict import Outcome
from tests.project import GATE, Project

VERIFY = ("--agents=off",)
MODES = [pytest.param("-n0", id="n0"), pytest.param("-n2", id="n2")]


def verdict(project: Project, gate: str) -> Outcome | None:
    """The verdict on a gate in the run that judges the tree as it is."""
    record = project.state(project.root / ".orchestrator/runs/verify").gate(gate).record
    return record.verdict() if record else None


SKIPPED = GATE.format(n=1).replace('@pytest.mark.lane("left")', '@pytest.mark.skip("later")')
XFAILED = GATE.format(n=1).replace(
    '@pytest.mark.lane("left")', '@pytest.mark.xfail(reason="known", raises=AssertionError)'
).replace("left\" / ", "nowhere\" / ")  # fmt: skip
NOT_TODAY = 'import pytest\npytest.skip("not today", allow_module_level=True)\n'


@pytest.mark.parametrize(
    ("module", "arguments", "expected"),
    [
        pytest.param(SKIPPED, (), Outcome.UNVERIFIABLE, id="skipped"),
        pytest.param(XFAILED, (), Outcome.FAILED, id="xfailed"),
        pytest.param(NOT_TODAY, (), None, id="module-skipped"),
        pytest.param("", (), None, id="empty"),
        pytest.param(None, ("-k", "left"), None, id="keyword"),
        pytest.param(None, ("--deselect=gates/test_g1.py::test_right",), None, id="deselect"),
        pytest.param(None, ("gates/test_g1.py::test_left",), None, id="node-id"),
        pytest.param(None, ("--lane=left", "-m", "not lane"), None, id="lane"),
    ],
)
def test_gate_that_was_not_judged_by_all_its_tests_is_never_green(
    project: Project, module: str | None, arguments: tuple[str, ...], expected: Outcome | None
) -> None:
    """Skipped, expected to fail, deselected, empty: nothing of that passes a gate."""
    project.finish()
    if module is not None:
        project.write("gates/test_g1.py", module)

    result = project.run("gates/test_g1.py", "-n0", *VERIFY, *arguments)

    assert result.ret not in {pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR}
    assert expected == verdict(project, "G1")
