"""The door through which an agent's commands reach the registry.

An agent can write where it likes in its workspace, but not in the ledger: it asks
the process that carries its task out, over a socket. That process knows whose
task it is, so nobody can publish in another one's name.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socketserver
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._domain.agent import ToolAnswer
from pytest_orchestrator._run.tool_client import MAX_BYTES, VARIABLE, receive, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.agent import Tools

TIMEOUT_S = 10.0
"""Seconds for which somebody who asks may keep the other side, and so an end, waiting."""
_MOST_AT_ONCE = 4
_LONGEST_PATH = 100
"""Bytes of a Unix socket's path; the kernel's limit is 104 on macOS, 108 on Linux."""


@contextlib.contextmanager
def tool_socket(tools: Tools, folder: Path, name: str) -> Iterator[dict[str, str]]:
    """Answer commands for as long as the block lasts.

    Args:
        tools: What is called.
        folder: Where the socket is made, unless its path would be too long for one.
        name: What it is called there; one that somebody who died has left is replaced.

    Yields:
        The environment that lets a command find the socket, and shows that it may.
    """
    with contextlib.ExitStack() as stack:
        path = folder / f"{name}.sock"
        if len(os.fsencode(path)) > _LONGEST_PATH:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tools.sock"
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server = stack.enter_context(_Server(str(path), tools))
        stack.callback(path.unlink, missing_ok=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield {VARIABLE: json.dumps([str(path), server.secret])}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    # What was asked is answered before the attempt is looked at: nothing is published after it.
    daemon_threads = False
    block_on_close = True

    def __init__(self, path: str, tools: Tools) -> None:
        self.tools = tools
        self.secret = secrets.token_hex(16)
        self.places = threading.BoundedSemaphore(_MOST_AT_ONCE)
        super().__init__(path, _Handler)
        Path(path).chmod(0o600)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up in the middle is not worth a word."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.request.settimeout(TIMEOUT_S)
        with self.server.places:
            try:
                answer = self._answer(json.loads(receive(self.request, MAX_BYTES)))
            except (ValueError, TypeError) as error:
                answer = ToolAnswer(f"that is no call of a tool: {error}", 2)
        send(self.request, json.dumps(answer._asdict()).encode())

    def _answer(self, call: Any) -> ToolAnswer:
        if not isinstance(call, dict) or not isinstance(call.get("arguments"), dict):
            raise TypeError("it must be an object with secret, tool and arguments")
        if not hmac.compare_digest(str(call.get("secret")).encode(), self.server.secret.encode()):
            return ToolAnswer("that socket is another task's; nothing was done", 2)
        return self.server.tools.call(str(call.get("tool")), call["arguments"])
