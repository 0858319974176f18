"""``pylife build --dockerfile`` on the command line: the request, the files that it leaves, the last lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.app.dockerfile.memo import find_unchanged
from lifecycle.cli.dockerfile_options import parse_dockerfile
from lifecycle.cli.text import duration, size
from lifecycle.events import Message, Summary

if TYPE_CHECKING:
    from lifecycle.app.dockerfile.request import DockerfileRequest, DockerfileResult
    from lifecycle.cli.command import Session


_FILES = ("iidfile", "digest_file", "metadata_file", "name_digest_file", "name_tag_digest_file")


def build_dockerfile(session: Session, options: Mapping[str, Any], created: int | None) -> None:
    """Check, or build, keep and send; print the image's name and digest."""
    began = time.monotonic()
    request = parse_dockerfile(session, options, created)
    if options["check"]:
        _check(session, request)
        return
    files = {name: options[name] for name in _FILES if options[name] is not None}
    memo = None if files or options["explain_cache"] else find_unchanged(request, session.ports)
    if memo is not None:
        for text, level in memo.messages:
            session.renderer.emit(Message(text, level))  # type: ignore[arg-type]
        session.say("Nothing changed since this was built last.")
        facts = {**memo.facts, "unchanged": True}
    else:
        from lifecycle.app.dockerfile.build import build

        result = build(request, session.ports)
        if files:
            from lifecycle.app.dockerfile.reports import write_reports

            write_reports(result, request, **files)
        if options["explain_cache"]:
            _explain(session, result)
        facts = {**result.facts(), "unchanged": result.unchanged}
    session.renderer.emit(_summary(request, facts, time.monotonic() - began))
    if facts["names"] and not any(text == "-" or text.endswith("dest=-") for text in request.outputs):
        session.print(f"{facts['names'][0]}@{facts['digest']}")


def _explain(session: Session, result: DockerfileResult) -> None:
    for item in result.explained:
        session.say(f"{item.outcome}: {item.title}")
        for cause in item.causes:
            session.say(f"    {cause}")


def _check(session: Session, request: DockerfileRequest) -> None:
    from lifecycle.app.dockerfile.build import check
    from lifecycle.dockerfile.lint.rule import ChecksFailed

    findings = check(request, session.ports)
    for finding in findings:
        session.print(f"{finding.level}: {finding.rule}: {finding.message} ({finding.location})")
    if not findings:
        session.say("The checks find nothing.")
    ChecksFailed.raise_for(findings)


def _summary(request: DockerfileRequest, facts: Mapping[str, Any], seconds: float) -> Summary:
    names, platforms = facts["names"], facts["platforms"]
    rows = [("image", ", ".join(names))] if names else []
    rows.append(("digest", facts["digest"]))
    if len(platforms) > 1:
        rows.append(("platforms", ", ".join(platforms)))
    rows.append(("size", f"{size(facts['size'])} in {len(facts['layers'])} layers"))
    base = len([layer for layer in facts["layers"] if layer not in {*facts["new"], *facts["reused"]}])
    layers = f"{len(facts['new'])} new ({size(facts['new_bytes'])}), {len(facts['reused'])} reused"
    rows.append(("layers", f"{layers}, {base} of the base" if base else layers))
    rows += [("written to", place) for place in facts["written"]]
    rows += [("pushed to", f"{place} ({words})") for place, words in zip(facts["pushed"], facts["pushes"], strict=True)]
    rows.append(("took", duration(seconds)))
    if names:
        rows.append(("run it", f"pylife run {names[0]}"))
    data = {**facts, "image": names[0] if names else None, "seconds": round(seconds, 3)}
    return Summary(f"Built {request.names[0] if request.names else 'the target'}", tuple(rows), data)
