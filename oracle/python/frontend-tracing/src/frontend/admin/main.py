"""The frontend, with answers from the public API, and a trace of where they came from."""

from __future__ import annotations

from application import create_app
from integration import responder
from tracing import TELEMETRY, TracedTransport

app = create_app(responder(TracedTransport()), TELEMETRY)
