"""How the tools that know a Procfile differ in what they take, overlook and refuse.

Where no user can mean what a tool does, the dialects are kinder than the tool, and say so in a warning where it could
matter: a carriage return at a line's end, a byte order mark and blanks around a type are no part of type or command; a
comment is never a type; lines without a type or a command are no entries; bytes that are no UTF-8 text are refused.

Source: the sources of deis slugbuilder (procfile), herokuish (procfile.bash), dokku (procfile-util), piku (piku.py,
without its check of cron times) and heroku/procfile (SPEC.md, procfile.rs). slug-pilot reads what BlueKing's platform
reads, and so does this dialect: a YAML mapping whose types name Kubernetes objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from lifecycle.record import dataclass

Dialect = Literal["heroku", "slugbuilder", "slug-pilot", "herokuish", "dokku", "piku", "cnb"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a tool does with a Procfile.

    ``strict``: a line that is no entry is refused; else it is overlooked with a warning. ``twice``: what becomes of a
    second line of a type. ``name`` and ``longest``: types that are taken. ``corrects``: upper case and ``_`` become
    what ``name`` takes. ``separator`` ends the type; ``padded``: blanks may stand before it. ``inline``: a comment may
    follow a command. ``bom``: whether a byte order mark at the start is overlooked. ``empty``: whether a file that
    names nothing is taken. ``yaml``: the file is read as YAML. ``trumps``: a type that leaves another one out.
    """

    strict: bool
    twice: Literal["refuse", "first", "last"]
    name: re.Pattern[str] | None = None
    longest: int = 0
    corrects: bool = False
    separator: str = ":"
    padded: bool = True
    comments: tuple[str, ...] = ("#",)
    inline: bool = False
    bom: bool = True
    empty: bool = True
    yaml: bool = False
    trumps: Mapping[str, str] | None = None


_WORD = re.compile(r"[A-Za-z0-9_-]+")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_PLATFORM = re.compile(r"[a-z0-9][-a-z0-9]*")
_WSGI = {"wsgi": "web", "jwsgi": "web", "rwsgi": "web"}

DIALECTS: Mapping[Dialect, Rules] = {
    "heroku": Rules(strict=True, twice="refuse", name=_WORD),
    "slugbuilder": Rules(strict=False, twice="last", separator=": "),
    "slug-pilot": Rules(strict=True, twice="last", name=_PLATFORM, longest=12, empty=False, yaml=True),
    "herokuish": Rules(strict=False, twice="first"),
    "dokku": Rules(
        strict=True, twice="refuse", name=_WORD, longest=63, comments=("#", "//"), inline=True, bom=False, empty=False
    ),
    "piku": Rules(strict=False, twice="last", trumps=_WSGI),
    "cnb": Rules(strict=True, twice="last", name=_LABEL, longest=63, corrects=True, padded=False, bom=False),
}
