"""What a text says about a git repository: the remote, the ref, the folder in it.

Source: BuildKit, frontend/dockerfile/dfgitutil/git_ref.go; kaniko's ``git://host/repo#ref#commit``.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from lifecycle.record import dataclass
from lifecycle.source.remote_errors import BadGitRef

_SCHEMES = ("http", "https", "ssh", "git")
_SCP = re.compile(
    r"(?P<user>[A-Za-z0-9_][A-Za-z0-9_-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^?#]*)(\?(?P<query>[^#]*))?(#(?P<fragment>.*))?"
)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][^/@\s]*")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_PART_OF_COMMIT = re.compile(r"[0-9a-f]{4,64}")
# What git itself refuses in the name of a ref. Source: git-check-ref-format(1).
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^/|/$|\.$|^-|(^|/)\.|\.lock(/|$)")
_QUERIES = (
    "ref",
    "tag",
    "branch",
    "subdir",
    "checksum",
    "commit",
    "keep-git-dir",
    "submodules",
    "mtime",
    "fetch-by-commit",
)
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True, slots=True)
class GitRef:
    """A place in a git repository, as a context or ADD names it.

    ``remote`` is what git is given, without credentials, query and fragment. ``ref`` is a branch, a tag, a full ref
    (``refs/…``) or a commit, empty for the remote's HEAD. ``checksum`` is a commit or the beginning of one that the
    ref must lead to. ``keep_git`` and ``submodules`` are None where the text says nothing. ``userinfo`` are the
    credentials that stood in the address (``user`` or ``user:password``), never shown.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git: bool | None = None
    submodules: bool | None = None
    userinfo: str = ""

    def __repr__(self) -> str:
        return f"GitRef({str(self)!r})"

    def __str__(self) -> str:
        """The place for people, without credentials."""
        fragment = self.ref + (f":{self.subdir}" if self.subdir else "")
        return self.remote + (f"#{fragment}" if fragment else "")

    @property
    def commit(self) -> str:
        """The whole commit that the text itself names, or nothing."""
        for text in (self.ref, self.checksum):
            if is_commit(text):
                return text
        return ""


def is_commit(text: str) -> bool:
    """True for a whole commit in hexadecimal, SHA-1 or SHA-256."""
    return _COMMIT.fullmatch(text) is not None


def parse_git_ref(text: str, *, context: bool = False, pull_method: str = "", any_path: bool = False) -> GitRef | None:
    """The repository that ``text`` names; None when it is no git address. Raises BadGitRef for a broken one.

    An http or https address is one when its path ends in ``.git``. ``context`` takes ``github.com/owner/name`` too.
    ``pull_method`` (``https`` or ``http``) is what ``git://`` stands for, as kaniko's GIT_PULL_METHOD has it; a text
    with kaniko's second ``#`` is read so in any case. With ``any_path`` every http address is a repository's.
    """
    if text.startswith(("./", "../", "/")) or re.search(r"[\x00-\x1f\x7f]", text):
        return None
    if context and text.startswith("github.com/"):
        text, any_path = f"https://{text}", True
    if found := _SCP.fullmatch(text):
        if found["path"].startswith("-") or not found["path"]:
            raise BadGitRef(f"{_shown(text)} is no git address", why=f"{found['path']!r} is no path")
        remote = f"{found['user']}@{found['host']}:{found['path']}"
        return _refined(GitRef(remote), text, found["query"] or "", found["fragment"] or "")
    scheme, separator, _ = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _SCHEMES:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadGitRef(f"{_shown(text)} is no git address", why=str(error)) from error
    web = scheme in ("http", "https")
    if web and not any_path and not parts.path.endswith(".git"):
        return None
    userinfo, _, _ = parts.netloc.rpartition("@")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(host):
        raise BadGitRef(f"{_shown(text)} is no git address", why=f"{host!r} is no host" if host else "it names no host")
    if parts.path.strip("/") == "" or parts.path.startswith("/-"):
        raise BadGitRef(f"{_shown(text)} is no git address", why="it names no repository")
    if re.search(r"[\x00-\x20\x7f]", unquote(parts.path)):
        raise BadGitRef(f"{_shown(text)} is no git address", why="its path has a space or a control character")
    fragment = unquote(parts.fragment)
    if scheme == "git" and (pull_method or "#" in fragment):
        if pull_method not in ("", "https", "http"):
            raise BadGitRef(f"GIT_PULL_METHOD is {pull_method!r}", fix="It is https or http.")
        scheme, web = pull_method or "https", True
    netloc = f"{host}:{port}" if port else host
    if scheme == "ssh" and userinfo:
        user = userinfo.partition(":")[0]
        if not _USER.fullmatch(user):
            raise BadGitRef(f"{_shown(text)} is no git address", why=f"{user!r} is no user")
        netloc = f"{user}@{netloc}"
    place = GitRef(urlunsplit((scheme, netloc, parts.path, "", "")), userinfo=userinfo if web else "")
    return _refined(place, text, parts.query, fragment)


