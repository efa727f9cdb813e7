"""HTML pages, as a service renders them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_orchestrator._checks import check_page, page_fields

PAGE = """<!DOCTYPE html>
<html lang="en">
  <head><meta charset="utf-8"/><title>Document assistant &amp; more</title></head>
  <body>
    <svg><title>Logo</title></svg>
    <p data-field="answer">It is <b>forty</b>-two
       &lt;really&gt;.</p>
    <ul>
      <li><span data-field="page">3</span>: <span data-field="source">a.pdf</span></li>
      <li><span data-field="page"><!-- -->7<!-- --></span><br></li>
      <li data-field="empty"></li>
    </ul>
    <div data-field="outer">in <i data-field="inner">and</i> out</div>
    <img data-field="picture" src="a.png">
    <script>self.push("<p data-field='answer'>not shown</p>")</script>
    <p data-field="noisy">heard<style>p {}</style><template>unheard</template></p>
  </body>
</html>
"""


TITLED = "<title>Document assistant</title>"


@pytest.mark.parametrize(
    "html",
    [
        f"<!doctype html>{TITLED}<p>Hello",
        f"<html><head>{TITLED}<body>Hello",
        f"<html><body>{TITLED}<main>Hello</main></body></html>",
        f"<html>{TITLED}<input></html>",
        f"<html>{TITLED}<img src='a.png'/></html>",
        "<html><title class='a'>\n Document\n &#97;ssistant </title>Hello",
    ],
)
def test_a_page_may_be_written_in_other_ways(html: str) -> None:
    """Tags that may be left out, a title in the body, attributes and line breaks are fine."""
    assert check_page(html, title="Document assistant", name="GET /").passed


@pytest.mark.parametrize("title", ["Document assistant", "assistant & more", None])
def test_a_page_with_its_title_passes(title: str | None) -> None:
    """The title may say more than it has to."""
    assert check_page(PAGE, title=title, name="GET /").passed


@pytest.mark.parametrize(
    ("html", "rule", "told"),
    [
        ("", "html", "is empty"),
        ('{"status": "ok"}', "html", '\'{"status": "ok"}\''),
        ("Document assistant", "html", "not an HTML page"),
        ("<p><title>Document assistant</title></p>", "html", "not an HTML page"),
        (f"<html>{TITLED}</html>", "empty", "shows nothing"),
        (f"<html><head>{TITLED}<style>p {{}}</style></head><body> \n</body></html>", "empty", ""),
        (f"<html>{TITLED}<div id=root></div><script>write('x')</script></html>", "empty", ""),
        (f"<html>{TITLED}<noscript>Turn on JavaScript</noscript></html>", "empty", ""),
        (f"<html><title>Welcome</title>{TITLED}<p>Hello</html>", "title", "is 'Welcome'"),
        (f"<html><template>{TITLED}</template><p>Hello</html>", "title", "no title"),
        ("<html><title>Welcome</title></html>", "title", "the title is 'Welcome'"),
        ("<html><title></title></html>", "title", "the title is ''"),
        ("<html><h1>Document assistant</h1></html>", "title", "there is no title"),
        ("<html><!-- <title>Document assistant</title> --></html>", "title", "no title"),
        ("<html><svg><title>Document assistant</title></svg></html>", "title", "no title"),
        ("<html><script>'<title>Document assistant</title>'</script>", "title", "no title"),
    ],
)
def test_another_page_is_found(html: str, rule: str, told: str) -> None:
    """The finding says what there is instead."""
    (finding,) = check_page(html, title="Document assistant", name="GET /").findings

    assert ("GET /", rule) == (finding.where, finding.rule)
    assert told in finding.what


def test_a_page_without_a_title_passes_if_none_is_asked_for() -> None:
    """``None`` means that the title is not looked at."""
    assert check_page("<!doctype HTML><p>hello", title=None, name="GET /").passed


def test_a_long_body_is_shortened() -> None:
    """A finding is a sentence, not a file."""
    (finding,) = check_page("x" * 10_000, title=None, name="GET /").findings

    assert len(finding.what) < 400


def test_fields_are_what_the_page_shows() -> None:
    """Texts by field, in document order, as a reader would see them."""
    assert {
        "answer": ["It is forty-two <really>."],
        "page": ["3", "7"],
        "source": ["a.pdf"],
        "empty": [""],
        "outer": ["in and out"],
        "inner": ["and"],
        "picture": [""],
        "noisy": ["heard"],
    } == page_fields(PAGE)


def test_a_page_without_fields_has_none() -> None:
    """An empty attribute marks nothing."""
    assert {} == page_fields("<html><p data-field=''>x</p><p data-field>y</p></html>")


def test_elements_that_are_not_closed_end_with_their_parent() -> None:
    """A missing end tag does not swallow the rest of the page."""
    html = "<html><div><p data-field='a'>one</div>two</span><p data-field='b'>three"

    assert {"a": ["one"], "b": ["three"]} == page_fields(html)


def test_paragraph_ends_where_the_next_block_begins() -> None:
    """Its end tag may be left out, as may those of html, head and body."""
    html = "<!doctype html><title>T</title><p data-field='a'>one<p data-field='b'>two<ul><li>three"

    assert {"a": ["one"], "b": ["two"]} == page_fields(html)


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)))
def test_every_field_is_found(texts: list[str]) -> None:
    """As many fields as were written, with their texts, in their order."""
    html = "<html>" + "".join(f"<p data-field='f'>{text}</p>" for text in texts)

    assert texts == page_fields(html).get("f", [])


@example("<![;")
@given(st.text("<>/!-=\"'&;ab \n" + "?[]", max_size=80))
def test_no_page_raises(html: str) -> None:
    """Whatever a service sends, there is a verdict."""
    check_page(html, title="a", name="GET /")
    page_fields(html)
