"""Traces: FastAPI puts a span around every request, the API one around every call of core.

They are exported to OTEL_EXPORTER_OTLP_ENDPOINT; without it there are none.
"""

from __future__ import annotations

import os

import httpx
from fastapi.telemetry import TelemetryConfig
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import Scope

os.environ.setdefault("OTEL_SERVICE_NAME", "api")
os.environ.setdefault("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.0.0")
_TRACER = trace.get_tracer("api")


class TracedTransport(httpx.AsyncHTTPTransport):
    """Puts a client span around every request and hands its context on."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; an exception is recorded and passed on."""
        about = {"http.request.method": request.method, "url.full": str(request.url)}
        with _TRACER.start_as_current_span(request.method, None, SpanKind.CLIENT, about) as span:
            propagate.inject(request.headers)
            response = await super().handle_async_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
            span.set_status(StatusCode.ERROR if response.is_error else StatusCode.UNSET)
            return response


def _is_health(scope: Scope) -> bool:
    return bool(scope["path"] == "/health")


TELEMETRY = TelemetryConfig(
    auto_configure=True, metrics=False, logs=False, operation_spans=False, exclude=_is_health
)
