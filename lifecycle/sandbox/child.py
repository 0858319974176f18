"""From a forked child to the program of a step: terminal, limits, user, capabilities, filter, exec."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import stat
import struct

from lifecycle.sandbox import kernel, seccomp
from lifecycle.sandbox.stdio import give_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Literal, NoReturn

    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import RunSpec

    #: ``none``: a session of its own; ``shared``: the caller's; ``foreground``: and its terminal's foreground group
    Terminal = Literal["none", "shared", "foreground"]
    Report = Callable[[dict[str, object]], None]
    Start = Callable[[str, Sequence[str], dict[str, str]], int]

# chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, setfcap:
# what engines leave to a container by default, without raw sockets and device nodes (both reach the host's here)
_KEPT = (0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31)
_SETPCAP = 8
_SYS_CHROOT = 18
_UNTOUCHABLE = {signal.SIGKILL, signal.SIGSTOP}
ALL_CAPABILITIES = (1 << 64) - 1
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def kept_capabilities(rung: Rung) -> int:
    """The bit mask of what a process that runs as root inside keeps."""
    mask = sum(1 << number for number in _KEPT)
    if rung.name == "chroot":
        mask &= ~(1 << _SYS_CHROOT)  # it would be the way out
    return mask


def execute(
    spec: RunSpec,
    rung: Rung,
    environment: Mapping[str, str],
    stdio: Sequence[int],
    terminal: Terminal,
    report: Report,
) -> NoReturn:
    """Turn this process into the spec's program, or report why not and exit 127. Never returns."""
    try:
        if _become_user(spec, rung, stdio, terminal, report):
            with _reporting("exec", report):
                _reset_signals()
                _start(spec.argv, dict(environment), _replace)
    finally:
        os._exit(127)


def launch(
    spec: RunSpec, rung: Rung, environment: Mapping[str, str], stdio: Sequence[int], report: Report
) -> int | None:
    """Start the spec's program as a child, for the first process of a pid namespace; its pid, None when reported.

    This process becomes what the program is (user, capabilities, filter), so that the child need not be a copy of it
    with all its memory, which costs more than all the rest. It keeps the program away by not being dumpable: nothing
    in the namespace can trace it or read its memory, and no signal that it does not wait for reaches it.
    """
    if not _become_user(spec, rung, stdio, None, report):
        return None
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    try:
        with _reporting("exec", report):
            return _start(spec.argv, dict(environment), _spawn)
        return None
    finally:
        for fd in range(3):
            os.close(fd)


def needs_fork(spec: RunSpec, rung: Rung, terminal: Terminal) -> bool:
    """Whether ``launch`` cannot start the program: it would take part in its terminal, or be limited as it is."""
    return terminal != "none" or (spec.memory is not None and rung.cgroup is None)


@contextlib.contextmanager
def _reporting(stage: str, report: Report) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename or "")
        report({"failed": stage, "errno": error.errno, "why": error.strerror, "name": name})
    except BaseException as error:
        report({"failed": stage, "errno": 0, "why": repr(error), "name": ""})


def drop_beforehand(rung: Rung) -> None:
    """Take from the bounding set what no run on ``rung`` keeps, but privileged ones."""
    if kernel.effective_capabilities() >> _SETPCAP & 1:
        kernel.drop_bounding(kept_capabilities(rung))


def _become_user(spec: RunSpec, rung: Rung, stdio: Sequence[int], terminal: Terminal | None, report: Report) -> bool:
    """Make this process all that the program shall be; False when that failed, which is reported then."""
    with _reporting("setup", report):
        if terminal is not None:
            _take_terminal(stdio, terminal)
        for number, fd in enumerate(stdio):
            os.dup2(fd, number, inheritable=True)
        kernel.close_on_exec_from(3)
        os.umask(0o022)
        _limit(spec, rung)
        _drop_privileges(spec, rung)
        with _reporting("cwd", report):
            os.chdir(spec.cwd)
            return True
    return False


def _take_terminal(stdio: Sequence[int], terminal: Terminal) -> None:
    if terminal == "none":
        os.setsid()
        return
    # a process group of its own, made the terminal's foreground one: Ctrl-C reaches the app, once
    os.setpgid(0, 0)
    if terminal == "foreground":
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            os.tcsetpgrp(stdio[0], os.getpgrp())


def _limit(spec: RunSpec, rung: Rung) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if spec.memory is not None and rung.cgroup is None:
        resource.setrlimit(resource.RLIMIT_AS, (spec.memory, spec.memory))


