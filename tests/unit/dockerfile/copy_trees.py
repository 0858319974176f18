"""Trees written down, one entry a line, for the tests of copying; and what an instruction makes of them.

``d MODE NAME [UID:GID]``, ``f MODE NAME [UID:GID] = TEXT``, ``l NAME -> TARGET``, ``h NAME = OTHER``, ``p MODE NAME``,
``s MODE NAME`` (a socket), ``x NAME KEY=VALUE`` (an extended attribute). Names and texts may hold ``\\n``-like escapes.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import socket
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lifecycle.archive.entry import DIR, FIFO, FILE, HARDLINK, SYMLINK, Content, Entry, Kind, Member
from lifecycle.archive.filetree import ROOT, HostTree
from lifecycle.dockerfile.copying import CopySpec, Inline
from lifecycle.dockerfile.copying.content import read_content
from lifecycle.dockerfile.ignore import IgnoreRules
from lifecycle.dockerfile.modes import Mode

_LINE = re.compile(
    r"(?P<kind>[dfps]) (?P<mode>[0-7]+) (?P<name>\S+)(?: (?P<uid>\d+):(?P<gid>\d+))?(?: = (?P<text>.*))?"
)
_PAIR = re.compile(r"(?P<kind>[lhx]) (?P<name>\S+)(?: ->| =)? (?P<other>.*)")


def unescape(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1")


def parse_tree(text: str) -> Iterator[tuple[str, Entry, bytes]]:
    """Each line's kind letter, entry and content."""
    for line in text.splitlines():
        if not line.strip():
            continue
        if match := _LINE.fullmatch(line):
            name, data = unescape(match["name"]), unescape(match["text"] or "")
            kind = {"d": DIR, "f": FILE, "p": FIFO, "s": FILE}[match["kind"]]
            owner = int(match["uid"] or 0), int(match["gid"] or 0)
            yield match["kind"], Entry(name, kind, int(match["mode"], 8), *owner, len(data)), data
        elif match := _PAIR.fullmatch(line):
            kind = {"l": SYMLINK, "h": HARDLINK, "x": FILE}[match["kind"]]
            yield match["kind"], Entry(unescape(match["name"]), kind, 0o777, linkname=unescape(match["other"])), b""
        else:
            raise ValueError(f"not an entry: {line!r}")


