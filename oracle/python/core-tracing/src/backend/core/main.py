"""Core answers questions from documents, and leaves a trace of how."""

from __future__ import annotations

import health
import library
import problems
import query
import sentences
from answering import Assistant
from fastapi import FastAPI
from ranking import Index
from tracing import TELEMETRY, traced

assistant = Assistant(
    retrieve=traced("rag.retrieve", Index(library.load()).search),
    compose=traced("rag.compose", sentences.compose),
)
app = FastAPI(
    title="Core", version="1.0.0", exception_handlers=problems.HANDLERS, telemetry=TELEMETRY
)
app.include_router(health.router)
app.include_router(query.routes(assistant))
