"""All rules about contracts by name; ``docs/reference/contract-rules.md`` tells of each."""

from __future__ import annotations

NOT_JUDGED = frozenset({"unreadable", "size", "time", "memory", "broken"})
"""Rules of findings that do not say that a contract is wrong, but that nobody knows."""

READING = frozenset(
    """
    alias depth duplicate-key encoding key merge-key number syntax tag
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
REFERENCES = frozenset(
    """
    ref-base ref-cycle ref-dangling ref-external ref-file ref-kind reserved
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
# Keywords of JSON Schema by which the official schemas refuse a document.
OFFICIAL = frozenset(
    """
    additionalProperties anyOf const dependentRequired dependentSchemas enum format minItems
    minLength minProperties minimum not oneOf pattern required type unevaluatedProperties
    uniqueItems
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
OWN = frozenset(
    """
    component-name covers default dialect empty-enum example impossible-required no-paths
    no-responses nullable operation-id path-parameter same-parameter same-path security-scheme
    slow-pattern version
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
ABOUT = frozenset({"more", "schema", "unchecked"})
RULES = NOT_JUDGED | READING | REFERENCES | OFFICIAL | OWN | ABOUT


def official_rule(keyword: str) -> str:
    """The rule by which the official schema refuses something for this keyword."""
    return keyword if keyword in OFFICIAL else "schema"