@dataclass
class MemoryTree:
    """A filesystem in memory."""

    members: dict[bytes, Member] = field(default_factory=lambda: {ROOT: (Entry(ROOT, DIR, 0o755), None)})
    links: dict[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> MemoryTree:
        tree = cls()
        for letter, entry, data in parse_tree(text):
            tree.fill_in(entry.name)
            if letter == "h":
                first = tree.members[entry.linkname]
                tree.links[entry.name] = entry.linkname
                tree.members[entry.name] = replace(first[0], name=entry.name), first[1]
            elif letter == "x":
                key, _, value = entry.linkname.partition(b"=")
                old, content = tree.members[entry.name]
                tree.members[entry.name] = (
                    replace(old, xattrs=tuple(sorted({**dict(old.xattrs), key: value}.items()))),
                    content,
                )
            else:
                tree.members[entry.name] = entry, data if entry.kind is FILE else None
        return tree

    def fill_in(self, name: bytes) -> None:
        above = name.rpartition(b"/")[0]
        if above and above not in self.members:
            self.fill_in(above)
            self.members[above] = Entry(above, DIR, 0o755), None

    def lookup(self, path: bytes) -> Entry | None:
        found = self.members.get(path)
        return None if found is None else found[0]

    def names(self, path: bytes) -> list[bytes]:
        before = b"" if path == ROOT else path + b"/"
        inside = [name[len(before) :] for name in self.members if name.startswith(before) and name != ROOT]
        return sorted(name for name in inside if b"/" not in name)

    def content(self, path: bytes) -> Content:
        return self.members[path][1]

    def walk(self, path: bytes, skip: Callable[[bytes], bool] | None = None) -> Iterator[Member]:
        before = b"" if path == ROOT else path + b"/"
        skipped: list[bytes] = []
        heads: dict[bytes, bytes] = {}
        for name in sorted(self.members, key=lambda name: name.replace(b"/", b"\0") if name != ROOT else b""):
            if name != path and (not name.startswith(before) or name == ROOT):
                continue
            if any(name.startswith(other + b"/") for other in skipped):
                continue
            if name != path and skip is not None and skip(name):
                skipped.append(name)
                continue
            entry, content = self.members[name]
            head = self.links.get(name, name)
            first = heads.setdefault(head, name)
            if first != name:
                yield Entry(name, HARDLINK, entry.mode, entry.uid, entry.gid, linkname=first), None
            else:
                yield entry, content

    def apply(self, layer: Iterable[Member]) -> MemoryTree:
        """This tree with a layer on top, as the image specification lays layers on each other."""
        result = MemoryTree(dict(self.members), dict(self.links))
        layer = list(layer)
        for entry, _ in layer:
            above, _, last = entry.name.rpartition(b"/")
            if last.startswith(b".wh."):
                result.remove((above + b"/" if above else b"") + last[4:])
        for entry, content in layer:
            name = entry.name
            if name.rpartition(b"/")[2].startswith(b".wh."):
                continue
            assert name.rpartition(b"/")[0] in result.members or b"/" not in name, (
                f"{name!r} comes before its directory"
            )
            old = result.members.get(name)
            if old is not None and (old[0].kind is not DIR or entry.kind is not DIR):
                result.remove(name)
            if entry.kind is HARDLINK:
                first = result.members[entry.linkname]
                result.links[name] = entry.linkname
                result.members[name] = replace(first[0], name=name), first[1]
            else:
                result.members[name] = entry, content
        return result

    def remove(self, name: bytes) -> None:
        for other in [other for other in self.members if other == name or other.startswith(name + b"/")]:
            del self.members[other]
            self.links.pop(other, None)

    def render(self) -> str:
        return "\n".join(render(self.walk(ROOT)))


def render(members: Iterable[Member]) -> Iterator[str]:
    """Members as lines, the root left out."""
    for entry, content in members:
        name = printed(entry.name)
        if entry.name == ROOT:
            continue
        if entry.kind is SYMLINK:
            owner = f" ({entry.uid}:{entry.gid})" if (entry.uid, entry.gid) != (0, 0) else ""
            yield f"l {name} -> {printed(entry.linkname)}{owner}"
        elif entry.kind is HARDLINK:
            yield f"h {name} = {printed(entry.linkname)}"
        else:
            letter = {FILE: "f", DIR: "d", FIFO: "p", Kind.CHAR: "c", Kind.BLOCK: "b"}[entry.kind]
            owner = f" {entry.uid}:{entry.gid}" if (entry.uid, entry.gid) != (0, 0) else ""
            data = f" = {printed(read_content(content, entry.size))}" if entry.kind is FILE else ""
            yield f"{letter} {entry.mode:04o} {name}{owner}{data}"
        for key, value in entry.xattrs:
            yield f"x {name} {printed(key)}={printed(value)}"


def printed(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode()


def make_context(top: Path, sections: Mapping[str, str]) -> HostTree:
    """A build context on disk, with the archives and the ignore rules that the sections hold."""
    top.mkdir()
    base = os.fsencode(top)
    modes: list[tuple[bytes, int]] = []
    for letter, entry, data in parse_tree(sections.get("context", "")):
        path = base + b"/" + entry.name
        if letter != "x":
            os.makedirs(os.path.dirname(path), exist_ok=True)
        match letter:
            case "d":
                os.makedirs(path, exist_ok=True)
            case "f":
                Path(os.fsdecode(path)).write_bytes(data)
            case "l":
                os.symlink(entry.linkname, path)
            case "h":
                os.link(base + b"/" + entry.linkname, path, follow_symlinks=False)
            case "p":
                os.mkfifo(path)
            case "s":
                with socket.socket(socket.AF_UNIX) as server:
                    here = os.getcwd()
                    os.chdir(os.path.dirname(path))
                    server.bind(os.path.basename(path))
                    os.chdir(here)
            case "x":
                key, _, value = entry.linkname.partition(b"=")
                os.setxattr(path, key, value)
        if letter in "dfps":
            modes.append((path, entry.mode))
    for name, text in sections.items():
        if name.startswith("archive "):
            make_archive(top / name.removeprefix("archive "), text)
    for path, mode in reversed(modes):
        os.chmod(path, mode)
    rules = IgnoreRules.parse(sections["ignore"].encode()) if "ignore" in sections else None
    return HostTree(top, rules)


def make_archive(path: Path, text: str) -> None:
    """An archive at ``path``, compressed as its name says; names are written as they stand, hostile or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = io.BytesIO()
    known: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for letter, entry, data in parse_tree(text):
            info = tarfile.TarInfo(entry.name.decode("utf-8", "surrogateescape"))
            info.mode, info.uid, info.gid, info.size = entry.mode, entry.uid, entry.gid, len(data)
            if letter == "h":
                info.mode = 0o600
            kinds = {"d": tarfile.DIRTYPE, "f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE}
            info.type = (kinds | {"p": tarfile.FIFOTYPE})[letter]
            info.linkname = entry.linkname.decode()
            if letter == "h" and info.linkname in known:
                first = known[info.linkname]
                info.mode, info.uid, info.gid = first.mode, first.uid, first.gid
            known[info.name] = info
            archive.addfile(info, io.BytesIO(data))
    match path.suffix:
        case ".gz" | ".tgz":
            import gzip

            packed = gzip.compress(plain.getvalue())
        case ".bz2":
            import bz2

            packed = bz2.compress(plain.getvalue())
        case ".xz":
            import lzma

            packed = lzma.compress(plain.getvalue())
        case ".zst":
            from lifecycle.archive.compress import _zstd

            packed = _zstd().compress(plain.getvalue())
        case _:
            packed = plain.getvalue()
    path.write_bytes(packed)


def parse_spec(line: str, sections: Mapping[str, str]) -> CopySpec:
    """The spec of one COPY or ADD line, whose words are split as a shell does."""
    keyword, *words = shlex.split(line)
    given: dict[str, object] = {}
    exclude: list[str] = []
    while words and words[0].startswith("--"):
        flag, _, value = words.pop(0)[2:].partition("=")
        match flag:
            case "chown":
                given["chown"] = value
            case "chmod":
                given["chmod"] = Mode.parse(value)
            case "link" | "parents":
                given[flag] = value != "false"
            case "exclude":
                exclude.append(value)
            case "unpack":
                given["unpack"] = value != "false"
            case _:
                raise ValueError(f"no such flag: {flag}")
    given.setdefault("unpack", keyword == "ADD")
    *sources, destination = words
    inlines = tuple(
        Inline(name[2:], sections.get(f"heredoc {name[2:]}", "").encode()) for name in sources if name.startswith("<<")
    )
    named = tuple(name for name in sources if not name.startswith("<<"))
    return CopySpec(named, destination, inlines, exclude=tuple(exclude), what=keyword, **given)  # type: ignore[arg-type]
