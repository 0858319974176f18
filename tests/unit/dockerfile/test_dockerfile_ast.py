"""Lines to nodes: directives, comments, continuations, flags, argument shapes, here-documents, and the dump."""

from __future__ import annotations

import pytest
from cases import Case, load_cases
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.dockerfile.ast import dump, parse
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.frontend import OtherFrontend, check_frontend

PIECES = """FROM RUN COPY ADD ENV LABEL ARG CMD SHELL ONBUILD HEALTHCHECK EXPOSE FOO # #escape=` #syntax=x <<EOF <<-EOF
<<'EOF' EOF --from=a --x -- [ ] ["a"] [1] a=b a $a ${a:-b} ${ " ' \\ ` \\\\ é"""
BREAKS = ["\n", "\n\n", "\r\n", "\\\n", " ", "\t", "\x00", "\x85", "\udcff", "\U0001f600", "\\ \n", "\nEOF\n"]
PARTS = st.sampled_from([*PIECES.split(), *BREAKS])
FILES = st.lists(PARTS, max_size=30).map(lambda parts: " ".join(parts).encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("case", load_cases("dockerfile/ast"), ids=str)
def test_dump(case: Case) -> None:
    data = case.sections["dockerfile"].encode("utf-8", "surrogateescape")
    if "error" in case.sections:
        with pytest.raises(DockerfileError) as caught:
            parse(data)
        assert f"{caught.value}\n{caught.value.details or ''}".strip() == case.sections["error"], case.where
        return
    file = parse(data)
    assert dump(file) == case.sections["dump"], case.where
    if "heredocs" in case.sections:
        found = [
            f"{node.location.line}-{node.location.end} {doc.name!r} {doc.body!r}"
            + " expand" * doc.expand
            + f" fd {doc.fd}" * bool(doc.fd)
            for node in file.nodes
            for doc in node.heredocs
        ]
        assert "\n".join(found) == case.sections["heredocs"], case.where


@given(st.one_of(st.binary(max_size=200), FILES))
def test_parse_raises_only_dockerfile_errors(data: bytes) -> None:
    try:
        file = parse(data)
    except DockerfileError as error:
        assert error.what
    else:
        assert len(dump(file).split("\n(")) >= 1
        assert all(1 <= node.location.line <= node.location.end <= len(file.lines) for node in file.nodes)


def test_dump_with_lines_shows_the_source_of_each_instruction() -> None:
    text = b"FROM a\n\n# comment\nRUN b \\\n  c\n"
    assert dump(parse(text), lines=True) == '(from "a")\n; 1 | FROM a\n(run "b   c")\n; 4 | RUN b \\\n; 5 |   c'


def test_byte_order_mark_is_dropped() -> None:
    assert dump(parse(b"\xef\xbb\xbf# escape=`\nRUN a `\n b")) == '(run "a  b")'


def test_line_limit_counts_bytes() -> None:
    longest = b"RUN " + b"\xc3\xa9" * ((65535 - 5) // 2) + b"x"
    assert len(longest) == 65535
    assert parse(longest + b"\n").nodes[0].keyword == "run"
    with pytest.raises(DockerfileError, match=r"line 2 has 65536 bytes") as caught:
        parse(b"FROM a\n" + longest + b"x\n")
    assert caught.value.code == "dockerfile.line-too-long"


def test_comment_block_stays_with_the_instruction_below_it() -> None:
    file = parse(b"# syntax=docker/dockerfile:1\n# lost\n#\n# V the version\n\n  # of it\nARG V\nFROM a\n")
    assert [node.comments for node in file.nodes] == [("V the version", "of it"), ()]


def test_empty_continuation_is_noted_at_the_instruction_end() -> None:
    file = parse(b"FROM a\nRUN b \\\n\n  c\nRUN d\n")
    assert [(place.line, place.end) for place in file.empty_continuations] == [(4, 4)]


def test_carriage_returns_stay_in_here_documents_alone() -> None:
    file = parse(b"COPY <<E /x\r\na\r\nE\r\nRUN b\r\n")
    assert file.nodes[0].heredocs[0].content == "a\r\n"
    assert dump(file) == '(copy "<<E" "/x")\n(run "b")'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"# syntax=docker/dockerfile:1 x=y\nFROM a", "docker/dockerfile:1 x=y"),
        (b"#!/bin/sh\n# syntax=a/b\nFROM a", "a/b"),
        (b"// syntax=a/b\nFROM a", "a/b"),
        (b'{"syntax": "a/b",\n "x": 1}', "a/b"),
        (b"\n# syntax=a/b\nFROM a", None),
        (b"# note\n# syntax=a/b\nFROM a", None),
        (b"# unknown=x\n# syntax=a/b\nFROM a", None),
        (b"# escape=`\n# SynTax = a/b \nFROM a", "a/b"),
    ],
)
def test_syntax_directive(text: bytes, expected: str | None) -> None:
    directive = parse(text).directives.get("syntax")
    assert (directive.value if directive else None) == expected


@pytest.mark.parametrize(
    "name",
    [
        "docker/dockerfile",
        "docker/dockerfile:1",
        "docker/dockerfile:1.7-labs",
        "docker/dockerfile-upstream:master",
        "docker.io/docker/dockerfile:1@sha256:" + "a" * 64,
        "mirror.example:5000/hub/docker/dockerfile:1",
        "dockerfile.v0",
    ],
)
def test_the_own_frontend_is_built_in(name: str) -> None:
    check_frontend(parse(f"# syntax={name}\nFROM a".encode()), {})


def test_another_frontend_is_an_error_that_shows_the_line() -> None:
    file = parse(b"# syntax=example.com/other:1\nFROM a")
    with pytest.raises(OtherFrontend) as caught:
        check_frontend(file, {})
    assert caught.value.where == "Dockerfile:1:10"
    assert caught.value.details == "1 | # syntax=example.com/other:1\n  |          ^"
    check_frontend(file, {"BUILDKIT_SYNTAX": "docker/dockerfile:1"})
    with pytest.raises(OtherFrontend, match="BUILDKIT_SYNTAX"):
        check_frontend(parse(b"FROM a"), {"BUILDKIT_SYNTAX": "my/dockerfile"})


def test_a_very_deep_array_is_not_one_of_strings() -> None:
    with pytest.raises(DockerfileError, match="strings only"):
        parse(b"RUN " + b"[" * 30000 + b"]" * 30000)
