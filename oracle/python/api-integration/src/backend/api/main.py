"""The public API takes questions and has core answer them."""

from __future__ import annotations

from application import create_app

app = create_app()
