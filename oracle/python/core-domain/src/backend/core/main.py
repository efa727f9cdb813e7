"""Core answers questions from documents."""

from __future__ import annotations

import health
import library
import problems
import query
from answering import Assistant, best_passage
from fastapi import FastAPI
from ranking import Index

app = FastAPI(title="Core", version="1.0.0", exception_handlers=problems.HANDLERS)
app.include_router(health.router)
app.include_router(query.routes(Assistant(Index(library.load()).search, best_passage)))
