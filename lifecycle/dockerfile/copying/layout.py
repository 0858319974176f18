"""A layer in the making: what it brings so far, laid over the filesystem that it will lie on."""

from __future__ import annotations

from lifecycle.archive.entry import BLOCK, CHAR, DIR, FILE, HARDLINK, SYMLINK, Content, Entry, Member, printable
from lifecycle.archive.filetree import ROOT, FileTree, join
from lifecycle.errors import PylifeError

_Made = tuple[Entry, Content, object]  # the last: what all names of one file share; None for a file of one name


class NotADirectory(PylifeError):
    """A file is in the way of a directory, or a directory in the way of a file."""

    code = "copy.not-a-directory"
    fix = "Change the destination, or remove what is in the way in a RUN before this instruction."


class ReservedName(PylifeError):
    """A file has a name that means something else in an image's layer."""

    code = "copy.reserved-name"
    fix = "Rename the file or leave it out: in a layer, .wh.NAME says that NAME is deleted."


class Layout:
    """The members of one layer. Every path given to it is real: no link on the way (``resolve`` with ``lookup``).

    ``mtime`` is the time of what has no source. The target is only looked at.
    """

    def __init__(self, target: FileTree, mtime: int, what: str) -> None:
        self.target = target
        self.mtime = mtime
        self.what = what
        self._made: dict[bytes, _Made] = {}
        self._fresh: set[bytes] = set()  # directories beneath which the target has nothing
        self._gone: set[bytes] = set()  # directories of the target that something replaced

    def lookup(self, path: bytes) -> Entry | None:
        """What is at ``path``, as in ``FileTree``."""
        made = self._made.get(path)
        if made is not None:
            return made[0]
        above = path.rpartition(b"/")[0]
        if above in self._fresh or (self._gone and self._is_gone(path)):
            return None
        return self.target.lookup(path)

    def directories(self, path: bytes, mode: int, owner: tuple[int, int]) -> None:
        """Make directory ``path`` and what is missing above it. Raises NotADirectory."""
        if path in self._fresh or path == ROOT:
            return
        at = path.find(b"/")
        while True:
            name = path if at < 0 else path[:at]
            found = self.lookup(name)
            if found is None:
                self.put(Entry(name, DIR, mode, *owner, 0, self.mtime), None)
            elif found.kind is not DIR:
                raise NotADirectory(
                    f"{self.what}: /{printable(name)} cannot be a directory", why=f"it is a {shown(found)}"
                )
            if at < 0:
                return
            at = path.find(b"/", at + 1)

    def put(self, entry: Entry, content: Content, group: object = None) -> None:
        """Bring ``entry``, whose directory is there, in place of what has its name, save that directories are joined.

        Raises NotADirectory for a directory on something else and something else on a directory, ReservedName.
        """
        name, kind = entry.name, entry.kind
        above, _, last = name.rpartition(b"/")
        if last.startswith(b".wh."):
            raise ReservedName(f"{self.what}: {printable(name)} cannot be in a layer", why="its name begins with .wh.")
        if above not in self._fresh or name in self._made:
            found = self.lookup(name)
            if found is None:
                if kind is DIR:
                    self._fresh.add(name)
            elif (found.kind is DIR) != (kind is DIR):
                onto = f"{self.what}: a {shown(entry)} cannot replace the {shown(found)} /{printable(name)}"
                raise NotADirectory(onto, why="only directories are joined")
        elif kind is DIR:
            self._fresh.add(name)
        self._made[name] = entry, content, group

    def replace(self, entry: Entry, content: Content, group: object = None) -> None:
        """``put``, but whatever has the name makes way, a directory with all that is in it."""
        name = entry.name
        found = self.lookup(name)
        if found is not None and (found.kind is DIR) != (entry.kind is DIR):
            beneath = name + b"/"
            for other in [other for other in self._made if other == name or other.startswith(beneath)]:
                del self._made[other]
                self._fresh.discard(other)
            if self.target.lookup(name) is not None:
                self._gone.add(name)
        self.put(entry, content, group)

    def link(self, name: bytes, path: bytes) -> None:
        """Bring ``name`` as one more name of the file at ``path``, which exists and is no directory."""
        made = self._made.get(path)
        if made is None:
            entry = self.target.lookup(path)
            assert entry is not None
            made = entry, self.target.content(path) if entry.kind is FILE else None, None
        entry, content, group = made
        if group is None:
            group = object()
            self._made[path] = _named(entry, path), content, group
        self.replace(_named(entry, name), content, group)

    def members(self) -> list[Member]:
        """The layer: sorted, parents before children, with the directories of the target that lie above as they are."""
        names = set(self._made)
        for name in self._made:
            above = name.rpartition(b"/")[0]
            while above and above not in names:
                names.add(above)
                above = above.rpartition(b"/")[0]
        # What the target has in a directory that another one replaces must not show through.
        hidden = {
            join(name, b".wh." + below)
            for name in self._gone
            if name in self._made
            for below in self.target.names(name)
            if join(name, below) not in names and self._made[name][0].kind is DIR
        }
        found: list[Member] = []
        first: dict[int, bytes] = {}
        for name in sorted(names | hidden, key=_in_tree_order):
            made = self._made.get(name)
            if name in hidden:
                found.append((Entry(name, FILE, 0, 0, 0, 0, self.mtime), b""))
                continue
            if made is None:
                entry = self.target.lookup(name)
                assert entry is not None
                found.append((_named(entry, name), None))
                continue
            entry, content, group = made
            if group is not None and (known := first.setdefault(id(group), name)) is not name:
                found.append((Entry(name, HARDLINK, entry.mode, entry.uid, entry.gid, 0, entry.mtime, known), None))
                continue
            found.append((entry, content))
        return found

    def _is_gone(self, path: bytes) -> bool:
        at = path.find(b"/")
        while at >= 0:
            if path[:at] in self._gone:
                return True
            at = path.find(b"/", at + 1)
        return path in self._gone


def shown(entry: Entry) -> str:
    """What ``entry`` is, in words."""
    return {DIR: "directory", SYMLINK: "symbolic link", CHAR: "device", BLOCK: "device"}.get(
        entry.kind, entry.kind.value
    )


def _in_tree_order(name: bytes) -> bytes:
    return name.replace(b"/", b"\0")


def _named(entry: Entry, name: bytes) -> Entry:
    return Entry(
        name,
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.mtime,
        entry.linkname,
        entry.dev_major,
        entry.dev_minor,
        entry.xattrs,
    )
