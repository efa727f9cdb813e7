"""What a service's log says about where it sends its spans."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_ABOUT_EXPORTS = re.compile(
    r"export|otlp|/v1/traces|ECONNREFUSED|HTTPConnectionPool", re.IGNORECASE
)
_HOST = r"\[[0-9a-fA-F:]+\]|[0-9a-fA-F]*::[0-9a-fA-F:]*[0-9a-fA-F]|[A-Za-z0-9_.-]+"
_ADDRESSES = (
    re.compile(rf"https?://(?P<host>{_HOST}):(?P<port>\d{{1,5}})"),
    re.compile(r"host='(?P<host>[^']+)', port=(?P<port>\d{1,5})"),
    re.compile(rf"ECONNREFUSED (?P<host>{_HOST}):(?P<port>\d{{1,5}})"),
    re.compile(rf"\bto (?:ipv[46]:)?(?P<host>{_HOST}):(?P<port>\d{{1,5}})"),
)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_MAX_LINE = 4000


def addresses_in(log: str, *, known: Collection[str] = ()) -> tuple[str, ...]:
    """The addresses to which a service could not export, in the order of its log.

    Args:
        log: What it has written.
        known: Addresses on loopback it may use, e.g. ``"127.0.0.1:43180"``; of the names of
            loopback any counts.

    Returns:
        E.g. ``("localhost:4318",)``, each once.
    """
    ports = {address.rpartition(":")[2] for address in known}
    found = dict.fromkeys(
        f"{host}:{port}"
        for line in log.splitlines()
        if _ABOUT_EXPORTS.search(line[:_MAX_LINE])
        for host, port in _addresses(line[:_MAX_LINE])
        if not (host in _LOOPBACK and port in ports)
    )
    return tuple(found)


def _addresses(line: str) -> Iterator[tuple[str, str]]:
    for pattern in _ADDRESSES:
        for match in pattern.finditer(line):
            yield match["host"], match["port"]
