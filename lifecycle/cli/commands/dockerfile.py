"""``pylife dockerfile``: what the builder's passes make of a Dockerfile, one command each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.command import Group, Session, command, json_flag
from lifecycle.cli.options import parse_env, parse_pairs
from lifecycle.cli.text import plain, table

if TYPE_CHECKING:
    from lifecycle.dockerfile.ast import File
    from lifecycle.dockerfile.ignore import IgnoreRules
    from lifecycle.dockerfile.lint import Finding
    from lifecycle.dockerfile.outline import Outline
    from lifecycle.dockerfile.stages import Dockerfile, Stage
    from lifecycle.dockerfile.survey import Images
    from lifecycle.oci import ImageConfig

_file = click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
_build_arg = click.option(
    "--build-arg", "build_args", multiple=True, metavar="K[=V]", help="Set a build argument (K alone: yours)."
)
_target = click.option("--target", metavar="STAGE", help="The stage to build.")


def _parse(file: Path) -> File:
    from lifecycle.dockerfile.ast import parse

    if str(file) == "-":
        return parse(sys.stdin.buffer.read())
    return parse(file.read_bytes(), str(file))


def _read(file: Path, target: str | None, build_args: dict[str, str]) -> tuple[Dockerfile, Stage | None]:
    """The Dockerfile and its stage ``target``; only what the built-in frontend reads."""
    from lifecycle.dockerfile.frontend import check_frontend
    from lifecycle.dockerfile.stages import read_dockerfile

    parsed = _parse(file)
    check_frontend(parsed, build_args)
    dockerfile = read_dockerfile(parsed)
    return dockerfile, dockerfile.target(target) if target else None


@command(examples=["pylife dockerfile ast Dockerfile", "pylife dockerfile ast --lines - < Dockerfile"])
@_file
@click.option("--lines", is_flag=True, help="Show which lines each instruction stands on.")
def ast(session: Session, file: Path, lines: bool) -> None:
    """Print the parsed file as BuildKit's parser does, one instruction a line."""
    from lifecycle.dockerfile.ast import dump

    text = dump(_parse(file), lines=lines)
    session.print(text, newline=not text.endswith("\n"))


@command(examples=["pylife dockerfile expand --env NAME=world 'hello-${NAME:-you}'"])
@click.argument("word")
@click.option("--env", multiple=True, metavar="K=V", help="Set a variable; no others are there.")
@click.option(
    "--escape",
    type=click.Choice(["\\", "`"]),
    default="\\",
    help="The escape character, as the file's escape directive sets it (default: \\).",
)
@click.option("--words", is_flag=True, help="Split the result as EXPOSE does, one word a line.")
def expand(session: Session, word: str, env: tuple[str, ...], escape: str, words: bool) -> None:
    """Expand WORD as an instruction would: variables replaced, quotes and escapes removed."""
    from lifecycle.dockerfile.words import expand, expand_words

    variables = parse_pairs(env, "--env")
    if words:
        found, _ = expand_words(word, variables, escape)
        for item in found:
            session.print(item)
    else:
        session.print(expand(word, variables, escape).text)


