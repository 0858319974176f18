"""Nodes to typed instructions, and their expansion: fields, flags, values, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest
from cases import Case, load_cases
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.dockerfile.ast import Node, parse
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.instructions import Instruction, Scope, parse_instruction
from lifecycle.dockerfile.instructions.healthcheck import parse_duration
from lifecycle.dockerfile.instructions.reading import KEYWORDS
from lifecycle.dockerfile.modes import Mode

ENV = {"a": "hello", "n": "7", "two": "80 81", "empty": "", "t": "true", "stage": "base", "q": '"x"'}


def normal(instruction: Instruction) -> str:
    """The kind, and every field that is not its default, a line each; here-documents as name and content."""
    parts = [type(instruction).__name__]
    for item in dataclasses.fields(instruction):
        value = getattr(instruction, item.name)
        if item.name != "node" and value != item.default:
            parts.append(f"  {item.name}: {_shown(value)}")
    return "\n".join(parts)


def _shown(value: object) -> str:
    if isinstance(value, tuple) and value and all(map(dataclasses.is_dataclass, value)):
        return " | ".join(map(_shown, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = [
            f"{item.name}={getattr(value, item.name)!r}"
            for item in dataclasses.fields(value)
            if getattr(value, item.name) != item.default
        ]
        return f"{type(value).__name__}({', '.join(given)})"
    return repr(value)


def read(data: bytes, scope: Scope | None) -> list[Instruction]:
    file = parse(data)
    found = [parse_instruction(node, file) for node in file.nodes]
    return [instruction.expand(scope) for instruction in found] if scope else found


@pytest.mark.parametrize("case", load_cases("dockerfile/instructions"), ids=str)
def test_instruction(case: Case) -> None:
    data = case.sections["dockerfile"].encode("utf-8", "surrogateescape")
    if "error" in case.sections:
        with pytest.raises(DockerfileError) as caught:
            read(data, Scope(ENV))
        error = caught.value
        assert f"{error.code}: {error}\n{error.details}\n{error.fix}" == case.sections["error"], case.where
    else:
        assert "\n".join(map(normal, read(data, Scope(ENV)))) == case.sections["is"], case.where


FLAGS = """--from=$stage --chown=a:b --chmod=$n --chmod=u+x --link --link=$t --mount=type=cache,target=/x --mount=$a
--mount= --mount=type=secret,id="q --mount=type=$a,size=1k --network=none --network=$a --security=x --device=a/b=c
--after=x --interval=1s --interval=$a --timeout=1 --retries=-1 --exclude=*.md --parents --checksum=x --unpack=x
--x --platform=$a"""
WORDS = (
    """$a ${a:? ${a%%l} "x ["a"] [] a=b =c 80 80-90/udp 9000-1 $two x:y:z NONE CMD SIGTERM <<E https://x/y . /x as"""
)


@given(
    st.sampled_from([*KEYWORDS, "onbuild run", "onbuild copy", "onbuild from", "nope"]),
    st.lists(st.sampled_from(FLAGS.split()), max_size=3),
    st.lists(st.one_of(st.sampled_from(WORDS.split()), st.text(max_size=5)), max_size=4),
)
def test_reading_and_expanding_raise_only_dockerfile_errors(keyword: str, flags: list[str], words: list[str]) -> None:
    line = " ".join([keyword, *flags, *words]).encode("utf-8", "replace") + b"\nE\n"
    for scope in (None, Scope(ENV), Scope({}, "`")):
        try:
            read(line, scope)
        except DockerfileError as error:
            assert error.where is not None
            assert error.details is not None
            assert error.fix


def test_names_without_a_value_are_told_with_their_place() -> None:
    heard: list[tuple[str, int]] = []

    def hear(name: str, node: Node) -> None:
        heard.append((name, node.location.line))

    read(b"USER $u\nENV x=$v y=$a\nRUN --mount=type=cache,target=$w $not\nEXPOSE $p", Scope(ENV, on_unset=hear))
    assert heard == [("u", 1), ("v", 2), ("w", 3), ("p", 4)]


def test_a_pair_of_env_does_not_see_the_one_before_it() -> None:
    (env,) = read(b"ENV a=new b=$a", Scope(ENV))
    assert getattr(env, "pairs") == (("a", "new"), ("b", "hello"))  # noqa: B009


def test_a_default_of_arg_sees_the_one_before_it() -> None:
    (arg,) = read(b"ARG x=1 y=$x$a z", Scope(ENV))
    assert getattr(arg, "pairs") == (("x", "1"), ("y", "1hello"), ("z", None))  # noqa: B009


def test_flags_with_variables_wait_for_expansion() -> None:
    for line in (b"HEALTHCHECK --interval=$x CMD y", b"RUN --network=$x y", b"COPY --link=$x a b"):
        read(line, None)
        with pytest.raises(DockerfileError):
            read(line, Scope({"x": "?"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1s", 10**9),
        ("1h2m3.5s", 3723_500_000_000),
        ("1.5ms", 1_500_000),
        (".5s", 500_000_000),
        ("1.s", 10**9),
        ("100us", 100_000),
        ("100µs", 100_000),
        ("7ns", 7),
        ("-1s", -(10**9)),
        ("+2m", 120 * 10**9),
    ],
)
def test_duration(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "1x", ".s", "1s1", "--1s", "9223372036s1h", "1" * 99 + "h"])
def test_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("mode", "old", "is_dir", "new"),
    [
        ("755", 0o600, False, 0o755),
        ("0", 0o777, True, 0),
        ("04755", 0o600, False, 0o4755),
        ("u+x", 0o644, False, 0o744),
        ("+x", 0o644, False, 0o755),
        ("a-w", 0o666, False, 0o444),
        ("go-rwx", 0o777, True, 0o700),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("u=rwX,go=rX", 0o700, False, 0o755),
        ("go=", 0o755, False, 0o700),
        ("g=u", 0o740, False, 0o770),
        ("go=u-w", 0o700, False, 0o755),
        ("o+g", 0o650, False, 0o655),
        ("u-g", 0o770, False, 0o070),
        ("u+s", 0o755, False, 0o4755),
        ("g+s", 0o755, True, 0o2755),
        ("ug+s", 0o755, False, 0o6755),
        ("o+s", 0o755, False, 0o755),
        ("+t", 0o777, True, 0o1777),
        ("u-s", 0o4755, False, 0o755),
        ("u=rw", 0o4755, False, 0o655),
        ("=r", 0o6777, False, 0o444),
        ("a=rx,u+w", 0o000, False, 0o755),
        ("-X", 0o755, False, 0o644),
        ("u+rw-x", 0o100, False, 0o600),
    ],
)
def test_mode(mode: str, old: int, is_dir: bool, new: int) -> None:
    assert oct(Mode.parse(mode).apply(old, is_dir)) == oct(new)


@pytest.mark.parametrize("text", ["", "8", "10000", "0o755", "755x", "x", "u", "u+q", "u+x,", ",u+x", "u +x", "+755"])
def test_not_a_mode(text: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        Mode.parse(text)


@pytest.mark.parametrize("text", [b"RUN echo a\0b\n", b'CMD ["a\\u0000b"]\n', b"RUN <<E\na\0b\nE\n", b"ENV A=\0\n"])
def test_nul_is_refused_where_it_stands(text: bytes) -> None:
    file = parse(b"FROM scratch\n" + text)
    with pytest.raises(DockerfileError, match="NUL") as caught:
        parse_instruction(file.nodes[1], file)
    assert caught.value.where is not None
    assert caught.value.where.startswith("Dockerfile:2")
