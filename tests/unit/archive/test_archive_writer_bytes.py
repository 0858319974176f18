"""The writer gives the bytes that Go's archive/tar gives: golden sums in data/go_archive_tar.json, made by Go 1.26."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from lifecycle.archive.entry import Entry, Kind
from lifecycle.archive.writer import TarStyle, TarWriter

CASES = json.loads((Path(__file__).parent / "data" / "go_archive_tar.json").read_text())
KINDS = {
    "0": Kind.FILE,
    "1": Kind.HARDLINK,
    "2": Kind.SYMLINK,
    "3": Kind.CHAR,
    "4": Kind.BLOCK,
    "5": Kind.DIR,
    "6": Kind.FIFO,
}


def entry_of(fields: dict[str, Any]) -> Entry:
    return Entry(
        name=base64.b64decode(fields["name"]).strip(b"/"),
        kind=KINDS[fields["type"]],
        mode=fields["mode"],
        uid=fields["uid"],
        gid=fields["gid"],
        size=fields["size"],
        mtime=fields["mtime"],
        linkname=base64.b64decode(fields["link"]),
        dev_major=fields["major"],
        dev_minor=fields["minor"],
        xattrs=tuple((key.encode(), base64.b64decode(value)) for key, value in (fields["xattrs"] or {}).items()),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_bytes_are_those_of_go(case: dict[str, Any]) -> None:
    out = io.BytesIO()
    writer = TarWriter(out, TarStyle.CNB if case["style"] == "cnb" else TarStyle.GENERAL)
    for fields in case["entries"] or ():
        entry = entry_of(fields)
        if case["style"] == "general-header":
            out.write(writer._header(entry, entry.size))
        else:
            writer.add(entry, bytes((k * 7 + 1) % 256 for k in range(entry.size)))
    if case["style"] != "general-header":
        writer.finish()
    assert len(out.getvalue()) == case["length"]
    assert hashlib.sha256(out.getvalue()).hexdigest() == case["sha256"]
