"""The formats that are really asserted; one that is not in here would pass everything."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _has_format(
    shape: re.Pattern[str], parse: Callable[[str], object] | None, value: object
) -> bool:
    if not isinstance(value, str):
        return True
    if shape.fullmatch(value) is None:
        return False
    if parse is not None:
        parse(value.upper())
    return True


# Own shapes, because jsonschema takes any digit of Unicode for one of a
# UUID, everything with an "@" for an address, and a date-time with a line feed behind it for one.
_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
_OWN: dict[str, tuple[str, Callable[[str], object] | None]] = {
    "date": (_DATE, date.fromisoformat),
    "date-time": (f"{_DATE}[Tt]{_TIME}", datetime.fromisoformat),
    "email": (r"[^@\s]+@[^@\s]+", None),
    "uuid": (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", None),
    "ipv4": (r"[0-9.]+", IPv4Address),
    "ipv6": (r"[0-9a-fA-F:.]+", IPv6Address),
}

FORMATS: dict[str, Callable[[object], bool]] = {
    name: partial(_has_format, re.compile(shape, re.ASCII), parse)
    for name, (shape, parse) in _OWN.items()
}
"""Predicates by name; one may raise ``ValueError``, which means no, as well."""
