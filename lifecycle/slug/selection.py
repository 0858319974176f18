"""Which buildpacks build an app: what the user, the platform and the app's own files say of it.

Source: herokuish, include/buildpack.bash; heroku-buildpack-multi (.buildpacks); BlueKing cnb-builder-shim
(REQUIRED_BUILDPACKS); Heroku, "app.json Schema", "buildpacks".
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.appjson import read_app_json
from lifecycle.slug.environment import parse_dotenv
from lifecycle.slug.files import read_app_file

Kind = Literal["git", "archive", "local", "named", "web"]
Mode = Literal["default", "single", "multi"]

_ARCHIVE = re.compile(r"\.(tgz|tbz2?|txz|tzst|tar(\.(gz|bz2?|xz|zst))?|zip)$")
_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*@[A-Za-z0-9][A-Za-z0-9.-]*:.+")
_SHORT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HOST_FIRST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+/[^/]+/.+")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMES = ("http", "https", "git", "ssh", "file")
_REQUIRED_KINDS: Mapping[str, Kind] = {"tar": "archive", "tgz": "archive", "git": "git"}
_EMBEDDED = ("oci-embedded", "oci-image", "oci-file")
_NOTHING = '""'
"""How BlueKing's platform writes a field of REQUIRED_BUILDPACKS that it has no value for."""


class BadBuildpackUrl(PylifeError):
    """A text that should name a buildpack names none."""

    code = "slug.bad-buildpack-url"
    exit_code = 2
    fix = "Give a git address (https://host/path.git#REF), the address of an archive (.tgz), or file:///path."
    text = ""
    """What names no buildpack, as people may see it."""


@dataclass(frozen=True, slots=True)
class BuildpackReference:
    """Where a buildpack is to be had.

    ``kind``: ``git``; ``archive`` (http address of one); ``local`` (a path of this host: directory, archive or git
    repository); ``named`` (one of those that come with the builder: only ``name`` counts); ``web`` (an http address
    that may be a git repository's or an archive's). ``ref`` is a branch, tag or commit; ``checksum`` is ``sha256:…`` of
    an archive. ``url`` may hold credentials: ``str()`` shows it without. ``name`` is never empty and has no slash.
    """

    url: str
    ref: str = ""
    checksum: str = ""
    name: str = ""
    version: str = ""
    kind: Kind = "web"

    def __str__(self) -> str:
        """The buildpack for people: without credentials, and without queries, which may be signatures."""
        if self.kind == "named":
            return self.name
        return _shown(self.url) + (f"#{self.ref}" if self.ref else "")

    def __repr__(self) -> str:
        return f"BuildpackReference({str(self)!r}, name={self.name!r}, kind={self.kind!r})"


@dataclass(frozen=True, slots=True)
class Selection:
    """The buildpacks chosen, in order. ``default``: ``references`` is empty, the first of the builder's that detects
    the app builds it. ``single``: one, which must detect it. ``multi``: all of them, each must.

    ``why`` says what chose them (``BUILDPACK_URL``). ``trusted`` is False when the app's own files did: they may not
    name paths of this host. ``warnings`` are sentences for the user.
    """

    mode: Mode
    references: tuple[BuildpackReference, ...] = ()
    why: str = ""
    trusted: bool = True
    warnings: tuple[str, ...] = ()


