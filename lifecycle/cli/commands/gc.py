"""``pylife gc``."""

from __future__ import annotations

import dataclasses

from lifecycle.cli.command import Session, command, json_flag
from lifecycle.cli.text import size, table


@command(examples=["pylife gc"])
@json_flag
def gc(session: Session, as_json: bool) -> None:
    """Delete what no image in the local store needs: blobs, and what killed builds left behind."""
    from lifecycle.app.gc import collect

    freed = collect(session.ports)
    if as_json:
        session.print_json([dataclasses.asdict(item) for item in freed])
        return
    session.print(
        table(["WHAT", "DELETED", "FREED"], [(i.things, str(i.count), size(i.bytes)) for i in freed], right=[1, 2])
    )
