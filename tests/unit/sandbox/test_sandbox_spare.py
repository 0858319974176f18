"""Runs that were made ready in advance: like those that were not, and apart from each other."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifecycle.sandbox import Sandbox

Runner = Callable[[Callable[[Any], Any]], Any]


def test_run_made_ready_has_the_mounts_of_one_that_was_not(in_namespaces: Runner) -> None:
    def mounts(lines: list[str]) -> dict[str, tuple[str, set[str]]]:
        rows = [line.split() for line in lines]
        return {row[4]: (row[row.index("-") + 1], set(row[5].split(",")) - {"nodev"}) for row in rows}

    def body(bench: Any) -> Any:
        ready = bench.sh("cat /proc/self/mountinfo")
        return ready, bench.sh("cat /proc/self/mountinfo", memory=1 << 30)

    ready, not_ready = in_namespaces(body)
    assert len(ready) > 10
    assert mounts(ready) == mounts(not_ready)


def test_run_made_ready_has_the_rights_of_one_that_was_not(in_namespaces: Runner) -> None:
    script = (
        "cat /proc/self/status | while read name value; do case $name in Cap*|NoNew*|Seccomp*|SigBlk*|SigCgt*|Shd*) "
    )
    script += "echo $name $value;; esac; done; echo /proc/self/fd/*; hostname; head -c 40 /proc/1/comm"

    def body(bench: Any) -> Any:
        return [
            (bench.sh(script, uid=uid, gid=uid, **more), bench.sh(script, uid=uid, gid=uid, memory=1 << 30, **more))
            for uid in (0, 1000)
            for more in ({}, {"no_new_privs": False})
        ]

    for ready, not_ready in in_namespaces(body):
        assert len(ready) > 9
        assert ready == not_ready


def test_nothing_goes_from_one_run_to_the_next(in_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        left = bench.sh("touch /dev/shm/left /dev/left 2>&1; ls /dev/shm", uid=0, gid=0)
        return left, bench.sh("ls /dev/shm; test -e /dev/left && echo there"), bench.sh("echo $$ /proc/[0-9]*")

    left, found, processes = in_namespaces(body)
    assert left == ["left"] and found == []
    assert processes == ["2 /proc/1 /proc/2"]


def test_what_was_made_ready_ends_with_the_sandbox(in_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        bench.sh("true")
        spares = _spares()
        bench.sandbox.close()
        return len(spares), [pid for pid in spares if os.path.exists(f"/proc/{pid}")]

    assert in_namespaces(body) == (1, [])


def test_what_was_made_ready_dies_with_the_spawner(in_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        bench.sh("true")
        spares = _spares()
        for pid in _children(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while any(map(_runs, spares)) and time.monotonic() < end:
            time.sleep(0.01)
        return len(spares), [pid for pid in spares if _runs(pid)]

    assert in_namespaces(body) == (1, [])


def test_host_file_that_changes_is_seen_by_the_next_run(in_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        bundle = bench.root.parent / "bundle.pem"
        bundle.write_text("first\n")
        os.environ["SSL_CERT_FILE"] = str(bundle)
        with Sandbox(bench.rung) as sandbox:
            bench.sandbox, said = sandbox, []
            for text in ("second\n", "third one\n"):
                said += bench.sh("cat $SSL_CERT_FILE")
                bundle.write_text(text)
            return said + bench.sh("cat $SSL_CERT_FILE")

    assert in_namespaces(body) == ["first", "second", "third one"]


def _spares() -> list[int]:
    """The processes that wait for a run: what the spawner, this process's child, has as children."""
    time.sleep(0.2)
    return [spare for spawner in _children(os.getpid()) for spare in _children(spawner)]


def _children(parent: int) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and int((place / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(place.name))
        except OSError:
            continue
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
