"""Procfiles: what each dialect makes of one file, and what platforms are sent."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from cases import Case, load_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.slug.dialects import DIALECTS, Dialect
from lifecycle.slug.procfile import BadProcfile, Entry, Procfile, parse_procfile, render_types_yaml


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", load_cases("slug/procfile"), ids=str)
def test_dialect_makes_of_the_file_what_the_table_says(case: Case, dialect: Dialect) -> None:
    raw = case.sections["procfile"].encode().decode("unicode_escape").encode("latin-1")
    rows = [rows for names, rows in case.sections.items() if dialect in names.split()]
    assert len(rows) == 1, f"{case.where} says nothing about {dialect}, or says it twice"
    expected = [line for line in rows[0].split("\n") if line.strip()]
    if expected[0].startswith("! "):
        code, _, line = expected[0][2:].partition(" ")
        with pytest.raises(BadProcfile) as caught:
            parse_procfile(raw, dialect)
        assert caught.value.code == code
        assert caught.value.line == int(line or caught.value.line)
        assert caught.value.fix
        return
    found = parse_procfile(raw, dialect)
    wanted = [line for line in expected if not line.startswith("? ")]
    assert [f"{entry.type} = {entry.command}" for entry in found.entries] == wanted
    warned = [line[2:] for line in expected if line.startswith("? ")]
    assert len(found.warnings) == len(warned), found.warnings
    for words, warning in zip(warned, found.warnings, strict=True):
        assert words in warning


def test_procfile_gives_types_sorted_and_commands_in_the_order_of_the_file() -> None:
    found = Procfile((Entry("worker", "work", 1), Entry("web", "serve", 3)))
    assert found.types == ("web", "worker")
    assert list(found.commands) == ["worker", "web"]
    assert found.command("web") == "serve"
    assert found.command("clock") is None


def test_refusal_names_the_file_the_line_and_its_neighbours() -> None:
    with pytest.raises(BadProcfile) as caught:
        parse_procfile(b"web: serve\nworker work\nclock: tick\n", file="app/Procfile")
    assert caught.value.where == "app/Procfile:2"
    assert (
        caught.value.details == "app/Procfile:1: web: serve\napp/Procfile:2: worker work\napp/Procfile:3: clock: tick"
    )


def test_duplicate_shows_both_lines_and_names_them_in_what_to_do() -> None:
    with pytest.raises(BadProcfile) as caught:
        parse_procfile(b"web: a\n\nweb: b\n")
    assert caught.value.details == "Procfile:1: web: a\nProcfile:3: web: b"
    assert caught.value.fix.startswith("Delete line 1 or line 3")


def test_type_that_cannot_be_is_answered_with_one_that_can() -> None:
    with pytest.raises(BadProcfile) as caught:
        parse_procfile(b"Worker.mail!: celery -Q mail\n")
    assert parse_procfile(caught.value.fix.encode()).commands == {"worker-mail": "celery -Q mail"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(sorted(DIALECTS)))
def test_any_bytes_are_read_or_refused(raw: bytes, dialect: Dialect) -> None:
    try:
        found = parse_procfile(raw, dialect)
    except BadProcfile:
        return
    assert len(set(found.types)) == len(found.entries)
    assert all(entry.type and entry.command for entry in found.entries)


COMMANDS = {
    "web": "gunicorn app:app --bind 0.0.0.0:$PORT",
    "worker": "celery -A app worker -Q 'mail,slow'",
    "clock": "python -c \"print('x')\" && sleep 1",
    "curl": "curl http://localhost:5000/#top",
}


def test_types_are_yaml_and_a_procfile_that_says_the_same() -> None:
    raw = render_types_yaml(COMMANDS)
    assert yaml.safe_load(raw) == COMMANDS
    for dialect in ("heroku", "slugbuilder", "herokuish", "dokku", "piku", "cnb", "slug-pilot"):
        assert parse_procfile(raw, dialect).commands == COMMANDS
    assert raw.startswith(b"web: gunicorn app:app --bind 0.0.0.0:$PORT\nworker: ")


def test_no_types_are_an_empty_mapping() -> None:
    assert render_types_yaml({}) == b"{}\n"


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z0-9][-a-z0-9]{0,11}", fullmatch=True), st.text(min_size=1, max_size=300)))
def test_types_read_as_yaml_are_what_was_written(commands: dict[str, str]) -> None:
    raw = render_types_yaml(commands)
    assert yaml.safe_load(raw) == commands
    assert raw.count(b"\n") == max(len(commands), 1), "one line each"


def test_shell_takes_a_command_of_the_procfile_as_it_was_meant() -> None:
    raw = b"web: echo \"a b\" 'c d' $((1 + 1)) # said\r\n"
    command = parse_procfile(raw).commands["web"]
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "a b c d 2\n"
