"""From a question, by way of the public API, to the page that shows what became of it."""

from __future__ import annotations

import logging
import os

import httpx
import pages
from api_client import ApiClient, ApiUnavailable, QuestionRefused
from application import Respond


def responder(transport: httpx.AsyncBaseTransport | None = None) -> Respond:
    """Answer by the API, reached through ``transport``, by default the network."""
    api = ApiClient(os.environ.get("NEXT_PUBLIC_API_URL", "http://127.0.0.1:5000"), transport)

    async def respond(question: str) -> pages.Page:
        try:
            return pages.answered(question, await api.ask(question))
        except QuestionRefused as refused:
            return pages.refused(question, refused.reasons)
        except ApiUnavailable as unavailable:
            logging.getLogger("frontend").warning("%s", unavailable)
            return pages.unavailable(question)

    return respond