def _refined(place: GitRef, text: str, query: str, fragment: str) -> GitRef:
    """The place with what fragment and query say, checked."""
    shown = str(place)
    first, second_hash, commit = fragment.partition("#")
    if second_hash:  # kaniko: #ref#commit
        place = replace(place, ref=first, checksum=commit)
    else:
        ref, _, subdir = fragment.partition(":")
        place = replace(place, ref=ref, subdir=subdir)
    for name, value in _pairs(query, shown):
        place = _with_query(place, name, value, shown)
    if place.checksum and not _PART_OF_COMMIT.fullmatch(place.checksum):
        why = "a commit has at least 4 and at most 64 hexadecimal digits, in lower case"
        raise BadGitRef(f"{place.checksum!r} is no commit", where=shown, why=why)
    if is_commit(place.ref) and place.checksum and not place.ref.startswith(place.checksum):
        raise BadGitRef(f"The commit {place.ref} and the checksum {place.checksum} differ", where=shown)
    if not place.ref and is_commit(place.checksum):
        place = replace(place, ref=place.checksum)
    if place.ref and _BAD_REF.search(place.ref):
        raise BadGitRef(f"{place.ref!r} is no name of a branch, tag or commit", where=shown)
    return replace(place, subdir=_clean(place.subdir, shown))


def _pairs(query: str, shown: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise BadGitRef(f"The query {query!r} cannot be understood", where=shown, why=str(error)) from error
    names = [name for name, _ in pairs]
    for name in names:
        if name not in _QUERIES:
            near = difflib.get_close_matches(name, _QUERIES, 1)
            fix = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(_QUERIES)}."
            raise BadGitRef(f"Unknown query {name!r}", where=shown, fix=fix)
        if names.count(name) > 1:
            raise BadGitRef(f"The query {name!r} comes twice", where=shown)
    # branch and tag last: they are held against a ref from anywhere
    return sorted(pairs, key=lambda pair: pair[0] in ("tag", "branch"))


def _with_query(place: GitRef, name: str, value: str, shown: str) -> GitRef:
    match name:
        case "keep-git-dir":
            return replace(place, keep_git=_flag(name, value, shown))
        case "submodules":
            return replace(place, submodules=_flag(name, value, shown))
        case "fetch-by-commit":
            _flag(name, value, shown)  # commits are always fetched by their name where the server allows it
            return place
        case "mtime":
            if value not in ("checkout", "commit"):
                raise BadGitRef(f"{value!r} is no value for mtime", where=shown, why="it is checkout or commit")
            return place  # a layer's files have the build's time in any case
    if not value:
        raise BadGitRef(f"The query {name!r} has no value", where=shown)
    match name:
        case "checksum" | "commit":
            if place.checksum not in ("", value):
                raise BadGitRef(f"Two checksums: {place.checksum!r} and {value!r}", where=shown)
            return replace(place, checksum=value)
        case "subdir":
            if place.subdir not in ("", value):
                raise BadGitRef(f"Two folders: {place.subdir!r} and {value!r}", where=shown)
            return replace(place, subdir=value)
    if name != "ref":
        prefix = {"tag": "refs/tags/", "branch": "refs/heads/"}[name]
        value = prefix + value.removeprefix(prefix)
    if place.ref not in ("", value):
        raise BadGitRef(f"Two refs: {place.ref!r} and {value!r}", where=shown)
    return replace(place, ref=value)


def _flag(name: str, value: str, shown: str) -> bool:
    if value in ("", *_TRUE):
        return True
    if value in _FALSE:
        return False
    raise BadGitRef(f"{value!r} is no value for {name}", where=shown, why="it is true or false")


def _clean(subdir: str, shown: str) -> str:
    parts = [part for part in subdir.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in subdir:
        raise BadGitRef(f"The folder {subdir!r} leads out of the repository", where=shown)
    return "/".join(parts)


def _shown(text: str) -> str:
    """``text`` without what may be a password."""
    return re.sub(r"(://)[^/@]*@", r"\1…@", text)
