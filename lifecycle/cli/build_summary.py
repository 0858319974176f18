"""The last block of a build, and what ``--json`` progress says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cli.text import duration, size
from lifecycle.events import Summary

if TYPE_CHECKING:
    from lifecycle.app.build import BuildResult
    from lifecycle.cli.command import Session
    from lifecycle.image.transfer import Transfer


def _sent(transfer: Transfer) -> str:
    there = len(transfer.present) + len(transfer.mounted)
    return f"{len(transfer.sent)} blobs sent ({size(transfer.bytes_sent)}), {there} there already"


def summary(title: str, result: BuildResult, seconds: float) -> Summary:
    """What was built, of which layers, where it was sent, and how to run it."""
    from lifecycle.buildpack.labels import LIFECYCLE_METADATA, own_layers
    from lifecycle.phases.layout import process_types

    own = own_layers(result.image.config.labels.get(LIFECYCLE_METADATA))
    new = result.exported.new if result.exported else ()
    new_ids = {layer.diff_id for layer in new}
    reused = [layer for layer in result.image.layers if layer.diff_id in own and layer.diff_id not in new_ids]
    new_bytes = sum(layer.descriptor.size for layer in new)
    default = result.image.config.entrypoint[0].rpartition("/")[2]
    processes = process_types(result.image.config)
    shown = [f"{name} (default)" if name == default else name for name in processes]
    rows = [
        ("image", ", ".join(str(item.place) for item in result.sent if not item.pushed)),
        ("digest", str(result.image.digest)),
        ("size", f"{size(result.image.size)} in {len(result.image.layers)} layers"),
        ("layers", f"{len(new)} new ({size(new_bytes)}), {len(reused)} reused"),
        ("processes", ", ".join(shown) or "none"),
    ]
    rows += [("pushed to", f"{item.place} ({_sent(item.transfer)})") for item in result.sent if item.pushed]
    rows.append(("took", duration(seconds)))
    if processes:
        rows.append(("run it", f"pylife run {result.name} -p 8000"))
    data: dict[str, object] = {
        "image": result.name,
        "digest": str(result.image.digest),
        "size": result.image.size,
        "layers": [str(layer.diff_id) for layer in result.image.layers],
        "new": [str(layer.diff_id) for layer in new],
        "new_bytes": new_bytes,
        "reused": [str(layer.diff_id) for layer in reused],
        "unchanged": result.exported is None,
        "pushed": [str(item.place) for item in result.sent if item.pushed],
        "bytes_sent": sum(item.transfer.bytes_sent for item in result.sent if item.pushed),
        "processes": processes,
        "default_process": default if default in processes else None,
        "seconds": round(seconds, 3),
    }
    return Summary(title, tuple(rows), data)


def show(session: Session, options: dict[str, Any], name: str, result: BuildResult, seconds: float) -> None:
    """Write the reports that were asked for; tell what was built; print its name and digest."""
    files = {name: options[name] for name in ("report", "digest_file", "metadata_file") if options[name] is not None}
    if files:
        from lifecycle.app.report import write_reports

        write_reports(result, **files)
    session.renderer.emit(summary(f"Built {name}", result, seconds))
    session.print(f"{result.name}@{result.image.digest}")
