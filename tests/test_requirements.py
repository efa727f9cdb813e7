"""Of what an agent wrote as requirements, only names of packages with versions get through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._domain.service import read_requirements


@pytest.mark.parametrize(
    "line",
    [
        "-e .", "--editable=.", "-r more.txt", "-c bounds.txt", "--requirement more.txt",
        "--index-url https://example.org/simple", "-i https://example.org/simple", "-f .",
        "--extra-index-url=https://example.org", "--find-links .", "--trusted-host example.org",
        "--pre", "--no-binary :all:", "demo --config-settings=x=y", "demo --global-option=x",
        "demo==1.0 --no-index", "demo; python_version>'3' --pre", "demo -e .",
        "./demo", "../demo", "/demo", "demo/", ".", "~/demo", r"C:\demo", "file:///demo",
        "demo @ https://example.org/demo.whl", "demo@file:///demo", "git+https://example.org/demo",
        "https://example.org/demo.zip", "demo.whl", "demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl",
        "demo.ZIP", "${HOME}", "demo==${VERSION}", "demo 1.0", "demo==", "démo",
    ],
)  # fmt: skip
def test_line_is_refused(line: str) -> None:
    """Options, includes, paths, URLs and variables are refused, also behind a name."""
    accepted, refused = read_requirements(line.encode(), "requirements.txt")

    assert accepted == ()
    assert [finding.where for finding in refused] == ["requirements.txt:1"]


def test_file_in_another_encoding_is_refused() -> None:
    """Guessing the encoding, as pip does, would let lines read differently from what was judged."""
    accepted, refused = read_requirements("demo\n".encode("utf-16"), "requirements.txt")

    assert accepted == ()
    assert str(refused[0]).startswith("requirements.txt: is not UTF-8")


def test_usual_requirements_are_accepted() -> None:
    """Names, extras, versions, markers, hashes, comments and continued lines are read."""
    text = """\ufeff# what core needs
        fastapi[opentelemetry, standard] >= 0.115, < 1   # web
        uvicorn==0.34.0
        zope.interface~=7.0 ; python_version >= "3.11" and sys_platform != 'win32'
        bm25s ===0.3.16+local.1 \\
            --hash=sha256:00ff \\
            --hash=sha256:11ee
        numpy!=2.0.*; (platform_machine == "x86-64")

    """

    accepted, refused = read_requirements(text.encode(), "requirements.txt")

    assert refused == ()
    assert accepted == (
        "fastapi[opentelemetry, standard] >= 0.115, < 1",
        "uvicorn==0.34.0",
        "zope.interface~=7.0 ; python_version >= \"3.11\" and sys_platform != 'win32'",
        "bm25s ===0.3.16+local.1 --hash=sha256:00ff --hash=sha256:11ee",
        'numpy!=2.0.*; (platform_machine == "x86-64")',
    )


TOKENS = [
    "demo", "demo", "==1.0", ">=2,<3", "[extra]", " ", " ", "\n", "\\\n", "\r", "\x0c", "\u2028",
    ";", "python_version<'4'", "--hash=sha256:0a", "#", "@", "-e", "-r", "--index-url", "=",
    "https://x/y", "file:", "./", "/", "../", "${HOME}", "x.txt", ".whl", ".tar.gz", "\\", ":",
    "\ufeff", "--", "-", "é",
]  # fmt: skip


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join) | st.text(max_size=20))
def test_nothing_but_a_name_gets_through(text: str) -> None:
    """However a file is put together, accepted lines have no option but hashes, path or URL."""
    accepted, refused = read_requirements(text.encode("utf-8", "surrogatepass"), "requirements.txt")

    for line in accepted:
        words = re.sub(r" --hash=sha256:[0-9a]+", "", line)
        assert re.match(r"[A-Za-z0-9]", words)
        assert not re.search(r"[/\\@$:#\n]|(?:^| )-|\.(?:whl|tar\.gz)(?:$|[ ;\[<>=])", words)
        assert line.isascii()
    assert all(finding.rule == "requirements" for finding in refused)


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: not re.search(r"\.(whl|zip|tgz|tbz|txz|tlz|tar)", name, re.IGNORECASE)
)
VERSIONS = st.from_regex(r"(==|>=|<=|~=|!=|<|>) ?[0-9]{1,3}(\.[0-9]{1,2}){0,2}", fullmatch=True)
GAPS = st.sampled_from(["", " ", "   ", " \\\n  "])


@given(NAMES, st.lists(NAMES, max_size=2), st.lists(VERSIONS, max_size=3), GAPS, GAPS)
def test_every_name_with_versions_gets_through(
    name: str, extras: list[str], versions: list[str], first: str, second: str
) -> None:
    """Any name with extras and versions is accepted as it stands, but for white space."""
    bracketed = f"[{','.join(extras)}]" if extras else ""
    text = f"  {name}{first}{bracketed}{second}{','.join(versions)}  # why\n"

    accepted, refused = read_requirements(text.encode(), "requirements.txt")

    assert refused == ()
    assert [line.replace(" ", "") for line in accepted] == [
        (name + bracketed + ",".join(versions)).replace(" ", "")
    ]
