"""The public API takes questions, has core answer them, and leaves a trace of it."""

from __future__ import annotations

from application import create_app
from tracing import TELEMETRY, TracedTransport

app = create_app(TracedTransport(), TELEMETRY)
