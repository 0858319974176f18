"""Making a root filesystem the root of this mount namespace, with its own /proc, /dev and /sys. Runs as pid 1.

After pivot_root the working directory is the host's old root: relative paths name the host's files, absolute ones
the new root's, so that a link inside an image cannot lead a mount out of it. Then the old root is let go.
"""

from __future__ import annotations

import contextlib
import os

from lifecycle.sandbox import kernel
from lifecycle.sandbox.plan import DEVICES, LINKS, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import Mount, RunSpec

_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_QUIET = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_OPTIONS = {"nosuid": kernel.MS_NOSUID, "nodev": kernel.MS_NODEV, "noexec": kernel.MS_NOEXEC}
# a bind's remount must repeat the flags that the host's mount has, or a user namespace is refused
_LOCKED = {
    os.ST_NOSUID: kernel.MS_NOSUID,
    os.ST_NODEV: kernel.MS_NODEV,
    os.ST_NOEXEC: kernel.MS_NOEXEC,
    os.ST_NOATIME: kernel.MS_NOATIME,
    os.ST_NODIRATIME: kernel.MS_NODIRATIME,
    os.ST_RELATIME: kernel.MS_RELATIME,
}


def become_root(spec: RunSpec, plan: Plan, rung: Rung) -> None:
    """Leave the host's file system for the run's root. Raises OSError naming the place."""
    sources = [os.path.realpath(mount.source).lstrip("/") or "." for mount in spec.mounts]
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount(spec.root, spec.root, None, kernel.MS_BIND | kernel.MS_REC)
    _pivot(spec.root)
    _forbid_devices()
    _mount_kernel_trees(plan, rung, spec.privileged)
    _furnish(spec, plan, sources)


def stage_root(rung: Rung, contents: Sequence[bytes]) -> None:
    """Leave the host's file system for a small one with all that a root gets but the root itself: for ``take_root``.

    The mount namespace must be a new one. ``contents`` are those of files that it may get. Raises OSError.
    """
    place = os.path.dirname(os.path.abspath(__file__))  # any directory will do: only this namespace sees it covered
    kernel.mount("stage", place, "tmpfs", _QUIET, "mode=755")
    os.chdir(place)
    for name in ("root", "proc", "sys", "dev", "files"):
        os.mkdir(name, 0o755)
    for number, content in enumerate(contents):
        _touch(f"files/{number}", content)
    _pivot(".")
    _mount_kernel_trees(Plan({}), rung, False)
    kernel.umount(".", kernel.MNT_DETACH)
    os.chdir("/")
    trial = kernel.open_tree("/files")  # what ``take_root`` needs: better to fail here, where there is another way
    kernel.move_mount(trial, "/root")
    os.close(trial)
    kernel.umount("/root", kernel.MNT_DETACH)


def take_root(root: int, spec: RunSpec, plan: Plan, sources: Sequence[int], staged: Sequence[tuple[str, int]]) -> None:
    """Make ``root`` the root of a staged namespace; it and ``sources``, those of the mounts, are descriptors of mounts.

    ``staged`` are places of files and which of the staged contents belongs there. Raises OSError naming the place.
    """
    kernel.move_mount(root, "/root")
    _pivot("/root")
    _forbid_devices()
    for name, place in (("proc", plan.proc), ("dev", plan.dev), ("sys", plan.sys)):
        kernel.mount(name, place, None, kernel.MS_MOVE)
    for place, number in staged:
        _lay_mount(f"files/{number}", place)
    _furnish(spec, plan, sources)


def _pivot(root: str) -> None:
    """Make the mount at ``root`` the root; the working directory becomes the old one."""
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(root)
    kernel.pivot_root(".", ".")
    os.fchdir(old)
    os.close(old)


def _forbid_devices() -> None:
    """Device nodes that came in an image's layers must not open the host's disks."""
    kernel.mount(None, "/", None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_NODEV | _flags_of("/"))


def _mount_kernel_trees(plan: Plan, rung: Rung, privileged: bool) -> None:
    _mount_proc(plan, rung, () if privileged else _READ_ONLY)
    _mount_dev(plan)
    _mount_sys(plan, 0 if privileged else kernel.MS_RDONLY)
    for path in () if privileged else _MASKED:
        _mask(_inside(path, plan), plan)


def _furnish(spec: RunSpec, plan: Plan, sources: Sequence[str | int]) -> None:
    """Lay the host's files, the mounts and the spec's own files over their places; let the old root go."""
    for number, (place, content) in enumerate(plan.files):
        _lay_file(content, place, f"{plan.dev}/.shared-{number}")
    for mount, source, target in zip(spec.mounts, sources, plan.targets, strict=True):
        _mount_volume(mount, source, target)
    for number, (file, target) in enumerate(zip(spec.files, plan.file_targets, strict=True)):
        _lay_file(file.content, target, f"{plan.dev}/.file-{number}", file.mode, (file.uid, file.gid))
    kernel.umount(".", kernel.MNT_DETACH)
    os.chdir("/")


