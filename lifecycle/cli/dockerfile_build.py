"""``pylife build --dockerfile`` on the command line: the request, the files that it leaves, the last lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.cli.commands.build import sent_words
from lifecycle.cli.dockerfile_options import parse_dockerfile
from lifecycle.cli.text import duration, size
from lifecycle.events import Summary

if TYPE_CHECKING:
    from lifecycle.app.dockerfile.request import DockerfileRequest, DockerfileResult
    from lifecycle.cli.command import Session


def build_dockerfile(session: Session, options: Mapping[str, Any], created: int | None) -> None:
    """Check, or build, keep and send; print the image's name and digest."""
    from lifecycle.app.dockerfile.build import build

    began = time.monotonic()
    request = parse_dockerfile(session, options, created)
    if options["check"]:
        _check(session, request)
        return
    result = build(request, session.ports)
    files = {name: options[name] for name in ("iidfile", "digest_file", "metadata_file") if options[name] is not None}
    if files:
        from lifecycle.app.dockerfile.reports import write_reports

        write_reports(result, request, **files)
    if options["explain_cache"]:
        for item in result.explained:
            session.say(str(item))
    session.renderer.emit(_summary(request, result, time.monotonic() - began))
    if result.sent:
        session.print(f"{result.sent[0].place}@{result.result.digest}")


def _check(session: Session, request: DockerfileRequest) -> None:
    from lifecycle.app.dockerfile.build import check
    from lifecycle.dockerfile.lint.rule import ChecksFailed

    findings = check(request, session.ports)
    for finding in findings:
        session.print(f"{finding.level}: {finding.rule}: {finding.message} ({finding.location})")
    if not findings:
        session.say("The checks find nothing.")
    ChecksFailed.raise_for(findings)


def _summary(request: DockerfileRequest, result: DockerfileResult, seconds: float) -> Summary:
    kept = [str(item.place) for item in result.sent if not item.pushed]
    made_bytes = sum(layer.descriptor.size for layer in result.made)
    image = result.images[0]
    rows = [("image", ", ".join(kept))] if kept else []
    rows.append(("digest", str(result.result.digest)))
    if len(result.images) > 1:
        rows.append(("platforms", ", ".join(str(item.platform) for item in result.images)))
    rows.append(("size", f"{size(sum(item.size for item in result.images))} in {len(image.layers)} layers"))
    rows.append(("layers", f"{len(result.made)} new ({size(made_bytes)}), {len(result.reused)} reused"))
    rows += [("written to", item.where) for item in result.written]
    rows += [("pushed to", f"{item.place} ({sent_words(item.transfer)})") for item in result.sent if item.pushed]
    rows.append(("took", duration(seconds)))
    if kept:
        rows.append(("run it", f"pylife run {kept[0]}"))
    data: dict[str, object] = {
        "image": kept[0] if kept else None,
        "digest": str(result.result.digest),
        "platforms": [str(item.platform) for item in result.images],
        "size": sum(item.size for item in result.images),
        "layers": [str(layer.diff_id) for layer in image.layers],
        "new": [str(layer.diff_id) for layer in result.made],
        "new_bytes": made_bytes,
        "reused": [str(layer.diff_id) for layer in result.reused],
        "unchanged": result.unchanged,
        "written": [item.where for item in result.written],
        "pushed": [str(item.place) for item in result.sent if item.pushed],
        "bytes_sent": sum(item.transfer.bytes_sent for item in result.sent if item.pushed),
        "cache": [
            {"step": item.title, "outcome": item.outcome, "causes": list(item.causes)} for item in result.explained
        ],
        "seconds": round(seconds, 3),
    }
    return Summary(f"Built {request.names[0] if request.names else 'the target'}", tuple(rows), data)
