"""The HTTP client that asks services, on behalf of gates and of health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._domain.asker import asker

if TYPE_CHECKING:
    import httpx


def make_client(seed: str, *, timeout_s: float) -> httpx.Client:
    """A client that looks like some ordinary one; no redirects, no proxy, no netrc.

    Args:
        seed: Decides like which; see ``asker``.
        timeout_s: Of connecting, and of each read and write.
    """
    import httpx  # noqa: PLC0415 - on demand: most sessions start no service

    client = httpx.Client(trust_env=False, timeout=timeout_s)
    look_like(client, seed)
    return client


def look_like(client: httpx.Client | httpx.AsyncClient, seed: str) -> None:
    """Have a client send what an ordinary one does, and nothing by which httpx is known.

    Args:
        client: Gets the headers, in their order, instead of its own.
        seed: Decides like which; see ``asker``.
    """
    import httpx  # noqa: PLC0415 - as above

    # Given to the constructor, they would be added to httpx's own; and so they are here.
    client.headers = httpx.Headers(asker(seed))
    for name in ("Accept", "Accept-Encoding", "Connection", "User-Agent"):
        if name not in dict(asker(seed)):
            client.headers.pop(name, None)
