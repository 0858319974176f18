"""A tiny root filesystem, and running a test's body on each rung in a forked child: pytest itself stays where it is."""

from __future__ import annotations

import os
import pickle
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import PylifeError
from lifecycle.events import RecordingSink
from lifecycle.sandbox import Isolation, RunResult, RunSpec, Sandbox, enter, kernel, probe
from lifecycle.sandbox.entering import lent_ranges

PROGRAMS = (
    *("sh", "cat", "ls", "id", "env", "sleep", "true", "dd", "head", "mount", "unshare"),
    *("stat", "touch", "setsid", "wc", "hostname", "mknod"),
)
NOBODY = 65534


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A root filesystem of a few programs of this machine and the libraries they load."""
    root = Path(tempfile.mkdtemp(prefix="pylife-root-"))
    for name in ("tmp", "etc", "usr/bin", "home/app"):
        (root / name).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    root.chmod(0o755)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
    libraries: set[str] = set()
    for name in PROGRAMS:
        path = shutil.which(name)
        assert path is not None, f"{name} is missing on this machine"
        shutil.copy(path, root / "usr/bin" / name)
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        libraries |= set(re.findall(r"(/\S+)\s+\(0x", said))
    for library in libraries:
        (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library.lstrip("/"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


class Bench:
    """What a test's body gets: a sandbox on the rung, its root, and what was said."""

    def __init__(self, sandbox: Sandbox, root: Path, sink: RecordingSink) -> None:
        self.sandbox = sandbox
        self.rung = sandbox.rung
        self.root = root
        self.sink = sink
        self.lines: list[tuple[str, str]] = []

    def spec(self, *argv: str, **more: Any) -> RunSpec:
        more.setdefault("env", {"PATH": "/usr/bin"})
        return RunSpec(argv, str(self.root), **({"uid": 1000, "gid": 1000} | more))

    def run(self, *argv: str, **more: Any) -> RunResult:
        return self.sandbox.run(self.spec(*argv, **more), lambda stream, line: self.lines.append((stream, line)))

    def sh(self, script: str, **more: Any) -> list[str]:
        """The lines that a shell script writes to stdout."""
        self.lines.clear()
        self.run("sh", "-c", script, **more)
        return [line for stream, line in self.lines if stream == "stdout"]


Body = Callable[[Bench], Any]


def _become(who: str) -> None:
    if who != "root" and os.geteuid() == 0:
        uid = NOBODY if who == "nobody" else _lent_user()
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)


def _lent_user() -> int:
    """An ordinary user to whom /etc/subuid lends ids."""
    for entry in pwd.getpwall():
        if entry.pw_uid and lent_ranges("/etc/subuid", entry.pw_uid) and lent_ranges("/etc/subgid", entry.pw_uid):
            return entry.pw_uid
    return NOBODY


def on_rung(kind: str, template: Path, body: Body) -> Any:
    """The result of ``body`` on a rung, run in a child. ``kind``: mountns, chroot, userns (root), subids, single."""
    root_user = os.geteuid() == 0
    if kind in ("mountns", "chroot", "userns") and not root_user:
        pytest.skip(f"{kind} needs root")
    if kind == "subids" and root_user and _lent_user() == NOBODY:
        pytest.skip("no user here is lent subordinate ids: useradd -m makes one")
    place = Path(tempfile.mkdtemp(prefix="pylife-run-"))
    place.chmod(0o777)
    who = {"subids": "lent", "single": "nobody"}.get(kind, "root")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer: tuple[str, Any]
        try:
            os.close(read)
            answer = _inside(kind, who, template, place, body)
        except PylifeError as error:
            answer = ("error", f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
        except BaseException:
            answer = ("fail", traceback.format_exc())
        with os.fdopen(write, "wb") as out:
            pickle.dump(answer, out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as got:
        raw = got.read()
    os.waitpid(pid, 0)
    shutil.rmtree(place, ignore_errors=True)
    outcome, value = pickle.loads(raw) if raw else ("fail", "the child ended without an answer")
    if outcome == "skip":
        pytest.skip(value)
    if outcome != "ok":
        pytest.fail(value, pytrace=False)
    return value


def _inside(kind: str, who: str, template: Path, place: Path, body: Body) -> tuple[str, Any]:
    _become(who)
    wanted = {"mountns": Isolation.MOUNTNS, "chroot": Isolation.CHROOT}.get(kind, Isolation.USERNS)
    rung = probe(wanted, place)
    if kind in ("subids", "single") and rung.ids != kind:
        return ("skip", f"this user's rung has {rung.ids} ids: {'; '.join(rung.reasons)}")
    enter(rung)
    sink = RecordingSink()
    with Sandbox(rung, sink) as sandbox:
        root = place / "root"
        copy_tree(template, root)
        return ("ok", body(Bench(sandbox, root, sink)))


def copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)
    os.chmod(target / "tmp", 0o1777)


@pytest.fixture(params=["mountns", "userns", "subids", "single", "chroot"])
def everywhere(request: pytest.FixtureRequest, template: Path) -> Callable[[Body], Any]:
    """Runs a body on every rung."""
    return lambda body: on_rung(request.param, template, body)


@pytest.fixture(params=["mountns", "userns", "subids", "single"])
def in_namespaces(request: pytest.FixtureRequest, template: Path) -> Callable[[Body], Any]:
    """Runs a body on every rung that has namespaces."""
    return lambda body: on_rung(request.param, template, body)


@pytest.fixture
def in_chroot(template: Path) -> Callable[[Body], Any]:
    """Runs a body on the rung without mounts."""
    return lambda body: on_rung("chroot", template, body)


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every path below ``root`` with mode, size and time: to see that a run leaves nothing."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        found[str(path.relative_to(root))] = (status.st_mode, size, status.st_mtime_ns)
    return found


@pytest.fixture(params=["mountns", "chroot"])
def with_and_without_namespaces(request: pytest.FixtureRequest, template: Path) -> Callable[[Body], Any]:
    """Runs a body on one rung of each sort: for claims that take long to see."""
    return lambda body: on_rung(request.param, template, body)


@pytest.fixture
def with_lent_ids(template: Path) -> Callable[[Body], Any]:
    """Runs a body as an ordinary user with subordinate ids."""
    return lambda body: on_rung("subids", template, body)


@pytest.fixture
def list_tree() -> Callable[[Path], dict[str, tuple[int, int, int]]]:
    return listing
