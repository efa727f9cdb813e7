"""Asks one operation all there is to ask, and keeps the smallest request for each thing wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import HypothesisException

from pytest_orchestrator._checks.conformance.asks import (
    NothingToAsk,
    explicit_asks,
    generated_asks,
)
from pytest_orchestrator._checks.conformance.judgement import CURES, Answer, Misfit, misfits
from pytest_orchestrator._checks.conformance.requests import Ask, Request
from pytest_orchestrator._checks.rules.faults import told
from pytest_orchestrator._domain.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_orchestrator._checks.conformance.promises import Promise, Schema

_HARDER = 4
"""How much more is asked to find a smaller request for what is known to be wrong."""

Send = Callable[[Request], Answer]
"""Sends a request; whatever happens then is an answer."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is asked.

    Attributes:
        examples: Generated requests per operation.
        seed: The same seed asks the same.
        wall_s: Seconds for each operation.
    """

    examples: int = 40
    seed: int = 0
    wall_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Shown:
    """A request that shows something wrong, and the answer to it."""

    ask: Ask
    answer: Answer
    misfit: Misfit


class _Found(Exception):
    """What was looked for; Hypothesis looks for a smaller one then."""


@dataclass
class Search:
    """One operation, asked.

    Args:
        promise: What is documented.
        send: Sends a request; never raises.
        samples: Texts worth asking, by name.
        bounds: How much is asked.
        model: The shared model that each answer of the 200s is to be.
    """

    promise: Promise
    send: Send
    samples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)
    model: Schema | None = None
    asked: int = 0
    _shown: dict[str, _Shown] = field(default_factory=dict)
    _end_s: float = 0.0

    def findings(self, name: str) -> Iterator[Finding]:
        """At most one finding for each rule, in the order of the rules.

        Args:
            name: What findings call the service, e.g. ``"core"``.

        Raises:
            NothingToAsk: No request could be made that fits what is documented.
        """
        self._end_s = time.monotonic() + self.bounds.wall_s
        for ask in explicit_asks(self.promise, self.samples):
            self._put(ask)
        if not self.is_over:
            self._search(None)
            for rule, shown in list(self._shown.items()):
                if shown.ask.kind != "invalid":
                    self._search(rule)
        for rule in CURES:
            if rule in self._shown:
                yield self._told(name, rule, self._shown[rule])

    @property
    def is_over(self) -> bool:
        """Whether nothing more is asked: out of time, or the service does not answer."""
        return "no-answer" in self._shown or time.monotonic() > self._end_s

    def _put(self, ask: Ask) -> frozenset[str]:
        """Ask, unless it is over; the rules that the answer breaks."""
        if self.is_over:
            return frozenset()
        self.asked += 1
        answer = self.send(ask.request)
        found = list(misfits(self.promise, ask, answer, self.model))
        for misfit in found:
            before = self._shown.get(misfit.rule)
            if before is None or ask.size < before.ask.size:
                self._shown[misfit.rule] = _Shown(ask, answer, misfit)
        return frozenset(misfit.rule for misfit in found)

    def _search(self, rule: str | None) -> None:
        """Ask what Hypothesis makes up; given a rule, only to break that with less."""

        def ask_it(ask: Ask) -> None:
            if rule in self._put(ask):
                raise _Found

        phases = [Phase.generate] + ([Phase.shrink] if rule else [])
        bounded = settings(
            max_examples=self.bounds.examples * (_HARDER if rule else 1),
            phases=phases,
            database=None,
            deadline=None,
            derandomize=False,
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        strategy = generated_asks(self.promise, self.samples)
        try:
            seed(self.bounds.seed)(bounded(given(strategy)(ask_it)))()
        except (_Found, HypothesisException):
            return  # What was found is kept, also if the service does not do it again.

    def _told(self, name: str, rule: str, shown: _Shown) -> Finding:
        why = f" ({shown.ask.why})" if shown.ask.why else ""
        what = (
            f"{shown.misfit.what}; asked{why}: {shown.ask.request}; "
            f"answered: {shown.answer}; seed {self.bounds.seed}"
        )
        return told(f"{name} {self.promise.title}", what, rule, CURES[rule])


class Asked(NamedTuple):
    """What came of asking.

    Attributes:
        findings: At most one for each operation and rule.
        requests: How many were sent.
        unasked: Operations for which no request could be made that fits.
    """

    findings: tuple[Finding, ...]
    requests: int
    unasked: tuple[str, ...]


def conform(
    promises: Sequence[Promise],
    send: Send,
    name: str,
    *,
    samples: Mapping[str, Sequence[str]] | None = None,
    models: Mapping[str, Schema] | None = None,
    bounds: Bounds | None = None,
) -> Asked:
    """Ask every operation that can be asked, one after the other.

    Args:
        promises: All operations.
        send: Sends a request; never raises.
        name: What findings call the service.
        samples: Texts worth asking, by name of the property or parameter.
        models: By operation, the shared model that its answers are to be.
        bounds: How much is asked.
    """
    findings: list[Finding] = []
    unasked: list[str] = []
    count = 0
    for promise in promises:
        if promise.unasked:
            continue
        model = (models or {}).get(promise.title)
        search = Search(promise, send, samples or {}, bounds or Bounds(), model)
        try:
            findings += search.findings(name)
        except NothingToAsk:
            unasked.append(promise.title)
        count += search.asked
    return Asked(tuple(findings), count, tuple(unasked))
