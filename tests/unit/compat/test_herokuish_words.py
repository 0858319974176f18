"""herokuish's words, as a slug image runs them, on directories of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from classic_buildpack import write_buildpack

_PROGRAM = "import sys; from lifecycle.compat import main; main(['/usr/bin/herokuish', *sys.argv[1:]])"
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def herokuish(tmp_path: Path) -> Callable[..., Done]:
    """Runs ``herokuish`` as the user who runs the tests, with /app and its kin below ``tmp_path``."""
    names = {
        "APP_PATH": "app",
        "ENV_PATH": "env",
        "BUILDPACK_PATH": "buildpacks",
        "PYLIFE_HOME": "home",
        "TMPDIR": "tmp",
    }
    for name in names.values():
        (tmp_path / name).mkdir()
    own = {variable: str(tmp_path / name) for variable, name in names.items()}

    def run(*words: str | Path, code: int = 0) -> Done:
        environment = {**os.environ, **own, "PYLIFE_SLUG_IMAGE": "1", "HEROKUISH_SETUIDGUID": "false"}
        command = [sys.executable, "-c", _PROGRAM, *map(str, words)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def test_options_behind_a_command_are_the_commands_own(herokuish: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "app/Procfile").write_text("web: printf '[%s]'\n")
    assert herokuish("procfile", "exec", "printf", "[%s]", "-v", "-q", "--help").stdout == "[-v][-q][--help]"
    assert herokuish("procfile", "start", "web", "-v", "--progress").stdout == "[-v][--progress]"


def test_a_profile_may_use_the_arguments_of_its_shell(herokuish: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "app/.profile.d").mkdir()
    (tmp_path / "app/.profile.d/own.sh").write_text("set -- gone astray; export FOUND=$2\n")
    assert herokuish("procfile", "exec", "sh", "-c", 'echo "$FOUND $1"', "sh", "kept").stdout == "astray kept\n"


def test_what_a_procfile_loses_is_told_when_it_is_parsed(herokuish: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "app/Procfile").write_text("web: a\n=======\nweb: b\nworker: w")
    done = herokuish("procfile", "parse", "web")
    assert done.stdout == "a\n"
    assert "Procfile:2: this is a mark of an unfinished merge" in done.stderr
    assert "Procfile:3: web was on line 1 already" in done.stderr


def test_an_app_without_a_procfile_is_told(herokuish: Callable[..., Done], tmp_path: Path) -> None:
    done = herokuish("procfile", "parse")
    assert done.stdout == ""
    assert f"There is no Procfile in {tmp_path / 'app'}" in done.stderr


def test_help_tells_of_one_command(herokuish: Callable[..., Done]) -> None:
    assert "Buildpack" not in herokuish("help", "slug", "export").stdout
    assert "by PUT" in herokuish("help", "slug", "export").stdout
    assert "No such command: slug sell" in herokuish("help", "slug", "sell", code=2).stderr
    assert "buildpack" in herokuish("help").stdout


def test_version_is_herokuishs_line_with_the_buildpacks(herokuish: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "buildpacks/10_own").mkdir()
    lines = herokuish("version").stdout.splitlines()
    assert lines[0].startswith("herokuish: pylife ")
    assert lines[1:4] == ["buildpacks:", "  10_own", "  python"]


def test_installing_again_leaves_nothing_of_what_was_there(herokuish: Callable[..., Done], tmp_path: Path) -> None:
    pack = write_buildpack(tmp_path / "pack", {"detect": "true", "compile": "true", "old": "true"})
    herokuish("buildpack", "install", pack, "", "10_own")
    (pack / "bin/old").unlink()
    herokuish("buildpack", "install", pack, "", "10_own")
    assert sorted(os.listdir(tmp_path / "buildpacks/10_own/bin")) == ["compile", "detect"]
    assert herokuish("buildpack", "list").stdout.splitlines()[0] == "10_own"
    for name in ("../own", "a/b", ".hidden"):
        assert "no name of a buildpack" in herokuish("buildpack", "install", pack, "", name, code=2).stderr
    assert os.listdir(tmp_path / "buildpacks") == ["10_own"]


def test_a_slug_that_cannot_be_generated_leaves_the_old_one(herokuish: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "app/.slugignore").write_text("docs/\n!docs/kept\n")
    done = herokuish("slug", "generate")
    assert done.stdout.startswith("-----> Compiled slug size is ")
    assert "nothing can be taken back" in done.stderr
    before = (tmp_path / "tmp/slug.tgz").read_bytes()
    (tmp_path / "app/.slugignore").write_bytes(b"\xff\xfe")
    assert "slug.bad-slugignore" in herokuish("slug", "generate", code=1).stderr
    assert (tmp_path / "tmp/slug.tgz").read_bytes() == before
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["slug.tgz"]