def _flags_of(path: str) -> int:
    present = os.statvfs(path).f_flag
    return sum(flag for seen, flag in _LOCKED.items() if present & seen)


def _inside(path: str, plan: Plan) -> str:
    """Where ``path``, which begins with /proc or /sys, is in this root."""
    top, rest = path[1:].split("/", 1)
    return f"{plan.proc if top == 'proc' else plan.sys}/{rest}"


def _mount_proc(plan: Plan, rung: Rung, read_only: Sequence[str]) -> None:
    if rung.proc is None:
        return
    if rung.proc == "mount":
        kernel.mount("proc", plan.proc, "proc", _QUIET)
    else:
        kernel.mount("proc", plan.proc, None, kernel.MS_BIND | kernel.MS_REC)
    for path in read_only:
        _bind_read_only(_inside(path, plan))


def _bind_read_only(path: str) -> None:
    if not os.path.exists(path):
        return
    with contextlib.suppress(PermissionError):  # an outer container has locked it already, read-only
        kernel.mount(path, path, None, kernel.MS_BIND | kernel.MS_REC)
        flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _flags_of(path)
        kernel.mount(None, path, None, flags)


def _mask(path: str, plan: Plan) -> None:
    if os.path.isdir(path):
        kernel.mount("tmpfs", path, "tmpfs", _QUIET | kernel.MS_RDONLY, "size=0,mode=755")
    elif os.path.exists(path):
        kernel.mount(f"{plan.dev}/null", path, None, kernel.MS_BIND)


def _mount_dev(plan: Plan) -> None:
    dev = plan.dev
    kernel.mount("tmpfs", dev, "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "size=1m,mode=755")
    for name, _, _, _ in DEVICES:
        if os.path.exists(f"dev/{name}"):
            _touch(f"{dev}/{name}")
            kernel.mount(f"dev/{name}", f"{dev}/{name}", None, kernel.MS_BIND)
    for name, target in LINKS:
        os.symlink(target, f"{dev}/{name}")
    os.mkdir(f"{dev}/shm")
    os.mkdir(f"{dev}/pts")
    kernel.mount("shm", f"{dev}/shm", "tmpfs", _QUIET, "mode=1777")
    with contextlib.suppress(OSError):  # a kernel without devpts instances: programs find no terminal to open
        kernel.mount(
            "devpts", f"{dev}/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, "newinstance,ptmxmode=666,mode=620"
        )
        os.symlink("pts/ptmx", f"{dev}/ptmx")


def _mount_sys(plan: Plan, read_only: int) -> None:
    try:
        kernel.mount("sysfs", plan.sys, "sysfs", _QUIET | read_only)
    except OSError:
        # sysfs belongs to the network namespace, which here is the host's: show the host's, all of it read-only
        try:
            kernel.mount("sys", plan.sys, None, kernel.MS_BIND | kernel.MS_REC)
        except OSError:
            return
        try:
            kernel.mount_read_only(plan.sys)
        except OSError:
            kernel.umount(plan.sys, kernel.MNT_DETACH)
            return


def _lay_file(content: bytes, target: str, copy: str, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
    """Lay a file over its place, read-only: memory of this namespace, in no file system. ``copy`` is a free name."""
    _touch(copy, content)
    if owner != (0, 0):
        with contextlib.suppress(OSError):  # where one id stands for all, that one owns it
            os.chown(copy, *owner)
    if mode != 0o644:
        os.chmod(copy, mode)
    if not os.path.lexists(target):  # inside a mount made before
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _touch(target)
    _lay_mount(copy, target, 0 if mode & 0o111 else kernel.MS_NOEXEC)
    os.unlink(copy)


def _lay_mount(copy: str, target: str, more: int = kernel.MS_NOEXEC) -> None:
    kernel.mount(copy, target, None, kernel.MS_BIND)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID
    kernel.mount(None, target, None, flags | more)


def _touch(path: str, content: bytes = b"") -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def _mount_volume(mount: Mount, source: str | int, target: str) -> None:
    if not os.path.lexists(target):  # inside a volume that was mounted before: made there, as engines do
        as_file = mount.kind == "bind" and not os.path.isdir(source)
        os.makedirs(os.path.dirname(target) if as_file else target, exist_ok=True)
        if as_file:
            _touch(target)
    asked = sum(_OPTIONS[option] for option in mount.options)
    if mount.kind == "tmpfs":
        size = f",size={mount.size}" if mount.size is not None else ""
        kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | asked, f"mode={mount.mode:o}{size}")
        return
    if isinstance(source, int):
        kernel.move_mount(source, target)
    else:
        kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
    if asked:
        kernel.mount(None, target, None, kernel.MS_REMOUNT | kernel.MS_BIND | asked | _flags_of(target))
    if mount.read_only:
        try:
            kernel.mount_read_only(target)
        except OSError:
            flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _flags_of(target)
            kernel.mount(None, target, None, flags)