@command(
    examples=[
        "pylife dockerfile check Dockerfile",
        "pylife dockerfile check --json --context . docker/Dockerfile",
        "pylife dockerfile check --build-arg VERSION=3 --target test Dockerfile",
    ]
)
@_file
@_build_arg
@click.option("--target", metavar="STAGE", help="Check this stage and what it needs (default: all stages).")
@click.option(
    "--context",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The build context, for its ignore file (default: FILE's directory).",
)
@json_flag
def check(
    session: Session, file: Path, build_args: tuple[str, ...], target: str | None, context: Path | None, as_json: bool
) -> None:
    """Look for mistakes, traps and outdated forms, as BuildKit's build checks do.

    Base images are looked up in the local store and nowhere else. Exits with 1 when the file cannot be built, or when
    it asks for that with `# check=error=true` and something was found; else with 0. `pylife explain RULE` shows what
    a rule is about.
    """
    from lifecycle.dockerfile.lint import ChecksFailed
    from lifecycle.dockerfile.lint import check as find

    given = parse_env(build_args, ())
    dockerfile, stage = _read(file, target, given)
    findings = find(
        dockerfile,
        ignore_rules=_ignore_rules(file, context),
        build_args=given,
        target=stage,
        images=_stored_images(session),
    )
    if as_json:
        session.print_json([finding.as_dict() for finding in findings])
    elif findings:
        session.print("\n\n".join(_block(finding, dockerfile.file.lines) for finding in findings))
    else:
        session.say(f"The checks find nothing in {dockerfile.file.name}.")
    ChecksFailed.raise_for(findings)


def _ignore_rules(file: Path, context: Path | None) -> IgnoreRules:
    from lifecycle.dockerfile.ignore import NOTHING_IGNORED, load_ignore_rules

    if str(file) == "-":
        return load_ignore_rules(context, context / "Dockerfile") if context else NOTHING_IGNORED
    return load_ignore_rules(context or file.parent, file)


def _stored_images(session: Session) -> Images:
    """Looks base images up in the local store, if there is one: a look makes none."""

    def look(stage: Stage, name: str) -> ImageConfig | None:
        if not (session.settings.home.value / "store").is_dir():
            return None
        from lifecycle.app.local import stored_config

        return stored_config(name, session.ports.store)

    return look


def _block(finding: Finding, lines: tuple[str, ...]) -> str:
    """A finding as people read it: the rule, what it says, where, and the lines."""
    place = finding.location
    width = len(str(place.end))
    shown = [
        f"  {number:>{width}} | {plain(lines[number - 1])}".rstrip()
        for number in range(place.line, min(place.end, place.line + 9, len(lines)) + 1)
    ]
    page = f"  (`pylife explain {finding.rule}` says more)"
    return "\n".join([f"{finding.level}: {finding.rule}: {plain(finding.message)}", f"  {place}", *shown, page])


@command(examples=["pylife dockerfile outline Dockerfile", "pylife dockerfile outline --target test --json Dockerfile"])
@_file
@_build_arg
@_target
@json_flag
def outline(session: Session, file: Path, build_args: tuple[str, ...], target: str | None, as_json: bool) -> None:
    """List what a build can be told: arguments, secrets, ssh agents, caches.

    A comment line `# NAME text` right above an ARG or a named FROM describes it.
    """
    from lifecycle.dockerfile.outline import outline as make

    given = parse_env(build_args, ())
    dockerfile, stage = _read(file, target, given)
    found = make(dockerfile, stage, given)
    if as_json:
        session.print_json(_outline_data(found))
        return
    session.print("\n\n".join(_outline_blocks(found)))


def _outline_data(found: Outline) -> dict[str, Any]:
    return {
        "target": found.target,
        "description": found.description,
        "args": [
            {"name": arg.name, "value": arg.value, "description": arg.description, "line": arg.location.line}
            for arg in found.arguments
        ],
        "secrets": [{"id": it.id, "required": it.required, "line": it.location.line} for it in found.secrets],
        "ssh": [{"id": it.id, "required": it.required, "line": it.location.line} for it in found.ssh],
        "caches": [
            {"id": it.id, "target": it.target, "sharing": it.sharing, "line": it.location.line} for it in found.caches
        ],
    }


def _outline_blocks(found: Outline) -> list[str]:
    blocks = [f"target {found.target or '(default)'}" + (f": {found.description}" if found.description else "")]
    if found.arguments:
        rows = [(arg.name, "" if arg.value is None else arg.value, arg.description) for arg in found.arguments]
        blocks.append(table(("ARGUMENT", "VALUE", "DESCRIPTION"), rows))
    for title, wanted in (("SECRET", found.secrets), ("SSH", found.ssh)):
        if wanted:
            blocks.append(table((title, "REQUIRED"), [(it.id, "yes" if it.required else "no") for it in wanted]))
    if found.caches:
        rows = [(cache.id, cache.target, cache.sharing) for cache in found.caches]
        blocks.append(table(("CACHE", "TARGET", "SHARING"), rows))
    return blocks


@command(examples=["pylife dockerfile targets Dockerfile"])
@_file
@json_flag
def targets(session: Session, file: Path, as_json: bool) -> None:
    """List the stages that can be built with --target, and what their comments say of them."""
    from lifecycle.dockerfile.outline import targets as find

    dockerfile, _ = _read(file, None, {})
    found = find(dockerfile)
    if as_json:
        session.print_json(
            [
                {
                    "name": it.name,
                    "index": it.index,
                    "base": it.base,
                    "platform": it.platform,
                    "description": it.description,
                    "default": it.default,
                    "line": it.location.line,
                }
                for it in found
            ]
        )
        return
    rows = [(f"{it.name or it.index}{' (default)' if it.default else ''}", it.base, it.description) for it in found]
    session.print(table(("TARGET", "BASE", "DESCRIPTION"), rows))


dockerfile = Group(
    name="dockerfile",
    help="Look into a Dockerfile: its instructions, checks, arguments and stages.",
    commands=[ast, expand, check, outline, targets],
)
