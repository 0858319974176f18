"""Commands that messages and pages tell people to run: each exists, with the options that are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from lifecycle.cli.program import program

ROOT = Path(__file__).resolve().parents[3]
# at the start of what is quoted, or of a line: elsewhere "pylife" is the subject of a sentence
NAMED = re.compile(r"""(?:^[ ]*(?:\$[ ])?|[`"'(]|\\n|:[ ]|[|][ ])pylife[ ]([a-z][^`"'\n\\#|;]*)""", re.M)
# sentences: pylife does, has, cannot
PROSE = re.compile(r"[a-z]+s|met|cannot|always|that")
# the words of another program: after --, and what the shell puts in
FOREIGN = re.compile(r"[ ]--[ ].*|[$][(].*")
MEANT = {"psuh": "a slip, as an example", "platform": "said to be missing"}


def texts() -> Iterator[tuple[str, str]]:
    for top, kinds in (("lifecycle", "py"), ("buildpacks", "py"), ("docs", "md"), (".", "md")):
        paths = (ROOT / top).rglob(f"*.{kinds}") if top != "." else [ROOT / "README.md"]
        for path in paths:
            if "adr" not in path.parts:
                yield str(path.relative_to(ROOT)), path.read_text()


def fault_of(words: list[str]) -> str:
    """What is wrong with a command line; empty when nothing is, or when it is no command line."""
    command: click.Command = program()
    context = click.Context(command, info_name="pylife")
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        found = command.get_command(context, words[0])
        if found is None:
            return "" if PROSE.fullmatch(words[0]) or words[0] in MEANT else f"there is no {words[0]}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    known = {
        option for parameter in command.get_params(context) for option in (*parameter.opts, *parameter.secondary_opts)
    }
    named = [word.partition("=")[0].rstrip(",.:)") for word in words if re.match(r"--[a-z]", word)]
    return " ".join(f"{command.name} has no {name}" for name in named if name not in known)


def test_every_command_and_option_that_people_are_told_exists() -> None:
    faults, count = [], 0
    for name, text in texts():
        for match in NAMED.finditer(text):
            line = FOREIGN.sub("", match[1])
            count += 1
            if fault := fault_of(line.split()):
                faults.append(f"{name}:{text[: match.start()].count(chr(10)) + 1}: pylife {line.strip()}: {fault}")
    assert count > 300
    assert not faults, "\n".join(faults)