def parse_reference(text: str, known: Collection[str] = ()) -> BuildpackReference:
    """The buildpack that ``text`` names: ``URL``, ``URL#REF``, ``URL.tgz#sha256:DIGEST``, a path of this host, or one
    of the names ``known``, which ``heroku/NAME`` means too. Raises BadBuildpackUrl.
    """
    text = text.strip()
    if named := _known(text, known):
        return BuildpackReference("", name=named, kind="named")
    if not text or re.search(r"[\x00-\x20\x7f]", text):
        raise _invalid(text, "it is empty" if not text else "it holds a space")
    url, _, fragment = text.partition("#")
    checksum = fragment if fragment.startswith("sha256:") else ""
    if checksum and not _SHA256.fullmatch(checksum):
        raise _invalid(text, "sha256: has to be followed by 64 hexadecimal digits in lower case")
    kind = _kind(url, text, known)
    if _HOST_FIRST.fullmatch(url):
        url = f"https://{url}"
    if checksum and kind == "git":
        raise _invalid(text, "a git repository is pinned by its commit, not by sha256")
    ref = "" if checksum else fragment
    if ref and kind == "archive":
        raise _invalid(text, "an archive has no branches: only #sha256:… may follow it")
    if checksum and kind == "web":
        kind = "archive"
    return BuildpackReference(url, ref, checksum, _name(url), kind=kind)


def choose(
    config_vars: Mapping[str, str],
    app: Path,
    wanted: Sequence[str] = (),
    required: str = "",
    known: Collection[str] = (),
    environment: str = "",
) -> Selection:
    """Which buildpacks build the app whose source is in the directory ``app``.

    The first that says anything decides: the list ``wanted`` of the user; ``required`` (REQUIRED_BUILDPACKS);
    BUILDPACK_URL in ``config_vars``, or else in the app's .env; the file .buildpacks; app.json, which may have others
    for the tests (``environment``); else the builder's own order.
    Raises BadBuildpackUrl, BadAppJson.
    """
    if wanted:
        return _selected([parse_reference(text, known) for text in wanted], "the list given")
    if required.strip():
        references, warnings = parse_required(required, known)
        if references:
            return replace(_selected(references, "REQUIRED_BUILDPACKS"), warnings=warnings)
    else:
        warnings = ()
    if url := config_vars.get("BUILDPACK_URL", "").strip():
        return _listed([("BUILDPACK_URL", url)], "BUILDPACK_URL", known, warnings, trusted=True)
    if url := parse_dotenv(read_app_file(app, ".env") or b"").variables.get("BUILDPACK_URL", "").strip():
        return _listed([(".env, BUILDPACK_URL", url)], "BUILDPACK_URL in .env", known, warnings)
    if lines := _buildpacks_lines(app):
        return _listed(lines, ".buildpacks", known, warnings)
    document = read_app_json(app)
    if document is not None and (found := document.for_environment(environment).buildpacks):
        return _listed([("app.json, buildpacks", text) for text in found], "app.json", known, warnings)
    return Selection("default", warnings=warnings)


def parse_required(text: str, known: Collection[str] = ()) -> tuple[list[BuildpackReference], tuple[str, ...]]:
    """The buildpacks of REQUIRED_BUILDPACKS (``TYPE NAME URL VERSION;…``, TYPE being tar, tgz or git), and warnings
    about items that are left out, as the platform's own builders leave them out.
    """
    found, warnings = [], []
    for item in filter(None, map(str.strip, text.split(";"))):
        fields = item.split(None, 3)
        if len(fields) != 4:
            warnings.append(f"REQUIRED_BUILDPACKS: {_shown(item)!r} is left out: it is not TYPE NAME URL VERSION.")
            continue
        kind, name, url, version = ("" if text == _NOTHING else text for text in fields)
        if (kind in _EMBEDDED or url in ("", "-")) and (named := _known(name, known)):
            found.append(BuildpackReference("", name=named, version=version, kind="named"))
            continue
        if kind not in _REQUIRED_KINDS:
            warnings.append(f"REQUIRED_BUILDPACKS: {name} is left out: {kind} is not tar, tgz or git.")
            continue
        reference = parse_reference(url, known)
        exact = _REQUIRED_KINDS[kind] if reference.kind == "web" else reference.kind
        ref = reference.ref or (version if kind == "git" else "")
        found.append(replace(reference, kind=exact, name=_safe(name), version=version, ref=ref))
    return found, tuple(warnings)


