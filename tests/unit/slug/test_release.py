"""What bin/release says, and how it goes together with the Procfile."""

from __future__ import annotations

import subprocess
from itertools import permutations

import pytest
import yaml
from cases import Case, load_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.slug.procfile import parse_procfile, render_types_yaml
from lifecycle.slug.release import (
    NO_RELEASE,
    BadRelease,
    Release,
    merge,
    parse_release,
    render_config_vars,
    render_release,
)

PARSING = [case for case in load_cases("slug/release") if case.name.startswith("parse:")]
MERGING = [case for case in load_cases("slug/release") if case.name.startswith("merge:")]


@pytest.mark.parametrize("case", PARSING, ids=str)
def test_release_is_read_or_refused_as_the_table_says(case: Case) -> None:
    raw = case.sections["release"].encode()
    if "becomes" in case.sections:
        release = parse_release(raw, "python")
        assert render_release(release).decode() == case.sections["becomes"].rstrip("\n") + "\n"
        assert parse_release(render_release(release), "python") == release
        return
    with pytest.raises(BadRelease) as caught:
        parse_release(raw, "python")
    shown = f"{caught.value}\n{caught.value.details}"
    assert "python" in caught.value.what
    for words in case.sections["error"].splitlines():
        assert words in shown


@pytest.mark.parametrize("case", MERGING, ids=str)
def test_procfile_and_releases_go_together_as_the_table_says(case: Case) -> None:
    procfile = parse_procfile(case.sections["procfile"].encode()) if "procfile" in case.sections else None
    releases = [
        (key.removeprefix("release "), parse_release(text.encode(), key))
        for key, text in case.sections.items()
        if key.startswith("release ")
    ]
    types = merge(procfile, releases)
    assert [f"{type} = {command} ({types.origins[type]})" for type, command in types.commands.items()] == (
        case.sections["types"].split("\n") if case.sections["types"] else []
    )
    assert [f"{name} = {value}" for name, value in types.config_vars.items()] == case.sections["config"].splitlines()
    assert render_types_yaml(types.uploaded).decode() == (case.sections["uploaded"].rstrip("\n") or "{}") + "\n"
    warnings = case.sections.get("warnings", "").splitlines()
    assert len(warnings) == len(types.warnings)
    assert all(words in warning for words, warning in zip(warnings, types.warnings, strict=True))


def test_types_keep_apart_what_was_declared_and_what_is_default() -> None:
    types = merge(parse_procfile(b"worker: w\nweb: s\n"), [("ruby", Release({}, {"web": "x", "console": "irb"}))])
    assert types.declared == ("web", "worker")
    assert types.default == ("console", "web")


@pytest.mark.parametrize("raw", [b"[" * 5000, b"\xff\xfe\x00", b"a: \x00", b"a: &a [*a]\n", b"? [a]\n: b\n"])
def test_hostile_release_is_refused_or_says_nothing(raw: bytes) -> None:
    try:
        assert parse_release(raw, "python") == NO_RELEASE
    except BadRelease as error:
        assert error.why


VARIABLES = {
    "PLAIN": "value",
    "BLANKS": "  two  words ",
    "QUOTES": """it's "so" """,
    "DOLLAR": "$HOME `id` \\ ${X}",
    "BRACE": "a}b}",
    "LINES": "one\ntwo",
    "EMPTY": "",
}


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_config_variables_reach_the_process_with_their_exact_value(shell: str) -> None:
    assert _environment(shell, VARIABLES, {}) == VARIABLES


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_variable_of_the_environment_wins_over_a_config_variable(shell: str) -> None:
    own = {"PLAIN": "a  b * $x", "BRACE": "it's"}
    assert _environment(shell, VARIABLES, own) == {**VARIABLES, **own}


def test_path_of_a_buildpack_is_the_apps_although_every_image_has_one() -> None:
    assert _environment("bash", {"PATH": "bin:/usr/bin"}, {}) == {"PATH": "bin:/usr/bin"}


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.from_regex(r"V_[A-Z]{0,5}", fullmatch=True), st.text(max_size=20), min_size=1, max_size=3))
def test_any_value_reaches_the_process(variables: dict[str, str]) -> None:
    kept = {name: value.replace("\0", "") for name, value in variables.items()}
    assert _environment("bash", kept, {}) == kept


def _environment(shell: str, variables: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    script = render_config_vars(variables) + b"exec env -0"
    done = subprocess.run([shell], input=script, env={"PATH": "/usr/bin:/bin", **own}, capture_output=True, check=True)
    assert done.stderr == b""
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    return {name: found[name] for name in variables}


def test_config_variables_are_written_in_one_order() -> None:
    written = {render_config_vars(dict.fromkeys(order, "1")) for order in permutations("CAB")}
    assert written == {b"A=${A:-'1'}\nexport A\nB=${B:-'1'}\nexport B\nC=${C:-'1'}\nexport C\n"}


def test_slug_release_is_yaml_that_other_runners_read() -> None:
    release = Release({"A": "1", "B": "yes"}, {"web": "echo 'a: b' # c"}, ("db",))
    assert yaml.safe_load(render_release(release)) == {
        "addons": ["db"],
        "config_vars": {"A": "1", "B": "yes"},
        "default_process_types": {"web": "echo 'a: b' # c"},
    }
