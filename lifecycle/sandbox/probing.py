"""Which rung this host allows, found by trying each in a forked child: what a setting says is not what happens.

Nothing is cached: the answer depends on the user, the container and the file system of the moment.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from lifecycle.sandbox import kernel, seccomp
from lifecycle.sandbox.entering import become, lent_ranges, own_identity_map
from lifecycle.sandbox.errors import IsolationRefused, NoIsolation
from lifecycle.sandbox.limits import find_hierarchy
from lifecycle.sandbox.mounts import mount_overlay
from lifecycle.sandbox.rung import IdRange, Isolation, Rung, RungName

_CAP_SYS_ADMIN = 21
_FIRST_LENT = 1


@dataclass
class _Findings:
    """What the trials brought to light, in order."""

    reasons: list[str] = field(default_factory=list)
    improvements: list[str] = field(default_factory=list)

    def add(self, reason: str, improvement: str | None = None) -> None:
        self.reasons.append(reason)
        if improvement and improvement not in self.improvements:
            self.improvements.append(improvement)


def probe(wanted: Isolation = Isolation.AUTO, home: str | os.PathLike[str] | None = None) -> Rung:
    """The best rung that works here, or the one named by ``wanted``.

    ``home`` is an existing, writable directory on the file system where snapshots will live (overlayfs depends on
    it); without it the directory for temporary files is tried. Raises NoIsolation, IsolationRefused.
    """
    place = os.fspath(home) if home is not None else os.environ.get("TMPDIR", "/tmp")
    findings = _Findings()
    for candidate in _candidates(wanted, findings):
        rung = _try(candidate, place, findings)
        if rung is not None:
            return _finish(rung, findings)
    reasons = "; ".join(findings.reasons) or "nothing applies"
    fix = "\n".join(findings.improvements) or None
    if wanted is Isolation.AUTO:
        raise NoIsolation("Processes cannot be kept apart from this host", why=reasons, fix=fix)
    raise IsolationRefused(f"--isolation {wanted.value} does not work here", why=reasons, fix=fix)


def _candidates(wanted: Isolation, findings: _Findings) -> list[Rung]:
    root = os.geteuid() == 0
    admin = bool(kernel.effective_capabilities() >> _CAP_SYS_ADMIN & 1)
    mountns = Rung("mountns", "all")
    chroot = Rung("chroot", "all")
    match wanted:
        case Isolation.USERNS:
            return [_full_userns()] if root else _ordinary_userns(findings)
        case Isolation.MOUNTNS:
            return [mountns]
        case Isolation.CHROOT:
            return [chroot]
        case Isolation.AUTO if not root:
            return _ordinary_userns(findings)
        case Isolation.AUTO if admin:
            return [mountns, _full_userns(), chroot]
    findings.add("mountns: root lacks CAP_SYS_ADMIN here", "give the container CAP_SYS_ADMIN (--cap-add SYS_ADMIN)")
    return [_full_userns(), chroot]


def _full_userns() -> Rung:
    return Rung("userns", "all", own_identity_map("/proc/self/uid_map"), own_identity_map("/proc/self/gid_map"))


def _ordinary_userns(findings: _Findings) -> list[Rung]:
    uid, gid = os.geteuid(), os.getegid()
    single = Rung("userns", "single", (IdRange(0, uid, 1),), (IdRange(0, gid, 1),))
    uids, gids = lent_ranges("/etc/subuid", uid), lent_ranges("/etc/subgid", uid)
    if not uids or not gids:
        which = "/etc/subuid" if not uids else "/etc/subgid"
        findings.add(
            f"subids: {which} lends user {uid} no range, so every file gets one owner",
            f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {_user_name(uid)}",
        )
        return [single]
    missing = [tool for tool in ("newuidmap", "newgidmap") if shutil.which(tool) is None]
    if missing:
        findings.add(f"subids: {' and '.join(missing)} not installed", "as root: apt-get install uidmap")
        return [single]
    subids = Rung("userns", "subids", _lay_out(uid, uids), _lay_out(gid, gids))
    return [subids, single]


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _lay_out(own: int, lent: tuple[tuple[int, int], ...]) -> tuple[IdRange, ...]:
    ranges, inside = [IdRange(0, own, 1)], _FIRST_LENT
    for first, count in lent:
        ranges.append(IdRange(inside, first, count))
        inside += count
    return tuple(ranges)


def _try(candidate: Rung, place: str, findings: _Findings) -> Rung | None:
    if candidate.name != "chroot":
        facts = _in_child(lambda: _trial(candidate, place))
    else:
        facts = _in_child(lambda: _chroot_trial(place))
    label = candidate.name if candidate.ids != "subids" else "subids"
    failed = facts.get("failed")
    if failed:
        findings.add(f"{label}: {failed}", _remedy(candidate.name))
        return None
    if facts.get("overlay_why"):
        findings.add(
            f"overlay: cannot be mounted on {place}: {facts['overlay_why']}",
            "put PYLIFE_HOME on a file system that can carry overlayfs (ext4, xfs, tmpfs; in a container: a volume)",
        )
    if candidate.name == "chroot" and not facts.get("mknod"):
        findings.add(
            "devices: device nodes cannot be made; /dev/null is an ordinary file in the build's root",
            "give the container CAP_MKNOD",
        )
    if facts.get("proc") == "bind":
        findings.add("proc: a fresh /proc cannot be mounted (the container masks its own); the outer one is shown")
    return replace(
        candidate,
        overlay=_overlay(facts.get("overlay")),
        can_mount=candidate.name != "chroot",
        can_mknod=bool(facts.get("mknod")),
        proc=_proc(facts.get("proc")),
        pid_namespace=bool(facts.get("pid")),
        network_namespace=candidate.name != "chroot",
    )


def _overlay(value: object) -> Literal["trusted", "user"] | None:
    return "trusted" if value == "trusted" else "user" if value == "user" else None


def _proc(value: object) -> Literal["mount", "bind"] | None:
    return "mount" if value == "mount" else "bind" if value == "bind" else None


def _finish(rung: Rung, findings: _Findings) -> Rung:
    hierarchy, why = find_hierarchy()
    if hierarchy is None:
        findings.add(
            f"memory: {why}; --memory limits address space instead",
            "run inside a delegated control group: systemd-run --user --scope -p Delegate=yes pylife …",
        )
    filters = kernel.seccomp_available() and seccomp.program() is not None
    if not filters:
        findings.add(f"seccomp: this kernel takes no filters, or pylife knows no system calls of {kernel.MACHINE}")
    return replace(
        rung,
        cgroup=hierarchy.version if hierarchy else None,
        seccomp=filters,
        reasons=tuple(findings.reasons),
        improvements=tuple(findings.improvements),
    )


def _remedy(name: RungName) -> str | None:
    if name == "chroot":
        return "give the container CAP_SYS_CHROOT, CAP_SETUID and CAP_SETGID (they are in the usual default set)"
    if name == "mountns":
        return None
    if _setting("/proc/sys/user/max_user_namespaces") == "0":
        return "as root: sysctl -w user.max_user_namespaces=15000"
    if _setting("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "as root: sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if _status("Seccomp") == "2":
        return "allow unshare and mount in the container's seccomp profile (--security-opt seccomp=unconfined)"
    return None


def _setting(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def _status(key: str) -> str | None:
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return line.split()[1]
    return None


def _in_child(trial: Callable[[], dict[str, object]]) -> dict[str, object]:
    """What ``trial`` returns when run in a forked child; an OSError or an early end becomes ``failed``."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        facts: dict[str, object]
        try:
            os.close(read)
            facts = trial()
        except OSError as error:
            facts = {"failed": f"{error.filename or 'call'}: {error.strerror}"}
        except BaseException as error:
            facts = {"failed": repr(error)}
        with contextlib.suppress(OSError):
            os.write(write, json.dumps(facts).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        raw = answer.read()
    _, status = os.waitpid(pid, 0)
    if not raw:
        return {"failed": f"the trial ended with status {status}"}
    found: dict[str, object] = json.loads(raw)
    return found


def _trial(candidate: Rung, place: str) -> dict[str, object]:
    become(candidate)
    work = _make_scratch(place)
    facts: dict[str, object] = {}
    try:
        for name in ("lower", "upper", "work", "merged", "tmp"):
            os.mkdir(os.path.join(work, name))
        with open(os.path.join(work, "lower", "gone"), "wb"):
            pass
        try:
            kernel.mount("tmpfs", f"{work}/tmp", "tmpfs", kernel.MS_NOSUID, "size=64k,mode=755")
        except OSError as error:
            # AppArmor may let a user namespace be made and then deny everything in it
            return {"failed": f"a namespace can be made, but mounting in it is refused ({error.strerror})"}
        facts |= _overlay_trial(work)
        try:
            os.mknod(f"{work}/tmp/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            facts["mknod"] = True
        except OSError:
            facts["mknod"] = False
        facts |= _proc_trial(f"{work}/tmp")
        kernel.umount(f"{work}/tmp", kernel.MNT_DETACH)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return facts


def _make_scratch(place: str) -> str:
    path = os.path.join(place, f".pylife-probe-{os.urandom(6).hex()}")
    os.mkdir(path, 0o700)
    return path


def _overlay_trial(work: str) -> dict[str, object]:
    why = ""
    for flavour in ("trusted", "user"):
        if flavour == "trusted":
            try:
                os.setxattr(f"{work}/lower", "trusted.overlay.opaque", b"n")
            except OSError:
                continue
        try:
            mount_overlay(f"{work}/lower", f"{work}/upper", f"{work}/work", f"{work}/merged", flavour == "user")
        except OSError as error:
            why = error.strerror or str(error.errno)
            if error.errno == errno.ENODEV:
                why = "this kernel has no overlayfs"
            continue
        try:
            os.unlink(f"{work}/merged/gone")  # needs a whiteout: character device 0:0
            return {"overlay": flavour}
        except OSError as error:
            why = f"a file cannot be removed in it ({error.strerror})"
        finally:
            kernel.umount(f"{work}/merged", kernel.MNT_DETACH)
    return {"overlay": None, "overlay_why": why or "no flavour applies"}


def _proc_trial(point: str) -> dict[str, object]:
    """Whether a new pid namespace can be had, and which /proc in it. Leaves the caller's children in it."""
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
    except OSError:
        return {"pid": False, "proc": None}
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            kernel.mount("proc", point, "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
            kernel.umount(point, kernel.MNT_DETACH)
            code = 0
        except OSError:
            with contextlib.suppress(OSError):
                kernel.mount("/proc", point, None, kernel.MS_BIND | kernel.MS_REC)
                kernel.umount(point, kernel.MNT_DETACH)
                code = 1
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return {"pid": True, "proc": {0: "mount", 1: "bind"}.get(os.waitstatus_to_exitcode(status))}


def _chroot_trial(place: str) -> dict[str, object]:
    work = _make_scratch(place)
    try:
        facts: dict[str, object] = {"mknod": True, "proc": None, "pid": False, "overlay": None}
        try:
            os.mknod(f"{work}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except OSError:
            facts["mknod"] = False
        pid = os.fork()
        if pid == 0:
            code = 0
            try:
                os.chroot(work)
                os.setgroups([])
                os.setresgid(1, 1, 1)
                os.setresuid(1, 1, 1)
            except OSError as error:
                code = error.errno or 1
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        refused = os.waitstatus_to_exitcode(status)
        if refused:
            return {"failed": f"chroot and a change of user: {os.strerror(refused)}"}
        return facts
    finally:
        shutil.rmtree(work, ignore_errors=True)
