"""Redirects, rewrites and headers by path: the values, and the files ``_redirects`` and ``_headers`` of a site.

Source: Netlify's documentation, "Redirects and rewrites" and "Custom headers".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from pylife_sdk.output import fail

from pylife_static.patterns import Placeholders, fill, placeholders

STATUSES = (301, 302, 303, 307, 308)
FILES = ("_redirects", "_headers")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# What the server itself must say, and what a password in a file would only seem to protect.
_BY_SERVER = (
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "location",
    "server",
    "transfer-encoding",
    "upgrade",
)
_REFUSED = dict.fromkeys(_BY_SERVER, "the server sets it itself") | {
    "basic-auth": "this buildpack asks for no password; let a proxy before the app do it"
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to paths that ``pattern`` matches: another page (200), the error page (404) or a redirect.

    ``target`` is in nginx's words. ``forced`` rules win over files.
    """

    pattern: str
    target: str
    status: int
    forced: bool
    origin: str


@dataclass(frozen=True, slots=True)
class Header:
    """A header of all answers to paths that ``pattern`` matches."""

    name: str
    pattern: str
    content: str


def check_header(name: str, content: str) -> str:
    """Why a header cannot be sent; empty when it can."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is no name of a header"
    if not content or re.search(r"[\x00-\x1f\x7f]", content):
        return "its value is empty, no text, or has control characters"
    reason = _REFUSED.get(name.lower(), "")
    return f"{name} cannot be set: {reason}" if reason else ""


def read_redirects(path: str) -> list[Rule]:
    """The rules of a ``_redirects`` file in its order, which is the order in which they win."""
    return [_redirect(f"_redirects:{number}", line) for number, line in _lines(path, "_redirects")]


def _redirect(where: str, line: str) -> Rule:
    words = line.split()
    status, forced = 301, False
    if len(words) == 3 and re.fullmatch(r"\d+!?", words[2]):
        said = words.pop()
        status, forced = int(said.rstrip("!")), said.endswith("!")
    if len(words) != 2:
        _bad_redirect(
            where, line, "is not of the form `/from /to STATUS`; conditions and parameters are not known here"
        )
    source, target = words
    local = target.startswith("/") and not target.startswith("//")
    if not local and not target.startswith(("http://", "https://")):
        _bad_redirect(where, line, f"leads to {target}, which begins neither with / nor with https://")
    if status not in (*STATUSES, 200, 404):
        _bad_redirect(where, line, f"has the status {status}; known are 200, 404, {', '.join(map(str, STATUSES))}")
    if status in (200, 404) and not local:
        _bad_redirect(where, line, "would fetch a page from elsewhere; nginx of this buildpack serves files only")
    if status in STATUSES and source.rstrip("/") == target.rstrip("/"):
        _bad_redirect(where, line, "leads to where it comes from")
    try:
        pattern, names = placeholders(source, page=status == 200)
    except Placeholders as error:
        _bad_redirect(where, line, f"has a path that cannot be meant: {error}")
    return Rule(pattern, fill(target, names), status, forced, f"{where}: {source} to {target} ({status})")


def read_headers(path: str) -> list[Header]:
    """The headers of a ``_headers`` file. The same name twice below one path is one header with both values."""
    found: dict[tuple[str, str], Header] = {}
    pattern = ""
    for number, line in _lines(path, "_headers"):
        where = f"_headers:{number}"
        if not line[0].isspace():
            try:
                pattern, _ = placeholders(line.strip())
            except Placeholders as error:
                _bad_header(where, line, f"is no path: {error}")
            continue
        name, colon, content = (part.strip() for part in line.partition(":"))
        if not pattern or not colon:
            _bad_header(where, line, "is no header of a path: write the path first, then `  Name: value` lines")
        if problem := check_header(name, content):
            _bad_header(where, line, f"cannot be sent: {problem}")
        before = found.get((pattern, name.lower()))
        content = f"{before.content}, {content}" if before else content
        found[pattern, name.lower()] = Header(name, pattern, content)
    return list(found.values())


def _lines(path: str, name: str) -> Iterator[tuple[int, str]]:
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = _bad_redirect if name == "_redirects" else _bad_header
        wrong(name, repr(content[max(error.start - 20, 0) : error.start + 4]), "is not UTF-8 text")
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.rstrip()


def _bad_redirect(where: str, line: str, what: str) -> NoReturn:
    fail(
        "static.bad-redirects",
        f"{where} {what}.",
        found=line.strip(),
        fix="Correct or delete the line. Lines that work:\n"
        "/old        /new             301\n/blog/*     /articles/:splat  301\n/*          /index.html       200",
    )


def _bad_header(where: str, line: str, what: str) -> NoReturn:
    fail(
        "static.bad-headers",
        f"{where} {what}.",
        found=line.strip(),
        fix="Correct or delete the line. Lines that work:\n/assets/*\n  Access-Control-Allow-Origin: *",
    )
