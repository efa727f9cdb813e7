"""As whom a gate asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pytest_orchestrator._domain.asker import asker, user_agents
from pytest_orchestrator._stack.client import make_client
from pytest_orchestrator._stack.health import HealthProbe

SEEDS = [f"seed {n}" for n in range(60)]
TELLING = ("httpx", "python", "pytest", "orchestrator", "headless")


class Heard(BaseHTTPRequestHandler):
    """Keeps the head of every request."""

    heads: list[list[tuple[str, str]]]

    def do_GET(self) -> None:
        """Answer 200."""
        self.heads.append(self.headers.items())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def heard() -> Iterator[tuple[str, list[list[tuple[str, str]]]]]:
    """The address of a server, and what it was asked with."""
    heads: list[list[tuple[str, str]]] = []
    handler = type("Handler", (Heard,), {"heads": heads})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", heads
        server.shutdown()


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_client_sends_just_what_its_model_sends(
    seed: str, heard: tuple[str, list[list[tuple[str, str]]]]
) -> None:
    """In the model's order, after the host; nothing of the library it is made with."""
    url, heads = heard

    with make_client(seed, timeout_s=5) as client:
        client.get(url)

    assert heads == [[("Host", url.removeprefix("http://")), *asker(seed)]]
    said = str(asker(seed)).lower()
    assert not [word for word in TELLING if word in said]


def test_health_probe_asks_like_anybody(heard: tuple[str, list[list[tuple[str, str]]]]) -> None:
    """Starting is no occasion to recognise a gate either."""
    url, heads = heard

    with HealthProbe(url, "/health") as probe:
        assert probe.is_healthy()

    assert heads == [[("Host", url.removeprefix("http://")), *asker(url)]]


def test_every_asker_is_met() -> None:
    """Over some sessions, all of them ask; each session has one."""
    agents = {dict(asker(seed))["User-Agent"] for seed in SEEDS}

    assert agents == set(user_agents())
    assert asker("one") == asker("one")