def _drop_privileges(spec: RunSpec, rung: Rung) -> None:
    keep = ALL_CAPABILITIES if spec.privileged else kept_capabilities(rung)
    if spec.no_new_privs:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if rung.ids == "single" and (spec.uid or spec.gid):
        _nest(spec.uid, spec.gid)
    if kernel.effective_capabilities() >> _SETPCAP & 1:  # without it the bounding set is the outer container's
        kernel.drop_bounding(keep)
    with contextlib.suppress(OSError):  # kernels before 4.3
        kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    _filter(spec, rung)
    if rung.ids != "single":
        give_pipes(range(3), spec.uid)
        os.setgroups(spec.groups)
        os.setresgid(spec.gid, spec.gid, spec.gid)
        os.setresuid(spec.uid, spec.uid, spec.uid)
    kernel.set_capabilities(keep & kernel.effective_capabilities() if spec.uid == 0 else 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def _nest(uid: int, gid: int) -> None:
    """Inside a single-id namespace, become ``uid``:``gid`` in one more namespace that maps them to that one id."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outer_uid} 1"), ("gid_map", f"{gid} {outer_gid} 1")):
        kernel.write_file(f"/proc/self/{name}", text + "\n" * (name != "setgroups"))


def _filter(spec: RunSpec, rung: Rung) -> None:
    code = seccomp.program() if rung.seccomp and not spec.privileged else None
    if code is None:
        return
    try:
        kernel.seccomp(code)
    except PermissionError:
        # root in a container, and setuid programs wanted: the container's own filter stays the only one
        if spec.no_new_privs or rung.name != "chroot":
            raise


def _reset_signals() -> None:
    # exec puts handlers back by itself; what is ignored (by Python, by the spawner, by nohup) would stay ignored
    for number in signal.valid_signals() - _UNTOUCHABLE:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _start(argv: Sequence[str], environment: dict[str, str], by: Start) -> int:
    name = argv[0]
    if "/" in name:
        return _start_file(name, argv, environment, by)
    denied: OSError | None = None
    for folder in environment.get("PATH", _DEFAULT_PATH).split(":"):
        path = os.path.join(folder or ".", name)
        try:
            if stat.S_ISDIR(os.stat(path).st_mode):
                continue
        except OSError:
            continue
        try:
            return _start_file(path, argv, environment, by)
        except PermissionError as error:
            denied = error  # a later folder may have one that can be executed, as a shell has it
    if denied is not None:
        raise denied
    raise OSError(errno.ENOENT, "no such program in PATH", name)


def _replace(path: str, argv: Sequence[str], environment: dict[str, str]) -> int:
    os.execve(path, list(argv), environment)


def _spawn(path: str, argv: Sequence[str], environment: dict[str, str]) -> int:
    return os.posix_spawn(
        path, list(argv), environment, setsid=True, setsigmask=(), setsigdef=signal.valid_signals() - _UNTOUCHABLE
    )


def _start_file(path: str, argv: Sequence[str], environment: dict[str, str], by: Start) -> int:
    try:
        return by(path, argv, environment)
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.exists(path):
            interpreter = _interpreter(path)
            raise OSError(error.errno, f"its interpreter {interpreter} is not in the root", f"{path}") from None
        if error.errno == errno.EACCES and _interpreter_blocked(path):
            raise OSError(error.errno, f"its interpreter {_interpreter(path)} cannot be executed", path) from None
        if error.errno == errno.ENOEXEC:
            why = "it has no #! line and is not a program for this machine"
            raise OSError(error.errno, why, path) from None
        raise OSError(error.errno, error.strerror, path) from None


def _interpreter_blocked(path: str) -> bool:
    """Whether ``path`` itself is executable, so that only its interpreter can be what was refused."""
    return os.access(path, os.X_OK) and _interpreter(path) != "(unknown)"


def _interpreter(path: str) -> str:
    """What ``path`` names as its interpreter: the ``#!`` line's program, or the ELF loader."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return "(unknown)"
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n", 1)[0].replace(b"\t", b" ").strip(b" ").split(b" ")
        # shown with repr-like escapes: a carriage return at its end is the usual reason
        return repr(os.fsdecode(words[0]))[1:-1] if words[0] else "(empty)"
    if head[:5] == b"\x7fELF\x02":
        offset, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        for start in range(offset, min(offset + size * count, len(head) - 56), size):
            if struct.unpack_from("<I", head, start)[0] == 3:  # PT_INTERP
                begin, length = (
                    struct.unpack_from("<Q", head, start + 8)[0],
                    struct.unpack_from("<Q", head, start + 32)[0],
                )
                return os.fsdecode(head[begin : begin + length].rstrip(b"\0"))
    return "(unknown)"