def _listed(
    texts: Sequence[tuple[str, str]], why: str, known: Collection[str], warnings: tuple[str, ...], trusted: bool = False
) -> Selection:
    """The buildpacks that ``texts`` name, each behind the place that an error shows."""
    references = []
    for where, text in texts:
        try:
            references.append(parse_reference(text, known))
        except BadBuildpackUrl as error:
            error.where = where
            raise
    return replace(_selected(references, why), trusted=trusted, warnings=warnings)


def _selected(references: Sequence[BuildpackReference], why: str) -> Selection:
    return Selection("single" if len(references) == 1 else "multi", tuple(references), why)


def _known(text: str, known: Collection[str]) -> str:
    """The builder's own buildpack that a text names: ``python``, ``heroku/python``, ``urn:buildpack:heroku/python``."""
    name = text.removeprefix("urn:buildpack:").removeprefix("heroku/").partition("@")[0]
    return name if name in known else ""


def _kind(url: str, text: str, known: Collection[str]) -> Kind:
    if url.startswith(("/", "./", "../")):
        return "local"
    if _SCP.fullmatch(url):
        return "git"
    if _HOST_FIRST.fullmatch(url):
        return "archive" if _ARCHIVE.search(url) else "web"
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise _invalid(text, *_short(url, known))
    scheme = scheme.lower()
    if scheme not in _SCHEMES:
        raise _invalid(text, f"{scheme}:// is not one of {', '.join(_SCHEMES)}")
    if scheme == "file":
        if not rest.startswith("/"):
            raise _invalid(text, "file:// has to be followed by an absolute path")
        return "local"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid(text, str(error)) from error
    if not host or not parts.path.strip("/"):
        raise _invalid(text, "it names no host" if not host else "it names nothing on that host")
    if scheme in ("git", "ssh"):
        return "git"
    if _ARCHIVE.search(parts.path):
        return "archive"
    return "git" if parts.path.endswith(".git") else "web"


def _short(url: str, known: Collection[str]) -> tuple[str, str | None]:
    """Why a text without a scheme is no address, and what may have been meant."""
    if _SHORT.fullmatch(url):
        why = "the host is missing, and the builder has no buildpack of that name"
        return why, f"If it is a repository, write its whole address: https://HOST/{url}.git"
    fix = f"{BadBuildpackUrl.fix} The builder's own are {', '.join(known)}." if known else None
    return "it is neither an address nor the name of one of the builder's buildpacks", fix


def _invalid(text: str, why: str, fix: str | None = None) -> BadBuildpackUrl:
    error = BadBuildpackUrl(f"Invalid buildpack URL: {_shown(text)!r}", why=why, fix=fix)
    error.text = _shown(text)
    return error


def _shown(url: str) -> str:
    """``url`` without what may be secret: user and password, and all of the query."""
    return re.sub(r"\?[^#\s]*", "", re.sub(r"(://)[^/\s]*@", r"\1", url))


def _name(url: str) -> str:
    """What a buildpack is called by its address: ``python`` for ``…/heroku-buildpack-python.git``."""
    path = url if _SCP.fullmatch(url) else urlsplit(url).path
    last = unquote(path).rstrip("/").rpartition("/")[2].rpartition(":")[2]
    last = _ARCHIVE.sub("", last).removesuffix(".git")
    return _safe(re.sub(r"^(heroku-)?buildpack-(?=.)", "", last))


def _safe(name: str) -> str:
    """``name`` as the part of a directory's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "custom"


def _buildpacks_lines(app: Path) -> list[tuple[str, str]]:
    """The lines of .buildpacks that say something, each behind its place."""
    raw = read_app_file(app, ".buildpacks")
    lines = [line.strip() for line in os.fsdecode(raw or b"").removeprefix("\ufeff").split("\n")]
    numbered = [(f".buildpacks:{number}", line) for number, line in enumerate(lines, 1)]
    return [(place, line) for place, line in numbered if line and not line.startswith("#")]
