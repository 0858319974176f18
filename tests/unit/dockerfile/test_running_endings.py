"""What is left of a step that ends before its time; and the ssh agent, whose socket must go with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.archive.filetree import HostTree
from lifecycle.dockerfile.running import (
    BindMount,
    CacheMount,
    RunOrder,
    RunTools,
    Secret,
    SecretMount,
    SshMount,
    SshSource,
    TmpfsMount,
    parse_ssh,
    run_step,
)
from lifecycle.sandbox import Sandbox, kernel
from lifecycle.testing.busybox import busybox_rootfs
from lifecycle.testing.rungs import RungMissing, on_rung

ASK = r"""$s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die $!; print $s "hello"; $s->flush;
print "$ENV{SSH_AUTH_SOCK}\n", <$s>"""
RUNGS = ["mountns", "userns", "subids", "single", "chroot"]


class Stage:
    def __init__(self, path: Path) -> None:
        self.path = path


def on(kind: Any, body: Callable[[Sandbox, Path], Any]) -> Any:
    try:
        return on_rung(kind, body)
    except RungMissing as missing:
        pytest.skip(str(missing))


def processes(mark: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def working_in(directory: Path) -> list[str]:
    def place(pid: str) -> str:
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{pid}/cwd")
        return ""

    return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if place(pid) == str(directory)]


def wait_until(true: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("kind", RUNGS)
def test_killed_build_leaves_no_process_no_mount_and_no_secret(kind: str) -> None:
    def body(sandbox: Sandbox, place: Path) -> Any:
        sandbox.close()
        (place / "context").mkdir()
        (place / "context/f").write_text("x")
        (place / "value").write_text("s3cr3t-value")
        root = busybox_rootfs(place / "root")
        mark = f"41{os.getpid()}"
        ready, go = os.pipe()
        victim = os.fork()
        if victim == 0:
            if sandbox.rung.can_mount:
                kernel.unshare(kernel.CLONE_NEWNS)  # as each pylife has a mount namespace of its own
            inner = Sandbox(sandbox.rung)
            tools = RunTools(inner, place / "home", secrets={"s": Secret("s", str(place / "value"))})
            mounts = (
                CacheMount("/cache", "c"),
                SecretMount("s", "/run/secrets/s"),
                TmpfsMount("/t"),
                BindMount("/src", HostTree(place / "context"), read_only=False),
            )
            script = f"touch /cache/made; (setsid sleep {mark} &); echo up; sleep {mark}"
            order = RunOrder(("/bin/sh", "-c", script), mounts=mounts)
            run_step(order, Stage(root), tools, lambda stream, line: os.write(go, b"1") and None)
            os._exit(1)
        os.read(ready, 1)
        seen = wait_until(lambda: len(processes(mark)) >= 2)  # the one that waits, and the one in a session of its own
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        gone = wait_until(lambda: not processes(mark))
        # the next build's sweep of its own scratch, and the throw-away root, which the snapshotter sweeps
        with Sandbox(sandbox.rung) as again:
            if sandbox.rung.can_mount:
                tools = RunTools(again, place / "home")
                mount = BindMount("/src", HostTree(place / "context"), read_only=False)
                said: list[str] = []
                order = RunOrder(("/bin/ls", "/cache"), mounts=(mount, CacheMount("/cache", "c")))
                run_step(order, Stage(root), tools, lambda stream, line: said.append(line))
            else:
                said = ["made"]
                wait_until(lambda: shutil.rmtree(root, ignore_errors=True) or not root.exists())  # as it is swept
        secrets = [str(path) for path in place.rglob("*") if path.is_file() and path.name != "value" and holds(path)]
        yard = place / "home/scratch"
        left = sorted(os.listdir(yard)) if yard.exists() else []
        return seen, gone, said, secrets, left

    seen, gone, said, secrets, left = on(kind, body)
    assert seen and gone and said == ["made"] and secrets == []
    assert kind == "chroot" or left == []


def holds(path: Path) -> bool:
    try:
        return b"s3cr3t" in path.read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize("kind", ["mountns", "chroot"])
def test_command_that_replaces_what_was_mounted_harms_nobody(kind: str) -> None:
    def body(sandbox: Sandbox, place: Path) -> Any:
        root = busybox_rootfs(place / "root")
        outside = place / "outside"
        outside.mkdir()
        (outside / "mine").write_text("mine")
        tools = RunTools(sandbox, place / "home")
        script = f"rm -rf /a/cache /a; ln -s ../../..{outside} /a; true"
        order = RunOrder(("/bin/sh", "-c", script), mounts=(CacheMount("/a/cache", "c"),))
        run_step(order, Stage(root), tools, lambda stream, line: None)
        return os.listdir(outside)

    assert on(kind, body) == ["mine"]


class EchoAgent:
    """An agent that answers what it is asked, at ``path``."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"agent says " + connection.recv(100))

    def close(self) -> None:
        self._listener.close()


@pytest.mark.parametrize("kind", RUNGS)
def test_agent_is_reached_by_the_user_that_the_mount_names(kind: str) -> None:
    def body(sandbox: Sandbox, place: Path) -> Any:
        root = busybox_rootfs(place / "root")
        (place / "home").mkdir()
        agent = EchoAgent(place / "agent")
        tools = RunTools(sandbox, place / "home", ssh={"default": SshSource("default", str(place / "agent"))})
        said: list[str] = []
        before = sorted(os.listdir(root))
        argv: tuple[str, ...] = ("/usr/bin/perl", "-MIO::Socket::UNIX", "-e", ASK)
        mounts = [
            BindMount(path, Stage(Path("/")), path) for path in ("/usr", "/lib", "/lib64") if os.path.exists(path)
        ]
        if not sandbox.rung.can_mount:  # /usr would be copied
            argv, mounts = ("/bin/sh", "-c", 'echo $SSH_AUTH_SOCK; stat -c "%F %u %a" $SSH_AUTH_SOCK'), []
        order = RunOrder(argv, user="user", mounts=(SshMount(uid=1000, gid=1000), *mounts))
        run_step(order, Stage(root), tools, lambda stream, line: said.append(line))
        agent.close()
        return said, sorted(os.listdir(root)) == before

    said, same = on(kind, body)
    answer = "socket 1000 600" if kind == "chroot" else "agent says hello"
    assert said == ["/run/buildkit/ssh_agent.0", answer] and same


def test_key_file_is_held_by_an_agent_of_the_step(tmp_path: Path) -> None:
    for program in ("ssh-agent", "ssh-add", "ssh-keygen"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install openssh-client")
    from lifecycle.dockerfile.running.agent import open_agent

    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key), "-C", "mine"], check=True)
    scratch = tmp_path / ("a-long-name-" * 12)  # of a socket's whole name, 107 bytes would be taken
    scratch.mkdir()
    with open_agent(parse_ssh(f"x={key}"), str(scratch)) as agent:
        asking = {"env": {**os.environ, "SSH_AUTH_SOCK": os.path.basename(agent)}, "cwd": os.path.dirname(agent)}
        listed = subprocess.run(["ssh-add", "-L"], **asking, capture_output=True, text=True, check=True).stdout
        assert working_in(scratch)
    assert listed.startswith("ssh-ed25519 ") and "mine" in listed
    assert wait_until(lambda: not working_in(scratch))
