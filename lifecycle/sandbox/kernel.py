"""The system calls that Python does not have. The only file that uses ctypes.

Every function raises OSError with the kernel's errno; none allocates after fork beyond small ctypes buffers.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_RELATIME = 0x200000
MNT_DETACH = 0x2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_GET_SECCOMP = 21
PR_SET_SECCOMP = 22
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2

MACHINE = os.uname().machine
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(MACHINE)
_CLONE = {"x86_64": 56, "aarch64": 220}.get(MACHINE)
_CLOSE_RANGE = 436  # one number on every architecture from here on
_MOUNT_SETATTR = 442
_OPEN_TREE, _OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 428, 1, os.O_CLOEXEC
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 429, 430, 431, 432
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_MOUNT_ATTR_NODEV = 4
_MOVE_MOUNT_F_EMPTY_PATH = 4
_CLOSE_RANGE_CLOEXEC = 4
_AT_RECURSIVE = 0x8000
_AT_FDCWD = -100
_CAP_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
# calls that keep the interpreter's lock: getting it back from a busy thread takes longer than short ones do
_python = ctypes.PyDLL(None, use_errno=True)
_python.syscall.restype = ctypes.c_long


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def write_file(path: str, text: str) -> None:
    """Write a file of /proc in one call, as the kernel wants it; errors name ``path``."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (or give it its own cwd and root: CLONE_FS)."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def fork(flags: int) -> int:
    """As ``os.fork``, the child in new namespaces; for a process of one thread. Raises OSError.

    Unlike ``unshare`` it makes a pid namespace any number of times. Nothing that was registered to run at a fork does.
    """
    if _CLONE is None:
        raise OSError(38, f"clone's number is not known on {MACHINE}")
    arguments = (ctypes.c_ulong(argument) for argument in (flags | signal.SIGCHLD, 0, 0, 0, 0))
    return _check(_python.syscall(ctypes.c_long(_CLONE), *arguments), "clone")


def setns(fd: int, kind: int = 0) -> None:
    """Join the namespace that ``fd`` names."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def mount(source: str | None, target: str, fstype: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2)."""
    _check(
        _libc.mount(
            os.fsencode(source) if source is not None else None,
            os.fsencode(target),
            os.fsencode(fstype) if fstype is not None else None,
            ctypes.c_ulong(flags),
            os.fsencode(data) if data is not None else None,
        ),
        target,
    )


def mount_by_parts(fstype: str, options: Iterable[tuple[str, str | None]], target: str) -> None:
    """A new mount without devices, its options given one by one: no page limits them. Values may have 255 bytes."""
    none, nothing = ctypes.c_char_p(None), ctypes.c_int(0)
    context = _check(_python.syscall(ctypes.c_long(_FSOPEN), os.fsencode(fstype), ctypes.c_uint(1)), "fsopen")
    mounted = -1
    try:
        for key, value in options:
            kind = ctypes.c_uint(_SET_FLAG if value is None else _SET_STRING)
            given = none if value is None else ctypes.c_char_p(os.fsencode(value))
            where = ctypes.c_int(context)
            _check(_python.syscall(ctypes.c_long(_FSCONFIG), where, kind, os.fsencode(key), given, nothing), key)
        made = _python.syscall(
            ctypes.c_long(_FSCONFIG), ctypes.c_int(context), ctypes.c_uint(_CREATE), none, none, nothing
        )
        _check(made, target)
        attributes = ctypes.c_uint(_MOUNT_ATTR_NODEV)
        mounted = _check(
            _python.syscall(ctypes.c_long(_FSMOUNT), ctypes.c_int(context), ctypes.c_uint(1), attributes), target
        )
        move_mount(mounted, target)
    finally:
        for fd in (context, mounted):
            if fd >= 0:
                os.close(fd)


