"""Whose words a slug build uses, on which stream; what quiet and JSON leave of them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from platform_steps import DEFAULT_STEPS, PILOT_STEPS, follow
from pylife_command import Pylife

pytestmark = pytest.mark.functional

Words = Callable[..., tuple[str | Path, ...]]
HOOKS = {f"bin/{name}": "#!/bin/sh\n" for name in ("pre-compile", "post-compile")}


@pytest.fixture
def words(app: Callable[..., Path], buildpack: Callable[..., Path], tmp_path: Path) -> tuple[str | Path, ...]:
    """A build that says something, with a cache that it changes, as a command line."""
    source = app({"Procfile": "web: serve\n", **HOOKS})
    pack = buildpack("small", compile='echo "-----> Working hard"; echo "be careful" >&2; echo x > "$2/x"')
    return ("slug", "build", "--app", source, "-b", pack, "--cache", tmp_path / "cache")


@pytest.mark.parametrize(
    ("profile", "lines"),
    [
        ("slugbuilder", ("-----> Small app detected", "-----> Compiling app...", "-----> Discovering process types")),
        ("slug-pilot", ("-----> Starting slug builder heroku-22", "-----> Compiling Small app by buildpack small")),
        ("herokuish", ("-----> Small app detected", "       Procfile declares types -> web")),
    ],
)
def test_another_tools_words_are_on_its_stream(
    pylife: Pylife, words: tuple[str | Path, ...], tmp_path: Path, profile: str, lines: tuple[str, ...]
) -> None:
    done = pylife(*words, "--log", profile, "-o", tmp_path / "slug.tgz")
    said = done.out.splitlines()
    for line in lines:
        assert line in said, done.out
    assert "-----> Working hard" in said
    assert "be careful" in done.err and "be careful" not in done.out
    steps = {"slugbuilder": DEFAULT_STEPS, "slug-pilot": PILOT_STEPS}.get(profile, ())
    found = follow(steps, said)
    assert all(begun >= 0 for begun, _ in found), done.out
    assert all(done > begun for step, (begun, done) in zip(steps, found, strict=True) if step.done)
    assert said[-1].startswith("sha256:")


def test_own_words_are_on_stderr_and_the_digest_alone_on_stdout(
    pylife: Pylife, words: tuple[str | Path, ...], tmp_path: Path
) -> None:
    done = pylife(*words, "-o", tmp_path / "slug.tgz")
    assert done.out.startswith("sha256:") and len(done.out.splitlines()) == 1
    for line in ("Detected: Small, by the buildpack small", "  be careful", "Processes: web (Procfile)"):
        assert line in done.err.splitlines()
    other = pylife(*words, "-o", tmp_path / "slug.tgz", env={"PYLIFE_SLUG_LOG": "slugbuilder"})
    assert "-----> Small app detected" in other.out.splitlines()


@pytest.mark.parametrize("profile", ["pylife", "slugbuilder", "slug-pilot", "herokuish"])
def test_a_slug_on_stdout_has_no_word_in_it(pylife: Pylife, words: tuple[str | Path, ...], profile: str) -> None:
    done = pylife(*words, "--log", profile)
    assert "Working hard" in done.err
    with tarfile.open(fileobj=BytesIO(done.raw)) as archive:
        assert "./made-by" in archive.getnames() or "./Procfile" in archive.getnames()


def test_quiet_says_only_what_it_made_and_what_went_wrong(
    pylife: Pylife, words: tuple[str | Path, ...], buildpack: Callable[..., Path], tmp_path: Path
) -> None:
    for profile in ("pylife", "slug-pilot"):
        done = pylife(*words, "--quiet", "--log", profile, "-o", tmp_path / "slug.tgz")
        assert done.err == "" and len(done.out.splitlines()) == 1
    broken = buildpack("broken", compile="exit 3")
    failed = pylife(*words, "--quiet", "-b", broken, code=1)
    assert "slug.compile-failed" in failed.err


def test_json_progress_is_one_object_a_line(pylife: Pylife, words: tuple[str | Path, ...], tmp_path: Path) -> None:
    done = pylife(*words, "--progress", "json", "-o", tmp_path / "slug.tgz", "--json")
    objects = [json.loads(line) for line in done.err.splitlines()]
    moments = [found["moment"] for found in objects if "moment" in found]
    assert moments[0] == "started" and moments[-1] == "ended"
    lines = [(found["text"], found["stream"]) for found in objects if found.get("moment") == "line"]
    assert ("be careful", "stderr") in lines
    assert done.json["processes"] == {"web": "serve"}
    assert done.json["buildpacks"] == [{"name": "small", "version": "", "app": "Small"}]
    failed = pylife(*words, "--progress", "json", "--max-size", "1", code=1)
    for line in failed.err.splitlines():
        json.loads(line)


def test_an_unknown_profile_is_refused_with_those_there_are(pylife: Pylife, words: tuple[str | Path, ...]) -> None:
    assert "slug-pilot" in pylife(*words, "--log", "nobody", code=2).err
    assert "slug-pilot" in pylife(*words, env={"PYLIFE_SLUG_LOG": "nobody"}, code=2).err
