"""``pylife builder``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lifecycle.cli.command import Group, Session, command, json_flag, registry_flags, setting_flag
from lifecycle.cli.text import pairs, size


@command(examples=["pylife builder create", "pylife builder create builder.toml --tag acme/builder"])
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-t", "--tag", metavar="NAME", help="A name for it in the local store.")
@click.option("--force", is_flag=True, help="Make it even when the one in the store is current.")
@click.option("--mirror", metavar="URL", help="Where the stack's packages come from.")
@setting_flag("isolation")
@registry_flags
@json_flag
def create(
    session: Session, file: Path | None, tag: str | None, force: bool, mirror: str | None, as_json: bool
) -> None:
    """Make a builder image from FILE, or the default builder, with its stack where that is missing."""
    from lifecycle.app.stacks import create_builder

    _show(session, create_builder(file, session.ports, tag=tag, force=force, mirror=mirror), as_json)


@command(examples=["pylife builder inspect", "pylife builder inspect localhost:5000/builder --json"])
@click.argument("name", required=False)
@registry_flags
@json_flag
def inspect(session: Session, name: str | None, as_json: bool) -> None:
    """Show a builder (the default one without NAME): its buildpacks, their order, its run images."""
    from lifecycle.app.stacks import show_builder

    _show(session, show_builder(name, session.ports), as_json)


def _show(session: Session, found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        session.print_json(found)
        return
    rows = [
        ("builder", found["name"]),
        ("digest", found["digest"]),
        ("size", size(found["size"])),
        ("stack", found["stack"] or "-"),
        ("run images", "\n".join(image["image"] for image in found["run_images"])),
        ("buildpacks", "\n".join(_buildpack(item) for item in found["buildpacks"])),
    ]
    rows += [(f"group {number}", _group(group)) for number, group in enumerate(found["order"], 1)]
    session.print(pairs(rows))


def _buildpack(item: dict[str, Any]) -> str:
    """A buildpack's name; of a composite one, each group that it stands for below it."""
    groups = [f"  = {_group(group)}" for group in item.get("order") or ()]
    return "\n".join([f"{item['id']} {item['version']}", *groups])


def _group(group: dict[str, Any]) -> str:
    return ", ".join(item["id"] + (" (optional)" if item.get("optional") else "") for item in group["group"])


builder = Group(name="builder", help="Make and look at builder images.", commands=[create, inspect])