def open_tree(path: str) -> int:
    """A descriptor of a copy of the mounts at ``path``, which hangs nowhere yet; needs Linux 5.2 (ENOSYS before)."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    raw = os.fsencode(path)
    number = ctypes.c_long(_OPEN_TREE)
    return _check(_libc.syscall(number, ctypes.c_int(_AT_FDCWD), raw, ctypes.c_uint(flags)), path)


def move_mount(fd: int, target: str) -> None:
    """Hang the mounts of ``fd`` at ``target``, in whatever mount namespace they were opened."""
    moved = _python.syscall(
        ctypes.c_long(_MOVE_MOUNT),
        ctypes.c_int(fd),
        b"",
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )
    _check(moved, target)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(flags)), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make ``new_root`` the root of this mount namespace and hang the old one at ``put_old``."""
    if _PIVOT_ROOT is None:
        raise OSError(38, f"pivot_root's number is not known on {MACHINE}", new_root)
    _check(_libc.syscall(ctypes.c_long(_PIVOT_ROOT), os.fsencode(new_root), os.fsencode(put_old)), new_root)


def mount_read_only(target: str) -> None:
    """Make a whole mount tree read-only at once; needs Linux 5.12 (ENOSYS before)."""
    attributes = struct.pack("=QQQQ", MS_RDONLY, 0, 0, 0)
    _check(
        _libc.syscall(
            ctypes.c_long(_MOUNT_SETATTR),
            ctypes.c_int(_AT_FDCWD),
            os.fsencode(target),
            ctypes.c_uint(_AT_RECURSIVE),
            attributes,
            ctypes.c_size_t(len(attributes)),
        ),
        target,
    )


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    """prctl(2) with integer arguments; the result."""
    arguments = (ctypes.c_ulong(a) for a in (arg2, arg3, arg4, arg5))
    return _check(_libc.prctl(ctypes.c_int(option), *arguments), "prctl")


def set_name(name: str) -> None:
    """Name the calling thread as ``ps`` shows it (15 bytes)."""
    _libc.prctl(ctypes.c_int(PR_SET_NAME), ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def sethostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    raw = os.fsencode(name)
    _check(_libc.sethostname(raw, ctypes.c_size_t(len(raw))), "sethostname")


def effective_capabilities() -> int:
    """The effective capability set of this thread as a bit mask."""
    header = struct.pack("=Ii", _CAP_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _check(_libc.capget(header, data), "capget")
    low, _, _, high, _, _ = struct.unpack("=6I", data.raw)
    return int(low) | (int(high) << 32)


def set_capabilities(mask: int) -> None:
    """Make ``mask`` the permitted and effective set, with nothing inheritable."""
    header = struct.pack("=Ii", _CAP_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    _check(_libc.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)), "capset")


def drop_bounding(keep: int) -> None:
    """Take every capability outside ``keep`` from the bounding set: no later exec can bring it back."""
    for capability in range(64):
        present = _libc.prctl(ctypes.c_int(PR_CAPBSET_READ), ctypes.c_ulong(capability), 0, 0, 0)
        if present < 0:  # past the last capability of this kernel
            return
        if present and not keep >> capability & 1:
            prctl(PR_CAPBSET_DROP, capability)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def seccomp(program: bytes) -> None:
    """Install a BPF filter (8 bytes an instruction) on this thread; cannot be undone."""
    packed = _Program(len(program) // 8, program)
    _check(
        _libc.prctl(ctypes.c_int(PR_SET_SECCOMP), ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(packed), 0, 0),
        "seccomp",
    )


def seccomp_available() -> bool:
    """Whether the kernel takes filters: a null program is refused for its address, not for the request."""
    _libc.prctl(ctypes.c_int(PR_SET_SECCOMP), ctypes.c_ulong(SECCOMP_MODE_FILTER), None, 0, 0)
    return ctypes.get_errno() == 14


def close_on_exec_from(first: int) -> None:
    """Mark every descriptor from ``first`` on close-on-exec."""
    result = _libc.syscall(
        ctypes.c_long(_CLOSE_RANGE),
        ctypes.c_uint(first),
        ctypes.c_uint(0xFFFFFFFF),
        ctypes.c_uint(_CLOSE_RANGE_CLOEXEC),
    )
    if result == 0:
        return
    for fd in _open_descriptors():
        if fd >= first:
            try:
                os.set_inheritable(fd, False)
            except OSError:
                continue


def _open_descriptors() -> Iterable[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return range(3, 1024)
