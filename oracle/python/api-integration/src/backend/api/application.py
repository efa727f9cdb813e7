"""The public API, put together."""

from __future__ import annotations

import os

import endpoints
import health
import httpx
from core_client import CoreClient
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig


def create_app(
    transport: httpx.AsyncBaseTransport | None = None, telemetry: TelemetryConfig | None = None
) -> FastAPI:
    """Make the API; it reaches core through ``transport``, by default the network."""
    # Spelt as .NET spells the setting CoreApi:BaseUrl.
    core_url = os.environ.get("CoreApi__BaseUrl", "http://127.0.0.1:8000")  # noqa: SIM112
    core = CoreClient(core_url, transport)
    app = FastAPI(title="Public API", version="1.0.0", telemetry=telemetry)
    app.include_router(health.router)
    app.include_router(endpoints.routes(core))
    return app
