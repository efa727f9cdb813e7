"""HTML pages: that it is one, its title, and the fields it shows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

# Elements without an end tag, so nothing can be in them.
_VOID = frozenset(
    """
    area base br col embed hr img input link meta param source track wbr
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
# End tags that may be left out: what begins, what that ends, and where the search for it stops.
_ENDED_BY: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "li": (("li",), ("ul", "ol", "menu")),
    "dt": (("dt", "dd"), ("dl",)),
    "dd": (("dt", "dd"), ("dl",)),
    "tr": (("tr",), ("table",)),
    "td": (("td", "th"), ("table", "tr")),
    "th": (("td", "th"), ("table", "tr")),
    "option": (("option",), ("select", "datalist")),
    **dict.fromkeys(
        """
        address article aside blockquote details div dl fieldset figure footer form h1 h2 h3 h4 h5
        h6 header hr main menu nav ol p pre section table ul
        """.split(),  # noqa: SIM905 - as above
        (("p",), ("button", "caption", "object", "table", "td", "th")),
    ),
}
_UNSEEN = frozenset(("noscript", "script", "style", "template"))
# Elements that show something without any text in them.
_PICTURES = frozenset(("button", "canvas", "img", "input", "select", "svg", "textarea", "video"))


def check_page(html: str, *, title: str | None, name: str) -> Verdict:
    """Whether a text is an HTML page with the title it should have.

    Args:
        html: The body of the answer.
        title: What the page's ``<title>`` must contain; ``None``: not looked at.
        name: What findings call the page, e.g. ``"GET http://127.0.0.1:3000/"``.

    Returns:
        At most one finding, with the title there is or the start of the body. Of several
        titles, the first counts, as in a browser. A page that shows nothing is found, too:
        one without a visible text, picture or field.
    """
    page = read_page(html)
    if not page.is_html:
        what = f"is not an HTML page: {shortened(html)!r}" if html else "is empty"
        return Verdict("page", (Finding(name, what, "html"),))
    if title is not None and title not in "".join(page.titles[:1]):
        shown = f"the title is {page.titles[0]!r}" if page.titles else "there is no title"
        what = f"{shown}; it must contain {title!r}"
        return Verdict("page", (Finding(name, what, "title"),))
    if not page.shows:
        what = f"shows nothing: no text, picture or field is rendered in {shortened(html)!r}"
        return Verdict("page", (Finding(name, what, "empty"),))
    return Verdict("page")


def page_fields(html: str) -> dict[str, list[str]]:
    """The text a page shows in its marked elements, in document order.

    ``<td data-field="page">3</td>`` is ``{"page": ["3"]}``; runs of white space
    count as one space, and elements within the marked one belong to it. What
    only the browser would add is not there.
    """
    fields: dict[str, list[str]] = {}
    for element in read_page(html).marked:
        fields.setdefault(element.marked_as, []).append(element.text)
    return fields


@dataclass(slots=True, eq=False)
class Element:
    """An element that has begun.

    Attributes:
        tag: In lower case, e.g. ``"form"``.
        attributes: By name in lower case; without a value, ``""``.
        parent: The element it is in; ``None`` for the outermost.
        parts: The texts in it, in document order, also those of elements within it.
    """

    tag: str
    attributes: dict[str, str]
    parent: Element | None = field(default=None, repr=False)
    parts: list[str] = field(default_factory=list, repr=False)

    @property
    def marked_as(self) -> str:
        """What its ``data-field`` says; may be empty."""
        return self.attributes.get("data-field", "")

    @property
    def around(self) -> Iterator[Element]:
        """The elements it is in, the innermost first."""
        outer = self.parent
        while outer is not None:
            yield outer
            outer = outer.parent

    def is_inside(self, tags: Collection[str]) -> bool:
        """Whether it is in an element with one of these tags."""
        return any(outer.tag in tags for outer in self.around)

    @property
    def text(self) -> str:
        """The text in it; runs of white space count as one space."""
        return " ".join("".join(self.parts).split())


class Page(HTMLParser):
    """Collects the elements and texts of a page; forgives what browsers forgive."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.is_html = False
        self.shows = False
        self.texts: list[str] = []
        self.elements: list[Element] = []
        self._open: list[Element] = []

    @property
    def marked(self) -> list[Element]:
        """The elements with ``data-field``, in document order."""
        return [element for element in self.elements if element.marked_as]

    @property
    def titles(self) -> list[str]:
        """The texts of its titles; the title of a drawing is not that of the page."""
        return [
            element.text
            for element in self.elements
            if element.tag == "title" and not element.is_inside({"svg", *_UNSEEN})
        ]

    def handle_decl(self, decl: str) -> None:
        """Note the declaration of an HTML page."""
        self.is_html |= decl.lower().split() == ["doctype", "html"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        self.is_html |= tag == "html"
        # Of an attribute given twice, browsers take the first.
        attributes = {name: value or "" for name, value in reversed(attrs)}
        self._end_those_before(tag)
        element = Element(tag, attributes, self._open[-1] if self._open else None)
        self.elements.append(element)
        self.shows |= tag in _PICTURES and not element.is_inside(_UNSEEN)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element; browsers ignore the slash."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """End an element, and those left open within it."""
        tags = [element.tag for element in self._open]
        if tag in tags:
            del self._open[len(tags) - 1 - tags[::-1].index(tag) :]

    def _end_those_before(self, tag: str) -> None:
        """End what the beginning of an element ends: a list's item needs no end tag."""
        ended, scope = _ENDED_BY.get(tag, ((), ()))
        for index in range(len(self._open) - 1, -1, -1):
            if self._open[index].tag in ended:
                del self._open[index:]
                return
            if self._open[index].tag in scope:
                return

    def handle_data(self, data: str) -> None:
        """Give a text to all elements around it, unless nobody sees it."""
        around = {element.tag for element in self._open}
        if not around & _UNSEEN:
            self.shows |= bool(data.strip()) and "title" not in around
            self.texts.append(data)
            for element in self._open:
                element.parts.append(data)


def read_page(html: str) -> Page:
    """The elements of a page, as far as it can be read."""
    page = Page()
    # Its answer to some broken declarations, ``<![;``; what came before them is read.
    with suppress(AssertionError):
        page.feed(html)
        page.close()
    return page
