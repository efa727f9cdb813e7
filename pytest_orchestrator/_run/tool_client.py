"""How a command in an agent's workspace asks for a tool; needs nothing but Python."""

from __future__ import annotations

import json
import os
import socket

from pytest_orchestrator.errors import Infra

VARIABLE = "PYTEST_ORCHESTRATOR_TOOLS"
"""In the environment of an agent at work: where its tools are, and the secret that opens them."""
MAX_BYTES = 40_000_000
"""A document of 5 MB in the longest way JSON can write it, and some."""
TIMEOUT_S = 300.0
"""Longer than a document may be judged, and compared with two others."""
FINE, FINDINGS, NOT_JUDGED = 0, 1, 2
"""Exit status of every command, and status of every answer."""


def is_at_hand() -> bool:
    """Whether this process works on a task."""
    return bool(os.environ.get(VARIABLE))


def call(tool: str, **arguments: object) -> tuple[str, int, bool]:
    """Call a tool of the task this process works on.

    Returns:
        What to show, the exit status, and whether what is shown is a document.

    Raises:
        Infra: Nobody answers.
    """
    try:
        path, secret = json.loads(os.environ[VARIABLE])
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(path)
            request = {"secret": secret, "tool": tool, "arguments": arguments}
            send(connection, json.dumps(request).encode())
            answer = json.loads(receive(connection, MAX_BYTES))
        return answer["text"], answer["status"], answer["is_document"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Infra(
            f"the orchestrator does not answer ({error}); its attempt may be over: end this one"
        ) from error


def send(connection: socket.socket, data: bytes) -> None:
    """Send all there is to say."""
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def receive(connection: socket.socket, most: int) -> bytes:
    """Everything the other side says.

    Raises:
        ValueError: It is more than ``most`` bytes.
    """
    data = bytearray()
    while piece := connection.recv(1 << 16):
        data += piece
        if len(data) > most:
            raise ValueError(f"it is longer than {most} bytes")
    return bytes(data)
