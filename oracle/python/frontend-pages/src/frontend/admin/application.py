"""The frontend, put together: show the form, take a question, show what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import health
import pages
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.telemetry import TelemetryConfig

Respond = Callable[[str], Awaitable[pages.Page]]
"""From a question to the page that shows what became of it."""


def create_app(respond: Respond, telemetry: TelemetryConfig | None = None) -> FastAPI:
    """Make the frontend; ``respond`` answers its questions."""
    app = FastAPI(title="Document assistant", openapi_url=None, telemetry=telemetry)
    app.include_router(health.router)

    @app.get("/")
    async def show() -> HTMLResponse:
        return HTMLResponse(pages.blank().html)

    @app.post("/")
    async def ask(request: Request) -> HTMLResponse:
        form = parse_qs((await request.body()).decode(errors="replace"))
        page = await respond(form.get("question", [""])[0])
        headers = {"X-Interaction-Id": page.interaction_id} if page.interaction_id else None
        return HTMLResponse(page.html, page.status_code, headers)

    return app
