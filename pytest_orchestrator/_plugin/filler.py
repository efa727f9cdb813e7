"""What an idle worker holds, so that the test before it can run.

xdist's worker starts a test only when it knows the next one, because pytest
tears fixtures down with the next test in view. A worker that is sent one ready
test would hold it back until it gets another, which may never come. So each
batch ends with the filler: an item behind the last real one, never collected,
never reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from _pytest.nodes import Node

NAME = "orchestrator-idle"


class Filler(pytest.Item):
    """Nothing to run; whatever collector is up stays up."""

    interactor: Any

    def runtest(self) -> None:
        """Do nothing."""

    def listchain(self) -> list[Node]:
        """Every collector that is up, so that nothing wider than a test is torn down for it.

        But the module of a gate: its tests come in one batch, so with the last
        of them it is over, and how it comes down is part of what they find.
        """
        at = self.session.items[self.interactor.item_index]
        passing: tuple[type[Node], ...] = (pytest.Item,)
        if at.get_closest_marker("gate"):
            passing = (pytest.Item, pytest.Class, pytest.Module)
        up = [n for n in self.session._setupstate.stack if not isinstance(n, passing)]  # noqa: SLF001
        return [*up, self]


class FillerHooks:
    """Hooks of an xdist worker.

    Args:
        interactor: xdist's worker side of the channel to the controller.
        announce: Called when the tests are known; says whether there is
            anything to orchestrate, and if so tells the controller.
    """

    def __init__(self, interactor: Any, announce: Callable[[], bool]) -> None:
        self._interactor = interactor
        self._announce = announce
        self._last: tuple[int, pytest.Item] | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None]:
        """Append the filler, after xdist has sent the ids to the controller."""
        orchestrated = self._announce()
        yield
        if orchestrated:
            filler: Filler = Filler.from_parent(session, name=NAME, nodeid=NAME)
            filler.interactor = self._interactor
            session.items.append(filler)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Stay idle, then tear down what the next test does not use."""
        if not isinstance(item, Filler):
            self._last = (self._interactor.item_index, item)
            return None
        call = pytest.CallInfo.from_call(
            lambda: item.session._setupstate.teardown_exact(nextitem),  # noqa: SLF001
            when="teardown",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        if call.excinfo is not None and self._last is not None:
            self._blame(item.config, *self._last, call)
        return True

    def _blame(
        self,
        config: pytest.Config,
        index: int,
        item: pytest.Item,
        call: pytest.CallInfo[None],
    ) -> None:
        """Report a failed teardown against the last real test, as pytest itself would."""
        report = pytest.TestReport.from_item_and_call(item, call)
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        data |= {
            "item_index": index,
            "worker_id": self._interactor.workerid,
            "testrun_uid": self._interactor.testrunuid,
        }
        self._interactor.sendevent("testreport", data=data)


def find_interactor(config: pytest.Config) -> Any | None:
    """Xdist's ``WorkerInteractor``; ``None`` if this xdist has none by that name."""
    plugins = config.pluginmanager.get_plugins()
    return next((p for p in plugins if type(p).__name__ == "WorkerInteractor"), None)
