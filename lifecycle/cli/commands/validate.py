"""``pylife validate``."""

from __future__ import annotations

import dataclasses

import click

from lifecycle.cli.command import Session, command, json_flag, registry_flags


@command(
    examples=["pylife validate demo", "pylife validate oci:./layout:1", "pylife validate --json localhost:5000/app"]
)
@click.argument("name")
@json_flag
@registry_flags
def validate(session: Session, name: str, as_json: bool) -> int:
    """Check the image NAME against the specification: every digest, size, diffID and document. Reads all of it.

    Prints every fault that it has, one a line; exit code 1 when there is one.
    """
    from lifecycle.app.local import find
    from lifecycle.events import step
    from lifecycle.image.validate import validate_place

    ports = session.ports.images()
    place = find(name, ports)
    with step(session.renderer, "validate", f"Checking {place}"):
        findings = validate_place(place, ports)
    if as_json:
        session.print_json([dataclasses.asdict(item) for item in findings])
    elif findings:
        session.print("\n".join(str(item) for item in findings))
    else:
        session.say(f"{place} has no fault.")
    return 1 if findings else 0
