"""Causes in words: what happened, who has to change what."""

from __future__ import annotations

from typing import Final

from pytest_orchestrator._domain.trace_cause import Cause, Evidence, Kind, causes
from pytest_orchestrator._domain.verdict import Finding

_WHAT: Final = {
    Kind.NOT_ASKED: "no span of {missing} is in the trace, since nobody asked it",
    Kind.PROPAGATION: "the trace breaks{link}",
    Kind.SAMPLED_OUT: "the trace was sampled out{link}",
    Kind.NOT_EXPORTED: "no span of {missing} came to the trace store, although {missing} was asked",
    Kind.EXPORTED_LATE: "the spans of {missing} did not come within the deadline",
    Kind.EXPORTED_ELSEWHERE: "{missing} sends its spans elsewhere",
    Kind.REFUSED: "the trace store could not read what {missing} sent",
    Kind.MISNAMED: "no span of the trace has the service.name {missing}",
    Kind.NOT_SEARCHABLE: "the spans of {missing} were ingested, but are not found",
}
_CURE: Final = {
    Kind.NOT_ASKED: "have {blamed} send its request; S4 judges that too",
    Kind.PROPAGATION: (
        "a service continues the traceparent it receives, and its HTTP client sends its own span's "
        "as traceparent; some clients do so only for hosts they are told about"
    ),
    Kind.SAMPLED_OUT: (
        "record what comes with the flags 01, and record what comes without a traceparent: "
        "OTEL_TRACES_SAMPLER=parentbased_always_on"
    ),
    Kind.NOT_EXPORTED: (
        "give it an SDK with a span processor and an OTLP/HTTP exporter to "
        "OTEL_EXPORTER_OTLP_ENDPOINT, and a sampler that records; see its log"
    ),
    Kind.EXPORTED_LATE: (
        "honour OTEL_BSP_SCHEDULE_DELAY, or raise deadline_s in [traces] of the runbook"
    ),
    Kind.EXPORTED_ELSEWHERE: "send them to /v1/traces below OTEL_EXPORTER_OTLP_ENDPOINT",
    Kind.REFUSED: "export OTLP/HTTP, protobuf or JSON, to /v1/traces below the endpoint",
    Kind.MISNAMED: "take the name from OTEL_SERVICE_NAME",
    Kind.NOT_SEARCHABLE: "see the limits and the log of the trace store",
}


def finding(cause: Cause) -> Finding:
    """A cause as what a gate shows; ``where`` begins with the service to blame."""
    link = f" at {cause.caller} -> {cause.missing}" if cause.caller else f" in {cause.missing}"
    what = _WHAT[cause.kind].format(missing=cause.missing, link=link)
    if cause.detail:
        what += f": {cause.detail}"
    where = f"{cause.blamed}, {cause.caller} -> {cause.missing}" if cause.caller else cause.blamed
    return Finding(where, what, cause.kind, _CURE[cause.kind].format(blamed=cause.blamed))


def findings(evidence: Evidence) -> tuple[Finding, ...]:
    """Why services are missing, one finding for each cause."""
    return tuple(finding(cause) for cause in causes(evidence))
