"""Text that others wrote, made fit to be shown."""

from __future__ import annotations

import re

# C0 without tab and line feed, DEL, C1, and what reorders or hides text around it.
_MOVING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with what would move the cursor, colour, hide or reorder spelled out.

    Line ends of other systems become line feeds.
    """
    return _MOVING.sub(_spelled, text.replace("\r\n", "\n"))


def _spelled(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def shortened(text: str, most: int) -> str:
    """The text's beginning and end, if it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
