"""The program: start-up, help, usage errors, failures and how they look."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lifecycle.cli import run
from lifecycle.cli.command import Command, Group, Session
from lifecycle.cli.program import Program
from lifecycle.cli.table import BY_NAME, ROWS
from lifecycle.errors import PylifeError

HEAVY = {"httpx2", "rich", "jinja2", "yaml", "isal", "tomli_w", "asyncio"}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYLIFE_CONFIG", "PYLIFE_PROGRESS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYLIFE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def failing_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let ``pylife explain`` raise ``error`` from where its pages are read."""

    def raise_it(session: Session, code: str | None) -> None:
        raise error

    from lifecycle.cli.commands.explain import explain

    monkeypatch.setattr(explain, "callback", click.pass_obj(raise_it))


def test_starting_up_imports_nothing_heavy() -> None:
    code = "import sys, lifecycle.cli; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not HEAVY & set(modules)
    assert not [name for name in modules if name.startswith(("lifecycle.registry", "lifecycle.store", "lifecycle.oci"))]


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    from lifecycle import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"pylife {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_groups_every_command_by_task(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 0
    out = capsys.readouterr().out
    for row in ROWS:
        assert f"{row.task}:" in out
        assert row.summary in out


def leaves(command: click.Command, words: list[str]) -> list[list[str]]:
    """The words of every command in a group, however deep."""
    if not isinstance(command, Group):
        return [words]
    return [leaf for name, below in command.commands.items() for leaf in leaves(below, [*words, name])]


@pytest.mark.parametrize("name", BY_NAME)
def test_every_command_has_common_options_and_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    command = getattr(importlib.import_module(BY_NAME[name].module), name)
    assert isinstance(command, (Command, Group))
    for words in leaves(command, [name]):
        assert run([*words, "--help"]) == 0
        out = capsys.readouterr().out
        for expected in ("--progress", "--quiet", "--verbose", "Example", f"pylife {' '.join(words)}"):
            assert expected in out, f"{words} --help lacks {expected}"


@pytest.mark.parametrize(("arguments", "text"), [([], "Make images:"), (["registry"], "serve")])
def test_group_without_a_command_shows_its_help_on_stderr(
    capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err
    assert "error:" not in captured.err


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["psuh"], "Did you mean `push`?"),
        (["xyzzy"], "`pylife --help` lists the commands."),
        (["explain", "--quite"], "Did you mean `--quiet`?"),
        (["explain", "--progress", "loud"], "`pylife explain --help` shows the options and an example."),
        (["explain", "usage", "more"], "`pylife explain --help` shows the options and an example."),
        (["explain", "usagee"], "Did you mean `usage`?"),
    ],
)
def test_wrong_usage_exits_2_and_names_what_is_near(
    capsys: pytest.CaptureFixture[str], arguments: list[str], fix: str
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert f"fix:   {fix}" in captured.err


def test_error_shows_all_its_parts_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = PylifeError(
        "The app has no manage.py", why="it was looked for\nin two places", where="src/", details="a.py\n\x1b[2Jb.py",
        fix="Move it.", exit_code=51,
    )  # fmt: skip
    failing_command(monkeypatch, error)
    assert run(["explain"]) == 51
    assert capsys.readouterr().err == (
        "error: The app has no manage.py\n"
        "  why:   it was looked for\n"
        "         in two places\n"
        "  where: src/\n"
        "\n"
        "    a.py\n"
        "    b.py\n"
        "\n"
        "  fix:   Move it.\n"
        "  (internal; `pylife explain internal` says more)\n"
    )


def test_error_is_one_json_line_when_progress_is_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_command(monkeypatch, PylifeError("It failed", why="so"))
    assert run(["explain", "--progress", "json"]) == 1
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["code"], line["what"], line["why"]) == ("error", "internal", "It failed", "so")


def test_fault_of_pylife_leaves_its_traceback_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing_command(monkeypatch, KeyError("rootfs"))
    assert run(["explain"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    (file,) = tmp_path.glob("pylife-fault-*.txt")
    assert str(file) in err
    assert "KeyError: 'rootfs'" in file.read_text()


def test_verbose_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    failing_command(monkeypatch, KeyError("rootfs"))
    assert run(["explain", "-v"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"),
    [(28, "store.disk-full"), (122, "store.disk-full"), (13, "store.no-access"), (30, "store.no-access")],
)
def test_full_disk_and_refused_file_are_no_faults_of_pylife(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    failing_command(monkeypatch, OSError(number, "reason", "/somewhere/file"))
    assert run(["explain"]) == 1
    err = capsys.readouterr().err
    assert code in err
    assert "/somewhere/file" in err


def test_interrupt_exits_130_with_a_clean_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_command(monkeypatch, KeyboardInterrupt())
    assert run(["explain"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_reader_that_went_away_is_no_error() -> None:
    script = f"{sys.executable} -m lifecycle.cli explain; echo $? >&2"
    shell = subprocess.run(["bash", "-c", f"({script}) | true"], capture_output=True, text=True)
    assert "Traceback" not in shell.stderr
    assert "error" not in shell.stderr


def test_standard_output_may_be_closed() -> None:
    words = [sys.executable, "-c", "from lifecycle.cli import main; main(['--version'])"]
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_sigterm_unwinds_and_exits_143() -> None:
    code = "import os, signal, lifecycle.cli.commands.explain as e, lifecycle.cli as c, click\n"
    code += "e.explain.callback = click.pass_obj(lambda session, code: os.kill(os.getpid(), signal.SIGTERM))\n"
    code += "import sys; sys.argv = ['pylife', 'explain']; c.main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (143, "terminated\n")


def test_explain_works_with_a_broken_settings_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYLIFE_CONFIG", "/nowhere/config.toml")
    assert run(["explain", "settings.bad-file"]) == 0
    assert capsys.readouterr().out.startswith("# The settings file cannot be used\n")


def test_command_keeps_its_own_short_options() -> None:
    made = Command("c", params=[click.Option(["-v", "--volume"])])
    flags = [name for param in made.params for name in param.opts]
    assert flags.count("-v") == 1
    assert "--verbose" in flags


def test_commands_are_found_by_the_program_as_the_table_says() -> None:
    program = Program(name="pylife")
    context = click.Context(program)
    assert program.list_commands(context) == [row.name for row in ROWS]
    assert program.get_command(context, "nothing") is None
