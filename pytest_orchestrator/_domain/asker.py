"""As whom a gate asks: like some ordinary client, another one in each session.

A service that answers well only to a gate would have to know one. So gates send what
browsers and ordinary clients send, in their order, and nothing that names them.
"""

from __future__ import annotations

from hashlib import sha256

Headers = tuple[tuple[str, str], ...]

_EVERYTHING = ("Accept", "*/*")
# What a browser sends over plain HTTP, which is also what everybody can unpack.
_PACKED = ("Accept-Encoding", "gzip, deflate")
_OPEN = ("Connection", "keep-alive")


def _browser(agent: str, languages: str) -> Headers:
    """A browser's own requests to the page it shows, in Firefox's and Safari's order."""
    told = (("User-Agent", agent), _EVERYTHING, ("Accept-Language", languages))
    return (*told, _PACKED, _OPEN)


def _chromium(agent: str, languages: str) -> Headers:
    told = (_OPEN, ("User-Agent", agent), _EVERYTHING, _PACKED)
    return (*told, ("Accept-Language", languages))


_ASKERS: tuple[Headers, ...] = (
    _browser(
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "en-US,en;q=0.5",
    ),
    _browser(
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/18.5 Safari/605.1.15",
        "en-GB,en;q=0.9",
    ),
    _chromium(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
        "en-US,en;q=0.9",
    ),
    _chromium(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0",
        "en-US,en;q=0.8",
    ),
    (("User-Agent", "curl/8.14.1"), _EVERYTHING),
    (("User-Agent", "Wget/1.25.0"), _EVERYTHING, ("Accept-Encoding", "identity"), _OPEN),
)


def asker(seed: str) -> Headers:
    """The headers of one of them, in order; the same for the same seed."""
    return _ASKERS[sha256(seed.encode()).digest()[0] % len(_ASKERS)]


def user_agents() -> tuple[str, ...]:
    """The user agents there are, for a check that answers do not depend on who asks."""
    return tuple(value for headers in _ASKERS for name, value in headers if name == "User-Agent")
