"""The frontend, so far one empty page."""

from __future__ import annotations

import health
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI(title="Document assistant", openapi_url=None)
app.include_router(health.router)


@app.get("/", response_class=HTMLResponse)
async def show() -> str:
    """Render the page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<title>Document assistant</title></head><body><h1>Document assistant</h1></body></html>"
    )
