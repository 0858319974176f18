"""``pylife images``."""

from __future__ import annotations

from lifecycle.cli.command import Session, command, json_flag
from lifecycle.cli.text import size, table


@command(examples=["pylife images", "pylife images --json"])
@json_flag
def images(session: Session, as_json: bool) -> None:
    """List the images in the local store."""
    from lifecycle.app.local import list_images

    found = list_images(session.ports.store)
    if as_json:
        session.print_json([item.as_dict() for item in found])
        return
    if not found:
        session.say("The local store has no images; `pylife build` and `pylife pull` put some there.")
        return
    rows = [
        (
            item.ref.familiar,
            item.descriptor.digest.short,
            "damaged" if item.fault else " ".join(item.platforms) or "-",
            "-" if item.layers is None else str(item.layers),
            "-" if item.size is None else size(item.size),
        )
        for item in found
    ]
    session.print(table(["NAME", "DIGEST", "PLATFORM", "LAYERS", "SIZE"], rows, right=[3, 4]))
