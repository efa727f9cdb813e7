"""Core answers questions from documents; so far it only says that it is up."""

from __future__ import annotations

import health
from fastapi import FastAPI

app = FastAPI(title="Core", version="1.0.0")
app.include_router(health.router)
