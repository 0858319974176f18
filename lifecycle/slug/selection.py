"""Which buildpacks build an app: what the user, the platform and the app's own files say of it.

Source: reference of the slug family; heroku-buildpack-multi (.buildpacks); BlueKing cnb-builder-shim
(REQUIRED_BUILDPACKS).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from lifecycle.record import dataclass

Kind = Literal["git", "archive", "local", "named", "web"]
Mode = Literal["default", "single", "multi"]


@dataclass(frozen=True, slots=True)
class BuildpackReference:
    """Where a buildpack is to be had.

    ``kind``: ``git``; ``archive`` (http address of one); ``local`` (a path of this host: directory, archive or git
    repository); ``named`` (one of those that come with the builder: only ``name`` counts); ``web`` (an http address
    that may be a git repository's or an archive's). ``ref`` is a branch, tag or commit; ``checksum`` is ``sha256:…`` of
    an archive. ``url`` may hold credentials: ``str()`` shows it without.
    """

    url: str
    ref: str = ""
    checksum: str = ""
    name: str = ""
    version: str = ""
    kind: Kind = "web"


@dataclass(frozen=True, slots=True)
class Selection:
    """The buildpacks chosen, in order. ``default``: ``references`` is empty, the first of the builder's that detects
    the app builds it. ``single``: one, which must detect it. ``multi``: all of them, each must.

    ``why`` says what chose them (``BUILDPACK_URL``). ``trusted`` is False when the app's own files did: then ``local``
    references are paths inside the build root, never of the host. ``warnings`` are sentences for the user.
    """

    mode: Mode
    references: tuple[BuildpackReference, ...] = ()
    why: str = ""
    trusted: bool = True
    warnings: tuple[str, ...] = ()


def parse_reference(text: str, known: Collection[str] = ()) -> BuildpackReference:
    """The buildpack that ``text`` names; ``known`` are the names of those that come with the builder."""
    raise NotImplementedError


def choose(
    config_vars: Mapping[str, str],
    app: Path,
    wanted: Sequence[str] = (),
    required: str = "",
    known: Collection[str] = (),
) -> Selection:
    """Explicit list > REQUIRED_BUILDPACKS > BUILDPACK_URL > .buildpacks > buildpacks of app.json > default order."""
    raise NotImplementedError
