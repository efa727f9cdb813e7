"""What a verdict rests on: what was judged, and what judged it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_orchestrator._domain.plan import Plan


@dataclass(frozen=True)
class Basis:
    """All of it, as digests; two verdicts on the same basis are about the same thing.

    Attributes:
        tree: The git tree id of what was judged; of a tree as it is, the SHA-256 of all that
            gates can see in it.
        contracts: By name, the SHA-256 of a contract's files in that tree, its draft and its
            generated schema included, and under ``"<name> held by <agent>"`` what that
            agent's work rests on.
        sources: SHA-256 of all that judges: tests, helpers, configuration, the runbook's part,
            and this package.
        tools: By name, the version or identity of what judges and of what builds and starts
            services; ``"absent"`` for a program that is not there.
    """

    tree: str
    contracts: dict[str, str] = field(default_factory=dict)
    sources: str = ""
    tools: dict[str, str] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """The digest of it all; the same in every process and in every session."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def part_that_judges(plan: Plan, gate: str) -> str:
    """What of a runbook can change a gate's verdict, as JSON.

    What agents are told and what they may spend is left out, and so are other gates: whoever
    words a brief anew, or adds a gate, need not have everything judged again.
    """
    told = plan.model_dump_json(
        exclude={
            "run": True,
            "budget": True,
            "briefs": True,
            "gates": True,
            "agents": {"__all__": {"role", "backend", "budget"}},
        }
    )
    parts = sorted(map(str, plan.judged_by(gate)))
    return "\n".join((told, plan.gates[gate].model_dump_json(), *parts))


def judged_paths(plan: Plan) -> tuple[str, ...]:
    """Where in a tree gates can find what they judge; sorted, none within another.

    What agents hand over, services, contracts with everything in their folders, since a
    contract may be split into several files, and generated files. ``""`` is the whole tree.
    """
    contracts = plan.contracts.values()
    paths = {
        *(path for agent in plan.agents for path in plan.delivered_paths(agent)),
        *(service.path for service in plan.services.values()),
        *(path for contract in contracts for path in contract.all_paths),
        *(contract.path.rpartition("/")[0] for contract in contracts),
        *(file for c in contracts for made in c.generated.values() for file in made.files),
    }
    names = {"" if path in {".", "./"} else path.rstrip("/") for path in paths}
    return tuple(sorted(n for n in names if not any(_is_within(n, o) for o in names - {n})))


def programs(plan: Plan) -> tuple[str, ...]:
    """The programs that build, start and test services or generate files; sorted.

    Of every stack: which one a service has, its files say.
    """
    stacks, contracts = plan.stacks.values(), plan.contracts.values()
    commands = [
        *(command for s in stacks for command in (*s.build, s.start, s.test or ())),
        *(made.command for contract in contracts for made in contract.generated.values()),
    ]
    named = {tool for stack in stacks for tool in stack.tools} | {c[0] for c in commands if c}
    return tuple(sorted(name for name in named if "{" not in name))


def _is_within(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")
