"""Traces: FastAPI puts a span around every request, core one around every step.

They are exported to OTEL_EXPORTER_OTLP_ENDPOINT; without it there are none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from starlette.types import Scope

P = ParamSpec("P")
R = TypeVar("R")

os.environ.setdefault("OTEL_SERVICE_NAME", "core")
os.environ.setdefault("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.0.0")
_TRACER = trace.get_tracer("core")


def traced(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """Put a span around every call of a function."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _TRACER.start_as_current_span(name):
            return function(*args, **kwargs)

    return call


def _is_health(scope: Scope) -> bool:
    return bool(scope["path"] == "/health")


TELEMETRY = TelemetryConfig(
    auto_configure=True, metrics=False, logs=False, operation_spans=False, exclude=_is_health
)
