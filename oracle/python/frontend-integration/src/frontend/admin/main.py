"""The frontend, with answers from the public API."""

from __future__ import annotations

from application import create_app
from integration import responder

app = create_app(responder())
