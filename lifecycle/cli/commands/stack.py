"""``pylife stack``."""

from __future__ import annotations

from typing import Any

import click

from lifecycle.cli.command import Group, Session, command, json_flag, setting_flag
from lifecycle.cli.text import pairs, size, table

_DEFAULT = "bookworm"


@command(examples=["pylife stack create", "pylife stack create slug", "pylife stack create ./stacks/mine --force"])
@click.argument("name", default=_DEFAULT, metavar="[NAME|DIR]")
@click.option("--force", is_flag=True, help="Make the images anew, with today's packages.")
@click.option(
    "--mirror", metavar="URL", help="Where the packages come from (default: PYLIFE_DEBIAN_MIRROR, or Debian)."
)
@setting_flag("isolation")
@json_flag
def create(session: Session, name: str, force: bool, mirror: str | None, as_json: bool) -> None:
    """Make a stack's build and run image from Debian packages; what is current already is kept."""
    from lifecycle.app.stacks import make_stack

    _show(session, make_stack(name, session.ports, force=force, mirror=mirror), as_json)


@command(name="list", examples=["pylife stack list"])
@json_flag
def list_(session: Session, as_json: bool) -> None:
    """List the stacks in the local store."""
    from lifecycle.app.stacks import stacks

    found = stacks(session.ports)
    if as_json:
        session.print_json(found)
        return
    if not found:
        session.say("The local store has no stack; `pylife stack create` makes one.")
        return
    rows = [(item["name"], item.get("build_image", "-"), item.get("run_image", "-")) for item in found]
    session.print(table(["NAME", "BUILD IMAGE", "RUN IMAGE"], rows))


@command(examples=["pylife stack inspect", "pylife stack inspect bookworm --json"])
@click.argument("name", default=_DEFAULT, metavar="[NAME|DIR]")
@json_flag
def inspect(session: Session, name: str, as_json: bool) -> None:
    """Show a stack's images: digests, sizes, and with --json every package and version."""
    from lifecycle.app.stacks import show_stack

    _show(session, show_stack(name, session.ports), as_json)


def _show(session: Session, stack: dict[str, Any], as_json: bool) -> None:
    if as_json:
        session.print_json(stack)
        return
    rows = [("stack", f"{stack['name']} ({stack['id']})")]
    for kind, image in stack["images"].items():
        rows.append((f"{kind} image", f"{image['name']}\n{image['digest']}"))
        rows.append(("", f"{size(image['size'])}, {len(image['packages'])} packages"))
    session.print(pairs(rows))


stack = Group(
    name="stack",
    help="Make and look at build and run images, the stack of a builder.",
    commands=[create, list_, inspect],
)
