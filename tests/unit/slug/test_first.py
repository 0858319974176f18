"""The first process of a slugrunner's container."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifecycle.slug import first

PROGRAM = [sys.executable, "-ISB", first.__file__]


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, "sh", "-c", script], capture_output=True, text=True, timeout=30)


def test_the_exit_code_is_the_programs() -> None:
    done = run("echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_a_signal_that_ends_the_program_counts_as_in_a_shell() -> None:
    assert run("kill -KILL $$").returncode == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_named() -> None:
    done = subprocess.run([*PROGRAM, "no-such-program"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 127
    assert "no-such-program" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_program(number: signal.Signals) -> None:
    with subprocess.Popen([*PROGRAM, "sleep", "60"]) as process:
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(timeout=10) == 128 + number


def test_the_program_starts_with_no_signal_blocked_or_ignored() -> None:
    """(but for what the shell sets itself)"""
    text = run("exec grep -E '^Sig(Blk|Ign)' /proc/self/status").stdout.split()
    assert int(text[1], 16) == 0
    assert int(text[3], 16) & (1 << (signal.SIGPIPE - 1)) == 0


def test_at_a_terminal_the_program_has_it() -> None:
    """A background group that takes the terminal is stopped for that, and nothing would ever let it go on."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAM[0], [*PROGRAM, "sh", "-c", "read word; echo got $word"])
    signal.alarm(30)
    try:
        os.write(terminal, b"hello\n")
        said = b""
        while b"got hello" not in said:
            said += os.read(terminal, 1024)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        signal.alarm(0)
        os.close(terminal)


@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="needs unshare and root")
def test_as_process_1_it_buries_orphans_and_ends_a_program_without_handlers(tmp_path: Path) -> None:
    script = "(sleep 0.2 & exec sleep 0.1) & sleep 60"
    command = ["unshare", "--pid", "--fork", "--kill-child", *PROGRAM, "sh", "-c", f"{script}; true"]
    with subprocess.Popen(command) as process:
        time.sleep(1)
        child = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()[0]
        states = subprocess.run(["ps", "--ppid", child, "-o", "stat="], capture_output=True, text=True).stdout
        assert "Z" not in states
        os.kill(int(child), signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
