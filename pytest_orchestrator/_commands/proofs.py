"""``proofs``: whether each gate says no to what is wrong, and yes to what is merely different."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.proof import Case, cases, matching, spread
from pytest_orchestrator._run.tool_client import FINDINGS, FINE
from pytest_orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._run.judge import Project
    from pytest_orchestrator._run.proof import Tried

ORACLE = "oracle"
WIDTH = 110


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Say how this command is called."""
    proofs = commands.add_parser(
        "proofs",
        help="try the gates: planted defects must fail, harmless variations must pass",
        description="Have the oracle build the application, then judge it as it is, an empty "
        "tree, and the application with one defect or one variation at a time, as "
        "proofs/GATE.toml beside the gates' modules has them. A defect must be found by its own "
        "gate, with its own finding, and by none before it.",
        epilog="Exit status: 0 all came out as they must, 1 some did not, 2 could not be tried.",
    )
    proofs.add_argument("names", nargs="*", metavar="NAME", help="only these cases")
    proofs.add_argument(
        "--gate", action="append", default=[], metavar="GATE", help="only the proof of this gate"
    )
    proofs.add_argument(
        "--spread", type=int, metavar="N", help="only so many, taken evenly from all gates"
    )
    proofs.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N",
        help="how many trees are judged at once (default: %(default)s)",
    )  # fmt: skip
    proofs.add_argument("--list", action="store_true", help="list the cases and try none")
    proofs.add_argument(
        "--runbook", type=Path, default=Path("runbook.toml"), metavar="FILE",
        help="whose gates (default: %(default)s)",
    )  # fmt: skip
    proofs.set_defaults(run=_proofs)


def _proofs(asked: argparse.Namespace) -> int:
    from pytest_orchestrator._run.judge import Project  # noqa: PLC0415 - on demand
    from pytest_orchestrator._run.proof import load_proofs  # noqa: PLC0415 - on demand
    from pytest_orchestrator._run.runbook import load_runbook  # noqa: PLC0415 - on demand

    runbook = asked.runbook.resolve()
    plan, project = load_runbook(runbook), Project(runbook.parent, runbook)
    proofs = load_proofs(plan, project)
    if not proofs:
        raise OrchestratorError(
            f"no gate of {asked.runbook} has a proof: there is no proofs/*.toml"
        )
    chosen = _chosen(asked, cases(proofs))
    if asked.list:
        for case in chosen:
            print(f"{case.gate:<6} {case.kind:<10} {case.name:<44} {case.what}".strip())  # noqa: T201
        return FINE
    tree = _oracle_tree(plan, project)
    tried = _try_all(plan, project, chosen, tree=tree, jobs=asked.jobs)
    return _conclude(tried)


def _chosen(asked: argparse.Namespace, every: Sequence[Case]) -> Sequence[Case]:
    """Those of the cases that were asked for.

    Raises:
        OrchestratorError: One that was asked for is not there.
    """
    known = {case.name for case in every} | {case.gate for case in every}
    for name in (*asked.names, *asked.gate):
        if name not in known:
            raise OrchestratorError(f"there is no {name} among the proofs; --list names them all")
    named = [c for c in every if not asked.names or c.name in asked.names]
    of_gate = [c for c in named if not asked.gate or c.gate in asked.gate]
    return of_gate if asked.spread is None else spread(of_gate, asked.spread)


def _oracle_tree(plan: Plan, project: Project) -> Path:
    """What the oracle has built when all gates of the runbook have passed.

    Raises:
        OrchestratorError: They did not pass, so that nothing can be shown with it.
    """
    from pytest_orchestrator._plugin.activate import (  # noqa: PLC0415 - on demand
        RUNS,
        default_run_id,
        run_identity,
    )

    print("the oracle builds the application, unless it has ...", flush=True)  # noqa: T201
    # As in any session, so that what it has built is not built again.
    run = default_run_id(ORACLE, run_identity(plan, ORACLE, project))
    folder = project.root / ".orchestrator" / "proofs"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "oracle.log"
    command = [
        sys.executable, "-P", "-m", "pytest", f"--agents={ORACLE}", f"--run-id={run}",
        f"--runbook={project.runbook}", f"--rootdir={project.root}", "-q",
        *sorted({str(Path(gate.tests).parent) for gate in plan.gates.values()}),
    ]  # fmt: skip
    with log.open("wb") as output:
        done = subprocess.run(
            command, cwd=project.root, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise OrchestratorError(
            f"the oracle's own application does not pass (exit status {done.returncode}), so that "
            f"nothing can be shown with it; see {log}\n{tail}"
        )
    return project.root / RUNS / run / "trees" / list(plan.gates)[-1]


def _try_all(
    plan: Plan, project: Project, chosen: Sequence[Case], *, tree: Path, jobs: int
) -> list[Tried]:
    from pytest_orchestrator._run.proof import try_case  # noqa: PLC0415 - on demand

    folder = project.root / ".orchestrator" / "proofs"
    tried = []
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [
            pool.submit(try_case, plan, project, case, tree=tree, folder=folder / case.name)
            for case in chosen
        ]
        try:
            for future in as_completed(waiting):
                tried.append(future.result())
                _tell(tried[-1])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for each in tried:
        if not each.objection:
            shutil.rmtree(folder / each.case.name, ignore_errors=True)
    return tried


def _tell(tried: Tried) -> None:
    """One line per case; the finding it caused, or what is wrong with that."""
    case = tried.case
    mark = "NO " if tried.objection else "ok "
    line = f"{mark} {case.gate or '-':<6} {case.kind:<10} {case.name:<44} {tried.seconds:5.1f} s  "
    print(f"{line}{tried.objection or _found(tried)}", flush=True)  # noqa: T201


def _found(tried: Tried) -> str:
    """The finding that shows it, in one line."""
    case = tried.case
    if case.kind in {"oracle", "variation"}:
        return f"passed {', '.join(case.gates)}"
    told = tried.told[case.gate]
    shown = (matching(case, told) if case.rule else told.findings) or (told.reason,)
    line = " ".join(str(shown[0]).split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _conclude(tried: Sequence[Tried]) -> int:
    """Say how many came out as they must; the exit status."""
    wrong = [each for each in tried if each.objection]
    for kind in ("oracle", "nop", "defect", "variation"):
        of_kind = [each for each in tried if each.case.kind == kind]
        right = sum(not each.objection for each in of_kind)
        if of_kind:
            print(f"{kind}: {right} of {len(of_kind)} came out as they must")  # noqa: T201
    if wrong:
        names = " ".join(sorted(each.case.name for each in wrong))
        print(  # noqa: T201
            "what was judged, and by which pytest, is kept in .orchestrator/proofs/NAME; again:\n"
            f"  python -m pytest_orchestrator proofs {names}"
        )
    return FINDINGS if wrong else FINE
