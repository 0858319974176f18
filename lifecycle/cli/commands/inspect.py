"""``pylife inspect``."""

from __future__ import annotations

import shlex
from typing import Any

import click

from lifecycle.cli.command import Session, command, json_flag, platform_flag, registry_flags
from lifecycle.cli.text import pairs, size, table


@command(
    examples=[
        "pylife inspect demo",
        "pylife inspect --json localhost:5000/app:1",
        "pylife inspect oci-archive:app.tar",
        "pylife inspect --raw demo",
    ]
)
@click.argument("name")
@platform_flag
@click.option("--raw", is_flag=True, help="Print the manifest or index, byte for byte.")
@json_flag
@registry_flags
def inspect(session: Session, name: str, platform: str | None, raw: bool, as_json: bool) -> None:
    """Show what the image NAME is: its processes, configuration and layers. The local store is asked before a registry.

    An index is shown with its platforms; --platform chooses one of them.
    """
    from lifecycle.app.inspection import describe, raw_document
    from lifecycle.app.local import find
    from lifecycle.image.places import load
    from lifecycle.oci import Platform

    ports = session.ports.images()
    place = find(name, ports)
    found = load(place, ports, Platform.parse(platform) if platform else None)
    if raw:
        session.print(raw_document(found), newline=False)
        return
    facts = describe(found, place)
    if as_json:
        session.print_json(facts)
    else:
        session.print("\n\n".join(_index(facts) if "images" in facts else _image(facts)))


def _index(facts: dict[str, Any]) -> list[str]:
    rows = [(item["platform"] or "-", item["digest"]) for item in facts["images"]]
    head = pairs([("name", facts["name"]), ("digest", facts["digest"]), ("media type", facts["media_type"])])
    return [head, table(["PLATFORM", "DIGEST"], rows)]


def _image(facts: dict[str, Any]) -> list[str]:
    run_image = facts.get("run_image") or {}
    head = [
        ("name", facts["name"]),
        ("digest", facts["digest"]),
        ("platform", facts["platform"]),
        ("size", size(facts["size"])),
        ("created", facts["created"]),
        ("user", facts["user"]),
        ("directory", facts["working_dir"]),
        ("entrypoint", shlex.join(facts["entrypoint"])),
        ("command", shlex.join(facts["cmd"])),
        ("ports", " ".join(facts["ports"])),
        ("volumes", " ".join(facts["volumes"])),
        ("buildpacks", "\n".join(f"{item['id']} {item['version']}" for item in facts.get("buildpacks", ()))),
        ("run image", run_image.get("name") or run_image.get("reference", "")),
    ]
    parts = [pairs([row for row in head if row[1]])]
    if processes := facts.get("processes"):
        shown = [
            (
                item["type"] + (" (default)" if item["default"] else ""),
                shlex.join([*item["command"], *item["args"]]),
                item["buildpack"],
            )
            for item in processes
        ]
        parts.append(table(["PROCESS", "COMMAND", "BUILDPACK"], shown))
    if env := facts["env"]:
        parts.append("Environment\n" + pairs(env.items(), "  "))
    if labels := facts["labels"]:
        rows = [
            (key, value if len(value) <= 200 else f"({len(value)} characters: see --json)")
            for key, value in labels.items()
        ]
        parts.append("Labels\n" + pairs(rows, "  "))
    layers = [
        (item["digest"].partition(":")[2][:12], size(item["size"]), item["created_by"].strip().splitlines() or [""])
        for item in facts["layers"]
    ]
    if layers:
        lines = [(digest, amount, told[0][:80]) for digest, amount, told in layers]
        parts.append(table(["LAYER", "SIZE", "MADE BY"], lines, right=[1]))
    return parts
