"""What an agent can ask of the registry in the middle of its attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.agent import ToolAnswer, ToolDescription
from pytest_orchestrator._domain.event import ContractRead, Revision
from pytest_orchestrator._run.tool_client import FINDINGS, NOT_JUDGED
from pytest_orchestrator.errors import GateFailed, OrchestratorError, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_orchestrator._domain.event import ContractPublished
    from pytest_orchestrator._domain.plan import Plan, Task
    from pytest_orchestrator._run.ledger import Ledger
    from pytest_orchestrator._run.registry import Registry

_NAME = {"type": "string", "description": "The contract's name in the runbook."}
DESCRIPTIONS = (
    ToolDescription(
        "publish_contract",
        "Publish a new revision of a contract you own. It is validated first; if there are "
        "findings, nothing is published. Consumers are told at once.",
        {
            "name": _NAME,
            "content": {"type": "string", "description": "The whole document."},
            "expected_revision": {
                "type": "integer",
                "description": "The revision yours is built on, 0 for none. If another one is the "
                "latest by now, nothing is published.",
            },
        },
        ("name", "content"),
    ),
    ToolDescription(
        "list_contracts",
        "List all contracts: revision, digest, publisher, and what the latest revision does to "
        "those who built on the one before.",
        {},
    ),
    ToolDescription(
        "read_contract",
        "Read the exact text of a published contract.",
        {
            "name": _NAME,
            "revision": {
                "type": "integer",
                "description": "Which revision, 0 for the draft; the latest if left out.",
            },
        },
        ("name",),
    ),
)


class BadCall(OrchestratorError):
    """A tool was called with arguments it does not take."""


@dataclass(frozen=True, slots=True)
class ContractTools:
    """The tools of one task's agent; the same by command and by tool call.

    Attributes:
        plan: The plan of this run.
        ledger: The run's ledger.
        registry: Where contracts are.
        task: The task the agent works on; nobody can publish in another one's name.
        token: The claim of whoever carries the task out.
    """

    plan: Plan
    ledger: Ledger
    registry: Registry
    task: Task
    token: int

    @property
    def descriptions(self) -> tuple[ToolDescription, ...]:
        """What there is to call."""
        return DESCRIPTIONS

    def call(self, tool: str, arguments: Mapping[str, object]) -> ToolAnswer:
        """Do what is asked, and say how it went; never raises for what an agent can get wrong.

        Args:
            tool: The name of one of the descriptions.
            arguments: As its description has it. Text may hold undecodable bytes as
                lone surrogates (``surrogateescape``), so that a document arrives to the byte.

        Returns:
            What to show to the agent, and a status: 0 fine, 1 findings, 2 could not be judged.
        """
        try:
            match tool:
                case "publish_contract":
                    return self._publish(arguments)
                case "list_contracts":
                    return ToolAnswer(listing(self.plan, self.ledger))
                case "read_contract":
                    return self._read(arguments)
                case _:
                    names = ", ".join(each.name for each in DESCRIPTIONS)
                    return ToolAnswer(f"there is no tool {tool!r}; there are {names}", NOT_JUDGED)
        except GateFailed as failed:
            return ToolAnswer(_told(failed), FINDINGS)
        except RunError as error:
            return ToolAnswer(str(error), NOT_JUDGED)
        except BadCall as error:
            return ToolAnswer(str(error), NOT_JUDGED)
        except OrchestratorError as error:
            return ToolAnswer(str(error), FINDINGS)

    def _publish(self, arguments: Mapping[str, object]) -> ToolAnswer:
        name, content = _text(arguments, "name"), _text(arguments, "content")
        expected = _number(arguments, "expected_revision")
        contract = self.plan.contracts.get(name)
        if contract is None:
            raise BadCall(
                f"there is no contract {name!r}; there are {', '.join(self.plan.contracts)}"
            )
        try:
            data = content.encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise BadCall(f"content has half a character: {error}") from error
        files = {**self.registry.beside(contract), contract.path: data}
        event = self.registry.publish(
            contract, files, self.task.part, expected=expected, token=self.token
        )
        if event is None:
            head = self.ledger.state().contracts[name]
            return ToolAnswer(f"{_called(head)} is already that, to the byte")
        return ToolAnswer(f"{_called(event)} is published{_effects(event)}")

    def _read(self, arguments: Mapping[str, object]) -> ToolAnswer:
        name, revision = _text(arguments, "name"), _number(arguments, "revision")
        event, data = self.registry.read(name, revision)
        contract = self.plan.contracts[name]
        # Files that were generated from an earlier revision are not made anew by reading this one.
        known = self.ledger.state().built_on.get(self.task.agent, {})
        keeps = self.task.agent in contract.generated and name in known
        if contract in self.plan.consumed_by(self.task) and not keeps:
            held = Revision(name=name, revision=event.revision, sha256=event.sha256)
            part = str(self.task.part)
            self.ledger.append(
                ContractRead(part=part, task=self.task.name, contract=held),
                node=part, token=self.token,
            )  # fmt: skip
        return ToolAnswer(data.decode(errors="surrogateescape"), is_document=True)


def listing(plan: Plan, ledger: Ledger) -> str:
    """All contracts of a run, a line each."""
    state = ledger.state()
    lines = []
    for name, contract in plan.contracts.items():
        event = state.contracts.get(name)
        if event is None:
            lines.append(
                f"{name}: not published yet; {contract.publisher} publishes {contract.path}"
            )
        else:
            path = contract.draft if event.revision == 0 else contract.path
            lines.append(
                f"{_called(event)}, sha256 {event.sha256}, {path} by {contract.publisher}"
                f"{_effects(event)}"
            )
    return "\n".join(lines) or "the runbook has no contracts"


def _called(event: ContractPublished) -> str:
    which = f"revision {event.revision}" if event.revision else "draft (revision 0)"
    return f"{event.name}: {which}"


def _effects(event: ContractPublished) -> str:
    """What a revision does to those who built on an earlier one."""
    before = f"revision {event.revision - 1}" if event.revision > 1 else "its draft"
    told = [f"{event.effect} for consumers of {before}"] * bool(event.effect)
    if event.effect_on_draft and event.revision > 1:
        told.append(f"{event.effect_on_draft} for consumers of its draft")
    return "; " + ", ".join(told) if told else ""


def _told(failed: GateFailed) -> str:
    findings = "\n".join(str(finding) for finding in failed.findings)
    return f"{findings}\nnothing is published: {len(failed.findings)} finding(s)"


def _text(arguments: Mapping[str, object], key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise BadCall(f"{key} must be a text, and is {type(value).__name__}")
    return value


def _number(arguments: Mapping[str, object], key: str) -> int | None:
    value = arguments.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise BadCall(f"{key} must be a whole number, 0 or more, and is {value!r}")
