"""The root filesystem of a build as seen from outside: inside paths become host paths and never leave the root.

Buildpacks write what they like, so every link is resolved inside the root, and nothing but a regular file is opened.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from lifecycle.errors import PylifeError

READ_LIMIT = 16 << 20
_MAX_LINKS = 40


class BadFile(PylifeError):
    """A file that a buildpack wrote is not a readable regular file of reasonable size."""

    code = "buildpack.bad-file"
    exit_code = 52
    fix = "Report it to the buildpack's author: contract files must be plain files, and their links must resolve."


@dataclass(frozen=True, slots=True)
class BuildRoot:
    """A root filesystem at host ``path``; every other path here is absolute and inside it (``/layers/a_b``)."""

    path: Path

    def host(self, inside: str, *, follow: bool = True) -> str:
        """The host path of ``inside``, links resolved inside the root; the last name only when ``follow``."""
        root = os.fspath(self.path)
        done: list[str] = []
        todo = [part for part in reversed(inside.split("/")) if part not in ("", ".")]
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]
                continue
            here = os.path.join(root, *done, part)
            if (todo or follow) and os.path.islink(here):
                links += 1
                if links > _MAX_LINKS:
                    raise BadFile(f"{inside} cannot be resolved", why="too many symbolic links")
                target = os.readlink(here)
                if target.startswith("/"):
                    done = []
                todo.extend(piece for piece in reversed(target.split("/")) if piece not in ("", "."))
                continue
            done.append(part)
        return os.path.join(root, *done)

    def is_dir(self, inside: str) -> bool:
        """True when there is a directory at ``inside`` (through links)."""
        return os.path.isdir(self.host(inside))

    def is_file(self, inside: str) -> bool:
        """True when there is a regular file at ``inside`` (through links)."""
        return os.path.isfile(self.host(inside))

    def exists(self, inside: str) -> bool:
        """True when there is anything at ``inside`` (through links)."""
        return os.path.exists(self.host(inside))

    def names(self, inside: str) -> list[str]:
        """The names in the directory ``inside`` in byte order; empty when there is no such directory."""
        try:
            names = os.listdir(os.fsencode(self.host(inside)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BadFile(f"{inside} cannot be listed", why=error.strerror, where=inside) from error
        return [os.fsdecode(name) for name in sorted(names)]

    def read(self, inside: str) -> bytes | None:
        """The bytes of the regular file at ``inside``, or None when nothing is there."""
        try:
            fd = os.open(self.host(inside), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadFile(f"{inside} cannot be read", why=error.strerror, where=inside) from error
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise BadFile(f"{inside} cannot be read", why="it is not a regular file", where=inside)
            if status.st_size > READ_LIMIT:
                raise BadFile(f"{inside} is too large", why=f"{status.st_size} bytes; the limit is {READ_LIMIT}")
            with open(fd, "rb", closefd=False) as file:
                return file.read(READ_LIMIT)
        finally:
            os.close(fd)

    def write(self, inside: str, data: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
        """Write ``data`` as a new file at ``inside``, replacing whatever had that name; parents must exist.

        A link in the last place is replaced, never followed. ``owner`` is (uid, gid).
        """
        parent, _, name = inside.rpartition("/")
        try:
            place = os.path.join(self.host(parent), name)
            if os.path.lexists(place):
                os.unlink(place)
            fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, mode)
                if owner is not None:
                    os.fchown(fd, *owner)
                file.write(data)
        except OSError as error:
            raise BadFile(f"{inside} cannot be written", why=error.strerror, where=inside) from error

    def make_dirs(self, inside: str, *, mode: int = 0o755, owner: tuple[int, int] | None = None) -> None:
        """Make the directory ``inside`` and its missing parents; existing ones are left as they are."""
        done = ""
        try:
            for part in inside.split("/"):
                if not part:
                    continue
                done += f"/{part}"
                place = self.host(done)
                try:
                    os.mkdir(place)
                except FileExistsError:  # made before, or just now by another thread
                    if os.path.isdir(place):
                        continue
                    raise
                os.chmod(place, mode)
                if owner is not None:
                    os.chown(place, *owner)
        except OSError as error:
            raise BadFile(f"The directory {inside} cannot be made", why=error.strerror, where=done) from error
