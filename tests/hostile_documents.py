"""Documents nobody should be able to do harm with: what is wrong with each, and how to make it.

Those that are small texts are files below ``tests/hostile``; what may be read there is in
``tests/hostile/harmless``. Where they say ``127.0.0.1:9`` stands a server that counts, and
where they say ``/outside`` the folder around the contracts.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

from tests.openapi_documents import BODY, a_contract, planted

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent / "hostile"
SECRET = "the-silver-of-the-house"  # noqa: S105 - nobody's

FILES: dict[str, str] = {
    "alias-bomb.yaml": "alias",
    "alias-cycle.yaml": "alias",
    "alias.yaml": "alias",
    "anchor.yaml": "alias",
    "comment.json": "syntax",
    "control-character.json": "syntax",
    "control-character.yaml": "syntax",
    "crlf.md": "character",
    "cut.json": "syntax",
    "cycle-all-of.yaml": "ref-cycle",
    "cycle-alternatives.yaml": "ref-cycle",
    "cycle-itself.yaml": "ref-cycle",
    "cycle-of-files.yaml": "ref-cycle",
    "cycle-of-three.yaml": "ref-cycle",
    "cycle-whole-document.yaml": "ref-kind",
    "dialect-http.yaml": "dialect",
    "directive.yaml": "syntax",
    "duplicate-key-escaped.json": "duplicate-key",
    "duplicate-key-escaped.yaml": "duplicate-key",
    "duplicate-key-quoted.yaml": "duplicate-key",
    "duplicate-key.json": "duplicate-key",
    "duplicate-key.yaml": "duplicate-key",
    "duplicate-status.yaml": "duplicate-key",
    "dynamic-anchor.yaml": "ref-base",
    "dynamic-ref.yaml": "ref-base",
    "empty.json": "syntax",
    "empty.md": "no-model",
    "empty.yaml": "syntax",
    "endless-model.md": "endless",
    "enum-empty.yaml": "empty-enum",
    "escape-sequence-in-example.yaml": "example",
    "escape-sequence-in-keys.yaml": "operation-id path-parameter same-path",
    "escape-sequence-in-names.yaml": "enum schema security-scheme",
    "escape-sequence-in-parameters.yaml": "enum same-parameter",
    "escape-sequence-written.md": "field notation",
    "escape-sequence.md": "character field",
    "example-deep-in-alternatives.yaml": "example",
    "fence-in-a-quotation.md": "fence",
    "field-twice.md": "duplicate-key",
    "html.md": "html",
    "id-file.yaml": "ref-base ref-file",
    "id-http.yaml": "ref-base ref-file",
    "infinity.json": "number",
    "infinity.yaml": "number",
    "key-that-is-a-list.yaml": "key",
    "latin-1.yaml": "encoding",
    "leading-zero.json": "syntax",
    "list.json": "type",
    "list.yaml": "type",
    "lists-everywhere.yaml": "no-paths type",
    "mapping-http.yaml": "ref-external",
    "merge-key.yaml": "merge-key",
    "model-twice.md": "duplicate-model",
    "multiple-of-zero.yaml": "schema",
    "nan.json": "number",
    "nan.yaml": "number",
    "no-model.md": "no-model",
    "null-everywhere.yaml": "no-paths type",
    "null.json": "type",
    "null.yaml": "type",
    "only-a-comment.yaml": "syntax",
    "only-a-mark.yaml": "syntax",
    "page.json": "syntax",
    "path-item-http.yaml": "ref-external",
    "pattern-back-reference.yaml": "default",
    "pattern-broken.yaml": "pattern",
    "pattern-huge-count.yaml": "pattern",
    "pattern-linear-nested.yaml": "default",
    "pattern-linear-overlap.yaml": "default",
    "pattern-linear-words.yaml": "default",
    "pattern-look-ahead.yaml": "default",
    "ref-absolute-percent.yaml": "ref-file",
    "ref-absolute.yaml": "ref-external",
    "ref-backslash.yaml": "ref-external",
    "ref-broken-file.yaml": "ref-file syntax",
    "ref-dangling.yaml": "ref-dangling",
    "ref-data.yaml": "ref-external",
    "ref-device.yaml": "ref-file",
    "ref-drive.yaml": "ref-external",
    "ref-empty.yaml": "ref-external",
    "ref-escape-sequence.yaml": "ref-file",
    "ref-file-scheme-upper.yaml": "ref-external",
    "ref-file-scheme.yaml": "ref-external",
    "ref-folder.yaml": "ref-file",
    "ref-ftp.yaml": "ref-external",
    "ref-half-a-url.yaml": "ref-external",
    "ref-host.yaml": "ref-external",
    "ref-http.yaml": "ref-external",
    "ref-https.yaml": "ref-external",
    "ref-link.yaml": "ref-file",
    "ref-linked-folder.yaml": "ref-file",
    "ref-missing.yaml": "ref-file",
    "ref-newline.yaml": "ref-file",
    "ref-no-name.yaml": "ref-file",
    "ref-nul.yaml": "ref-file",
    "ref-number.yaml": "ref-external type",
    "ref-parent-below.yaml": "ref-file",
    "ref-parent-percent.yaml": "ref-file",
    "ref-parent-slash-percent.yaml": "ref-file",
    "ref-parent.yaml": "ref-file",
    "ref-pipe.yaml": "ref-file",
    "ref-python.yaml": "ref-file",
    "ref-query.yaml": "ref-external",
    "ref-socket.yaml": "ref-file",
    "ref-urn.yaml": "ref-external",
    "ref-userinfo.yaml": "ref-external",
    "ref-wrong-kind.yaml": "ref-kind",
    "reserved-name.yaml": "reserved",
    "schema-dialect-http.yaml": "dialect",
    "second-document.yaml": "syntax",
    "slow-pattern-example.yaml": "slow-pattern",
    "slow-pattern-look-behind.yaml": "slow-pattern",
    "slow-pattern-nested.yaml": "slow-pattern",
    "slow-pattern-of-names.yaml": "slow-pattern",
    "surrogate-in-key.json": "encoding",
    "surrogate.json": "encoding",
    "surrogate.md": "encoding",
    "surrogate.yaml": "syntax",
    "tab.yaml": "syntax",
    "tag-binary.yaml": "tag",
    "tag-escape-sequence.yaml": "tag",
    "tag-python-name.yaml": "tag",
    "tag-python.yaml": "tag",
    "tag-unknown-handle.yaml": "syntax",
    "text.yaml": "type",
    "too-great.json": "number",
    "too-great.yaml": "number",
    "trailing-comma.json": "syntax",
    "two-values.json": "syntax",
    "unclosed-fence.md": "fence",
    "unclosed-quote.yaml": "syntax",
    "version-2.yaml": "version",
    "version-4.yaml": "version",
    "version-digits-of-elsewhere.yaml": "version",
    "version-long.yaml": "version",
    "version-number.yaml": "version",
    "yaml.json": "syntax",
}
"""Each file of ``tests/hostile`` and the rules of its findings, all of them and no others."""

HARMLESS = tuple(sorted(f"harmless/{file.name}" for file in (HERE / "harmless").iterdir()))


def lay_out(outside: Path, port: int) -> Path:
    """Make the folder of the contracts, with all files and all traps, and what is around it."""
    root = outside / "contracts"
    for file in HERE.rglob("*.*"):
        text = file.read_bytes()
        text = text.replace(b"127.0.0.1:9/", b"127.0.0.1:%d/" % port)
        target = root / file.relative_to(HERE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.replace(b"/outside/", f"{outside}/".encode()))
    (outside / "secret.json").write_text(f'{{"A": {SECRET}')
    made = root / "made"
    made.mkdir()
    (made / "link.json").symlink_to(outside / "secret.json")
    (made / "linked").symlink_to(outside)
    (made / "device.json").symlink_to("/dev/zero")
    (made / "folder.json").mkdir()
    os.mkfifo(made / "pipe.json")
    (made / "locked.json").touch(mode=0)
    # The path of a socket must be short, and that of a test's folder is not.
    with chdir(made), socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.json")
    (made / "sparse.json").touch()
    os.truncate(made / "sparse.json", 100_000_000)
    for name, (make, _) in MADE.items():
        data = make()
        (made / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    for number in range(60):
        link = {"A": {"$ref": f"chain-{number + 1}.json#/A"}}
        (made / f"chain-{number}.json").write_text(json.dumps(link))
        (made / f"leaf-{number}.json").write_text('{"type": "string"}')
    return root


IN_PLACE: dict[str, str] = {
    "../secret.json": "unreadable",
    "made/../../secret.json": "unreadable",
    "/etc/hostname": "unreadable",
    "missing.yaml": "unreadable",
    "new\nline\x1b[31m.json": "unreadable",
    "nul\0.json": "unreadable",
    "": "unreadable",
    "made": "unreadable",
    "made/link.json": "unreadable",
    "made/linked/secret.json": "unreadable",
    "made/device.json": "unreadable",
    "made/folder.json": "unreadable",
    "made/pipe.json": "unreadable",
    "made/socket.json": "unreadable",
    "made/sparse.json": "size",
}
"""Paths at which there is no document."""


def schemas(**named: object) -> str:
    """A contract with these schemas."""
    return json.dumps(a_contract() | {"components": {"schemas": named}, "paths": {"/a": {}}})


def diamond(keyword: str, levels: int) -> str:
    """Schemas each of which leads to the next in two ways, and an example for the first."""
    to = "#/components/schemas/L{}"
    named: dict[str, object] = {
        f"L{n}": {keyword: [{"$ref": to.format(n + 1)}, {"$ref": to.format(n + 1)}]}
        for n in range(levels)
    }
    named[f"L{levels}"] = {"type": "string"}
    return schemas(**named, Top={"properties": {"a": {"$ref": to.format(0)}}, "example": {"a": 5}})


def tower() -> str:
    """Twenty thousand schemas, each within the alternatives of the one before."""
    named: dict[str, object] = {
        f"L{n}": {"anyOf": [{"$ref": f"#/components/schemas/L{n + 1}"}, {"type": "integer"}]}
        for n in range(20_000)
    }
    return schemas(**named, L20000={}, Top={"$ref": "#/components/schemas/L0", "example": "a"})


def misspelt_schemes() -> str:
    """Three thousand names, and as many that are almost like them."""
    scheme = {"type": "http", "scheme": "basic"}
    document = a_contract()
    document["components"]["securitySchemes"] = {f"scheme{n}x": scheme for n in range(3_000)}
    return json.dumps(document | {"security": [{f"scheme{n}y": []} for n in range(3_000)]})


def misspelt_parameters() -> str:
    """A path with two thousand parameters, none of which is declared."""
    declared = [
        {"name": f"parameter{n}y", "in": "path", "required": True, "schema": {}}
        for n in range(2_000)
    ]
    path = "/" + "".join(f"{{parameter{n}x}}" for n in range(2_000))
    responses = {"200": {"description": "It is up."}}
    item = {"parameters": declared, "get": {"responses": responses}}
    return json.dumps({**a_contract(), "paths": {path: item}})


def page(block: str) -> str:
    """A page with one model."""
    return f"## A\n\n```json\n{block}\n```\n"


A_REF = "#/components/schemas/"
MADE: dict[str, tuple[Callable[[], str | bytes], str]] = {
    # bytes
    "large.yaml": (lambda: "# " + "a" * 6_000_000, "size"),
    "large.json": (lambda: b" " * 6_000_000, "size"),
    "large.md": (lambda: page('{"a": "string"}') + " " * 6_000_000, "size"),
    "nul.yaml": (lambda: "openapi: 3.1.0\0", "syntax"),
    "nul.json": (lambda: '{"openapi": "3.1.0\0"}', "syntax"),
    "nul.md": (lambda: page('{"a\0": "string"}'), "character field"),
    "utf-16.yaml": (lambda: "openapi: 3.1.0".encode("utf-16"), "encoding"),
    "utf-16.json": (lambda: json.dumps(a_contract()).encode("utf-16"), "encoding"),
    "utf-16.md": (lambda: page('{"a": "string"}').encode("utf-16"), "encoding"),
    "utf-32.json": (lambda: json.dumps(a_contract()).encode("utf-32-be"), "syntax"),
    "compressed.json": (lambda: gzip.compress(b"{}" * 1_000_000), "encoding"),
    "every-byte.yaml": (lambda: bytes(range(256)), "encoding"),
    "unclosed-text.json": (lambda: '{"' + '\\"' * 2_000_000, "syntax"),
    # depth
    "brackets.json": (lambda: "[" * 100_000, "depth"),
    "brackets.yaml": (lambda: "a: " + "[" * 100_000, "depth"),
    "brackets.md": (lambda: page("[" * 100_000), "depth"),
    "closed-brackets.json": (lambda: "[" * 100_000 + "]" * 100_000, "depth"),
    "braces.json": (lambda: '{"a":' * 100_000, "depth"),
    "braces.yaml": (lambda: "{a: " * 100_000, "depth"),
    "dashes.yaml": (lambda: "- " * 100_000, "depth"),
    "indents.yaml": (lambda: "\n".join(" " * n + "a:" for n in range(1_500)), "depth"),
    "deep-schema.json": (
        lambda: schemas(A=json.loads('{"not":' * 110 + "{}" + "}" * 110)),
        "depth",
    ),
    "deep-model.md": (lambda: page('{"a":' * 40 + '"string"' + "}" * 40), "depth"),
    # numbers
    "digits.json": (lambda: '{"a": ' + "9" * 10_000 + "}", "number"),
    "digits.yaml": (lambda: "a: -" + "9" * 10_000, "number"),
    "many-digits.json": (lambda: '{"a": ' + "9" * 4_900_000 + "}", "number"),
    "zeros.yaml": (lambda: "a: " + "0" * 10_000, "number"),
    # YAML
    "alias-bomb.yaml": (
        lambda: "a: &a [x]\n" + "".join(f"b{n}: &b [*a, *a, *a]\n" for n in range(1_000)),
        "alias",
    ),
    "long-tag.yaml": (lambda: f"a: !{'x' * 1_000_000} 1", "tag"),
    "long-anchor.yaml": (lambda: f"a: &{'x' * 1_000_000} 1", "alias"),
    "long-key.yaml": (
        lambda: f"? {'x' * 1_000_000}\n: 1\n? {'x' * 1_000_000}\n: 1\n",
        "duplicate-key",
    ),
    # references
    "chain.json": (lambda: schemas(A={"$ref": "chain-0.json#/A"}), "ref-dangling ref-file"),
    "fan.json": (
        lambda: schemas(**{f"A{n}": {"$ref": f"leaf-{n}.json"} for n in range(51)}),
        "ref-file",
    ),
    "ring.json": (
        lambda: schemas(**{f"A{n}": {"$ref": f"{A_REF}A{(n + 1) % 9_000}"} for n in range(9_000)}),
        "more ref-cycle",
    ),
    # many ways to the same place
    "diamond-all-of.json": (lambda: diamond("allOf", 60), "example"),
    "diamond-any-of.json": (lambda: diamond("anyOf", 60), "unchecked"),
    "diamond-one-of.json": (lambda: diamond("oneOf", 18), "unchecked"),
    "diamond-not.json": (
        lambda: diamond("anyOf", 30).replace('"anyOf": [', '"not": {}, "anyOf": ['),
        "unchecked",
    ),
    "diamond-not-evaluated.json": (
        lambda: diamond("anyOf", 20).replace('"anyOf"', '"unevaluatedProperties": false, "anyOf"'),
        "time",
    ),
    "tower-any-of.json": (tower, "unchecked"),
    # much of everything
    "large-enum.json": (lambda: schemas(A={"enum": [*range(100_000)], "example": "a"}), "example"),
    "large-text.json": (
        lambda: schemas(A={"type": "integer", "example": "a" * 3_000_000}),
        "example",
    ),
    "large-key.json": (lambda: schemas(**{"!" * 3_000_000: {}}), "schema"),
    "large-reference.json": (
        lambda: schemas(A={"$ref": A_REF + "ab" * 500_000}, **{"ba" * 500_000: {}}),
        "ref-dangling",
    ),
    "many-faults.json": (lambda: schemas(**{f"A{n}": 5 for n in range(5_000)}), "more type"),
    "many-faults.yaml": (
        lambda: "# YAML\n" + schemas(**{f"A{n}": {"nullable": 5} for n in range(20_000)}),
        "more nullable",
    ),
    "misspelt-schemes.json": (misspelt_schemes, "more security-scheme"),
    "misspelt-parameters.json": (misspelt_parameters, "more path-parameter"),
    "misspelt-required.json": (
        lambda: schemas(
            A={
                "additionalProperties": False,
                "properties": {f"property{n}x": {} for n in range(3_000)},
                "required": [f"property{n}y" for n in range(3_000)],
            }
        ),
        "impossible-required more",
    ),
    "misspelt-references.json": (
        lambda: schemas(
            **{f"schema{n}x": {} for n in range(1_000)},
            **{f"A{n}": {"$ref": f"{A_REF}schema{n}y"} for n in range(9_000)},
        ),
        "more ref-dangling",
    ),
    "escape-sequence-in-reference.json": (
        lambda: json.dumps(planted(a_contract(), f"{BODY}/$ref", "\x1b[31m\n\x7f\u2028")),
        "ref-file",
    ),
    # pages
    "headings.md": (lambda: "## A\n" * 100_000, "more no-block"),
    "signs.md": (lambda: "#" * 900_000 + "\n", "no-model"),
    "blanks-and-signs.md": (lambda: "## a" + " #" * 400_000 + "x\n", "no-model"),
    "quotations.md": (lambda: "> " * 400_000 + "```json\n", "fence heading"),
    "ticks.md": (lambda: "`" * 900_000 + "\n", "fence no-model"),
    "one-long-type.md": (lambda: page(f'{{"a": "{"string | " * 50_000}string"}}'), "twice"),
    "long-literal.md": (lambda: page(f'{{"a": "{"(" * 400_000}"}}'), "notation"),
}
"""What is made: its text, and the rules of its findings."""
