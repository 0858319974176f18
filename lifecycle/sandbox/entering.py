"""Entering the rung's namespaces with the current process, once, at start-up."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from lifecycle.sandbox import kernel
from lifecycle.sandbox.errors import AlreadyThreaded, SetupFailed
from lifecycle.sandbox.rung import IdRange, Rung

_entered: Rung | None = None


def entered() -> Rung | None:
    """The rung that this process has entered, if any."""
    return _entered


def enter(rung: Rung) -> None:
    """Make this process root in the rung's namespaces; every mount made afterwards vanishes with it.

    Must come before the first thread; calling it again with anything is without effect. Raises AlreadyThreaded,
    SetupFailed.
    """
    global _entered
    if _entered is not None:
        return
    if threads() > 1:
        raise AlreadyThreaded("Namespaces cannot be entered", why=f"this process already has {threads()} threads")
    try:
        become(rung)
    except OSError as error:
        raise SetupFailed(
            f"The {rung.name} namespaces could not be entered", why=f"{error.filename or 'enter'}: {error.strerror}"
        ) from error
    _entered = rung


def threads() -> int:
    """How many threads the kernel knows of in this process; 1 where /proc does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def become(rung: Rung) -> None:
    """The system calls of ``enter``, without its memory: also what the probe tries in a child. Raises OSError."""
    match rung.name:
        case "chroot":
            return
        case "mountns":
            kernel.unshare(kernel.CLONE_NEWNS)
        case "userns":
            _enter_user_namespace(rung)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)


def _enter_user_namespace(rung: Rung) -> None:
    flags = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS
    if rung.ids == "single":
        kernel.unshare(flags)
        kernel.write_file("/proc/self/setgroups", "deny")
        kernel.write_file("/proc/self/uid_map", "".join(r.line() for r in rung.uid_map))
        kernel.write_file("/proc/self/gid_map", "".join(r.line() for r in rung.gid_map))
    else:
        # the maps are written from outside, by a child that was there before
        go_read, go_write = os.pipe()
        said_read, said_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(go_write)
            os.close(said_read)
            _map_from_outside(rung, go_read, said_write)
        os.close(go_read)
        os.close(said_write)
        try:
            kernel.unshare(flags)
            os.write(go_write, b"1")
        finally:
            os.close(go_write)
            with os.fdopen(said_read, "rb") as said:
                complaint = said.read().decode(errors="replace").strip()
            _, status = os.waitpid(pid, 0)
        if status != 0 or complaint:
            raise OSError(errno.EPERM, complaint or "the id maps could not be written", "uid_map")
    if rung.ids != "single":
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # a change of ids takes /proc/self away from its owner


def _map_from_outside(rung: Rung, go: int, said: int) -> None:
    code = 1
    try:
        if os.read(go, 1):
            parent = os.getppid()
            for kind, ranges in (("uid", rung.uid_map), ("gid", rung.gid_map)):
                if rung.ids == "subids":
                    _run_newidmap(f"new{kind}map", parent, ranges, said)
                else:
                    kernel.write_file(f"/proc/{parent}/{kind}_map", "".join(r.line() for r in ranges))
        code = 0
    except OSError as error:
        os.write(said, f"{error.filename or ''}: {error.strerror}".encode())
    finally:
        os._exit(code)


def _run_newidmap(tool: str, pid: int, ranges: Iterable[IdRange], said: int) -> None:
    import shutil

    path = shutil.which(tool)
    if path is None:
        raise FileNotFoundError(errno.ENOENT, "is not installed", tool)
    argv = [tool, str(pid)]
    for item in ranges:
        argv += [str(item.inside), str(item.outside), str(item.count)]
    child = os.posix_spawn(path, argv, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, said, 2)])
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise OSError(errno.EPERM, f"ended with {os.waitstatus_to_exitcode(status)}", tool)


def lent_ranges(path: str, user: int) -> tuple[tuple[int, int], ...]:
    """The (first, count) ranges that ``path`` (/etc/subuid, /etc/subgid) lends to ``user``, in file order."""
    import pwd

    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = None
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                who, _, rest = line.strip().partition(":")
                first, _, count = rest.partition(":")
                if who in (name, str(user)) and first.isdigit() and count.isdigit() and int(count) > 0:
                    found.append((int(first), int(count)))
    except OSError:
        return ()
    return tuple(found)


def own_identity_map(path: str) -> tuple[IdRange, ...]:
    """Every id that this process's own user namespace has, each mapped to itself (extent by extent)."""
    with open(path, encoding="utf-8") as lines:
        rows = [line.split() for line in lines]
    return tuple(IdRange(int(row[0]), int(row[0]), int(row[2])) for row in rows)
