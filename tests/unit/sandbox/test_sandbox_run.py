"""Running processes on every rung: what they see, what they may do, how they end."""

from __future__ import annotations

import os
import pty
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifecycle.sandbox import File, Mount, RunSpec, Sandbox
from lifecycle.sandbox.errors import (
    AlreadyThreaded,
    ExecFailed,
    MountsNotPossible,
    NetworkNotIsolated,
    UserNotMapped,
)

DEVICES = {"fd", "full", "null", "ptmx", "pts", "random", "shm"} | {
    "stderr",
    "stdin",
    "stdout",
    "tty",
    "urandom",
    "zero",
}
Runner = Callable[[Callable[[Any], Any]], Any]


def test_process_sees_its_root_and_no_host_file(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        return bench.sh("ls / | while read x; do echo $x; done"), bench.sh("cat /etc/hostname; echo $?")

    names, code = everywhere(body)
    assert set(names) <= {"bin", "dev", "etc", "home", "lib", "lib64", "proc", "run", "sys", "tmp", "usr"}
    assert code == ["1"]


def test_process_runs_as_its_user_and_groups(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        own = bench.sh("id -u; id -g; touch /tmp/made; stat -c %u /tmp/made", groups=(1000, 1001))
        root = bench.sh("id -u; id -g", uid=0, gid=0)
        return bench.rung.ids, own, root, bench.sh("id -G", groups=(1000, 1001))

    ids, own, root, groups = everywhere(body)
    assert own == ["1000", "1000", "1000"] and root == ["0", "0"]
    assert groups == (["1000"] if ids == "single" else ["1000 1001"]) or ids == "single"


def test_exit_codes_and_signals_are_told(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        return [bench.run("sh", "-c", script) for script in ("exit 0", "exit 42", "kill -TERM $$")]

    ok, failed, killed = everywhere(body)
    assert (ok.exit_code, ok.signal, ok.ok) == (0, None, True)
    assert (failed.exit_code, failed.signal) == (42, None)
    assert (killed.exit_code, killed.signal) == (143, signal.SIGTERM)


def test_lines_come_in_order_with_their_stream(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        bench.run("sh", "-c", "echo one; echo two; printf 'no newline'; echo err >&2")
        return bench.lines

    lines = everywhere(body)
    assert [line for stream, line in lines if stream == "stdout"] == ["one", "two", "no newline"]
    assert [line for stream, line in lines if stream == "stderr"] == ["err"]


def test_stdin_is_empty(everywhere: Runner) -> None:
    assert everywhere(lambda bench: bench.sh("cat; echo $?")) == ["0"]


def test_environment_is_exactly_what_was_asked(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        os.environ["HOST_SECRET"] = "leak"
        return bench.sh("env", env={"PATH": "/usr/bin", "A": "b c"}, trust_host=False)

    assert sorted(line for line in everywhere(body) if not line.startswith(("PWD=", "_=", "OLDPWD="))) == [
        "A=b c",
        "PATH=/usr/bin",
    ]


def test_working_directory_is_entered_as_the_user(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        return bench.sh("pwd", cwd="/home/app")

    assert everywhere(body) == ["/home/app"]


def test_standard_output_and_error_can_be_opened_by_name(everywhere: Runner) -> None:
    """as programs do that are told to log to /dev/stdout"""

    def body(bench: Any) -> Any:
        bench.run("sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr")
        return bench.rung.name, sorted(bench.lines)

    rung, lines = everywhere(body)
    assert rung == "chroot" or lines == [("stderr", "err"), ("stdout", "out")]  # which makes no /dev


UNSTARTABLE = [
    ("nosuch", 127, "no such program in PATH"),
    ("/no/such", 127, "No such file"),
    ("/etc/passwd", 126, "Permission denied"),
    ("/home/app/bad-interpreter", 127, "its interpreter /usr/bin/none is not in the root"),
    ("/home/app/windows", 127, r"its interpreter /usr/bin/sh\r is not in the root"),
    ("/home/app/garbage", 126, "no #! line"),
]


def test_program_that_cannot_start_is_named_with_the_reason(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        for name, content in (
            ("bad-interpreter", "#!/usr/bin/none -x\n"),
            ("windows", "#!/usr/bin/sh\r\n"),
            ("garbage", "plain text"),
        ):
            (bench.root / "home/app" / name).write_text(content)
            (bench.root / "home/app" / name).chmod(0o755)
        found = []
        for argv0, _, _ in UNSTARTABLE:
            try:
                bench.run(argv0)
            except ExecFailed as error:
                found.append((error.exit_code, str(error)))
        return found

    for (argv0, code, words), (got, message) in zip(UNSTARTABLE, everywhere(body), strict=True):
        assert got == code and words in message and argv0 in message


def test_missing_working_directory_is_named(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        try:
            bench.run("true", cwd="/nowhere")
        except ExecFailed as error:
            return str(error)

    assert everywhere(body).startswith("/nowhere cannot be the working directory")


def test_everything_of_a_step_is_dead_when_it_ends(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        mark = f"31{os.getpid()}"
        bench.run("sh", "-c", f"(setsid sh -c 'sleep {mark}' &) ; setsid sleep {mark} & sleep 0.2")
        return [pid for pid in os.listdir("/proc") if pid.isdigit() and mark.encode() in _cmdline(pid)]

    assert everywhere(body) == []


def _cmdline(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _find(mark: str) -> list[str]:
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and mark.encode() in _cmdline(pid)]


def test_killing_pylife_kills_the_step_and_leaves_no_mount(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        # the body is pylife here; its last act is to be killed by a watcher it leaves behind
        mark = f"32{os.getpid()}"
        read, write = os.pipe()
        ready, go = os.pipe()
        victim = os.fork()
        if victim == 0:
            bench.sandbox._pid, _ = 0, None
            inner = Sandbox(bench.rung)
            inner.run(
                bench.spec("sh", "-c", f"(setsid sleep {mark} &); echo up; sleep {mark}"),
                lambda s, t: os.write(go, b"1"),
            )
        os.read(ready, 1)
        seen = len(_find(mark))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        deadline = time.monotonic() + 5
        while _find(mark) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.close(read)
        os.close(write)
        return seen, len(_find(mark)), Path("/proc/self/mountinfo").read_text().count(str(bench.root))

    seen, left, mounts = everywhere(body)
    assert seen >= 2 and left == 0 and mounts == 0


def test_timeout_ends_the_whole_step(everywhere: Runner) -> None:
    result = everywhere(lambda bench: bench.run("sh", "-c", "sleep 60; echo survived", timeout=0.3))
    assert result.timed_out and result.signal == signal.SIGTERM and result.seconds < 1.5


def test_stubborn_process_is_killed_after_the_grace(with_and_without_namespaces: Runner) -> None:
    script = "trap '' TERM; while :; do sleep 0.1; done"
    result = with_and_without_namespaces(lambda bench: bench.run("sh", "-c", script, timeout=0.2))
    assert result.timed_out and result.signal == signal.SIGKILL and 2 <= result.seconds < 4


def sparse(path: Path, size: int) -> None:
    """A file of zeros that takes no room: /dev/zero is not to be had on every rung."""
    path.touch(0o644)
    os.truncate(path, size)


def test_flood_of_output_takes_no_memory(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        total = lines = 0

        def count(stream: str, line: str) -> None:
            nonlocal total, lines
            total += len(line)
            lines += 1

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sparse(bench.root / "tmp/big", 200 << 20)
        bench.sandbox.run(bench.spec("cat", "/tmp/big"), count)
        return total, lines, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    total, lines, grown = everywhere(body)
    assert total == 200 << 20 and lines >= 3200 and grown < 20_000


def test_memory_limit_stops_a_greedy_process(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        sparse(bench.root / "tmp/big", 300 << 20)
        greedy = ("dd", "if=/tmp/big", "of=/tmp/small", "bs=300M", "count=1")
        limited = bench.run(*greedy, memory=100 << 20)
        return bench.rung.cgroup, limited, bench.run("true", memory=100 << 20), len(bench.sink.events)

    cgroup, limited, small, told = everywhere(body)
    assert limited.exit_code != 0 and small.exit_code == 0
    if cgroup:
        assert limited.oom and limited.signal == signal.SIGKILL
    else:
        assert told == 1


def test_ca_bundle_is_trusted_inside_and_not_in_the_tree(everywhere: Runner, list_tree: Any) -> None:
    def body(bench: Any) -> Any:
        bundle = bench.root.parent / "host.pem"
        bundle.write_text("OUR CA\n")
        os.environ["SSL_CERT_FILE"] = str(bundle)
        os.environ["HTTPS_PROXY"] = "http://proxy.test:3128"
        before = list_tree(bench.root)
        bench.sandbox = Sandbox(bench.rung)  # what the host trusts is settled when the sandbox is made
        seen = bench.sh('cat "$SSL_CERT_FILE" "$PIP_CERT"; echo $https_proxy $HTTPS_PROXY; wc -l </etc/resolv.conf')
        return seen[:3], before == list_tree(bench.root), sorted(set(list_tree(bench.root)) ^ set(before))

    seen, same, difference = everywhere(body)
    assert seen == ["OUR CA", "OUR CA", "http://proxy.test:3128 http://proxy.test:3128"]
    assert difference == [] and same


def test_certificates_of_the_image_stay_or_are_replaced_as_wanted(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        host = bench.root.parent / "host.pem"
        host.write_text("OUR CA\n")
        os.environ["SSL_CERT_FILE"] = str(host)
        own = bench.root / "etc/ssl/certs/ca-certificates.crt"
        own.parent.mkdir(parents=True)
        own.write_text("IMAGE CA\n")
        bench.sandbox = Sandbox(bench.rung)
        script = "cat /etc/ssl/certs/ca-certificates.crt; ls /etc/ssl"
        return bench.sh(script), bench.sh(script, replace_certificates=True), own.read_text()

    assert everywhere(body) == (["IMAGE CA", "certs"], ["OUR CA", "certs"], "IMAGE CA\n")


def test_file_of_the_image_is_itself_again_after_the_run(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        (bench.root / "etc/hosts").write_text("image\n")
        inode = os.stat(bench.root / "etc/hosts").st_ino
        seen = bench.sh("cat /etc/hosts")
        return (
            seen == ["image"],
            (bench.root / "etc/hosts").read_text(),
            os.stat(bench.root / "etc/hosts").st_ino == inode,
        )

    assert everywhere(body) == (False, "image\n", True)


def test_links_in_an_image_lead_nowhere_outside(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        outside = bench.root.parent / "outside"
        outside.mkdir()
        (bench.root / "etc/resolv.conf").symlink_to(f"/../..{outside}/resolv.conf")
        (bench.root / "etc/ssl").symlink_to(str(outside))
        bench.run("true")
        return os.listdir(outside)

    assert everywhere(body) == []


def test_privileges_are_those_of_a_container(in_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        show = "cat /proc/self/status"
        pick = ("CapEff", "CapBnd", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp")

        def of(uid: int) -> dict[str, str]:
            rows = dict(line.split(":\t", 1) for line in bench.sh(show, uid=uid, gid=uid) if ":\t" in line)
            return {key: rows[key] for key in pick}

        return of(1000), of(0)

    user, root = in_namespaces(body)
    assert int(user["CapEff"], 16) == 0 and int(root["CapEff"], 16) == 0x800405FB
    for who in (user, root):
        assert int(who["CapBnd"], 16) == 0x800405FB and int(who["CapInh"], 16) == int(who["CapAmb"], 16) == 0
        assert who["NoNewPrivs"] == "1" and who["Seccomp"] == "2"


def test_filter_denies_mounts_and_namespaces(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        return [
            bench.run(*argv, uid=0, gid=0).exit_code
            for argv in (
                ("mount", "-t", "tmpfs", "none", "/tmp"),
                ("unshare", "-U", "true"),
                ("unshare", "-m", "true"),
                ("mknod", "/tmp/disk", "b", "8", "0"),
            )
        ]

    assert all(code != 0 for code in everywhere(body))


def test_pids_and_proc_are_its_own(in_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        mask = "ls /proc/acpi /sys/firmware 2>/dev/null | wc -l; cat /proc/timer_list /proc/keys 2>/dev/null | wc -c"
        write = (
            "echo 1 > /proc/sys/kernel/panic && echo bad; echo c > /proc/sysrq-trigger && echo bad; hostname; echo $$"
        )
        return bench.sh("ls /proc"), bench.sh(mask, uid=0, gid=0), bench.sh(write, uid=0, gid=0)

    names, masked, written = in_namespaces(body)
    assert len([name for name in names if name.isdigit()]) <= 3
    assert masked[-1] == "0" and written == ["pylife", "2"]


def test_first_process_cannot_be_looked_into(in_namespaces: Runner) -> None:
    """It has the step's user, and in its memory what pylife had."""

    def body(bench: Any) -> Any:
        script = (
            "for f in environ mem maps fd/1; do head -c 1 /proc/1/$f >/dev/null 2>&1 && echo read $f; done; echo end"
        )
        return bench.sh(script), bench.sh(script, uid=0, gid=0)

    assert in_namespaces(body) == (["end"], ["end"])


def test_signal_from_inside_does_not_end_the_first_process(in_namespaces: Runner) -> None:
    script = "kill -TERM 1; kill -KILL 1; kill -INT 1; echo alive"
    assert in_namespaces(lambda bench: bench.sh(script, uid=0, gid=0) + bench.sh(script)) == ["alive", "alive"]


def test_file_in_memory_is_seen_and_in_no_tree(in_namespaces: Runner, list_tree: Any) -> None:
    def body(bench: Any) -> Any:
        before = list_tree(bench.root)
        files = (File("/new/place/f", b"held\n", 0o640),)
        seen = bench.sh(
            "cat /new/place/f; stat -c %a /new/place/f; (echo x >/new/place/f) 2>/dev/null || echo no",
            uid=0,
            gid=0,
            files=files,
        )
        return seen, before == list_tree(bench.root)

    assert in_namespaces(body) == (["held", "640", "no"], True)


def test_devices_are_private_and_few(in_namespaces: Runner) -> None:
    names = in_namespaces(lambda bench: bench.sh("ls /dev; echo x >/dev/null; head -c 4 /dev/urandom | wc -c"))
    assert names[-1] == "4"
    assert set(names[:-1]) == DEVICES


def test_no_network_means_loopback_only(in_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        return bench.sh("cat /proc/net/dev | while read x y; do echo $x; done", network="none")

    assert [line for line in in_namespaces(body) if line.endswith(":")] == ["lo:"]


def test_volumes_appear_and_leave_nothing(in_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        data = bench.root.parent / "data"
        data.mkdir()
        data.chmod(0o777)
        (data / "f").write_text("hello\n")
        mounts = (
            Mount(str(data), "/new/place"),
            Mount(str(data), "/ro", read_only=True),
            Mount(str(data / "f"), "/one-file"),
            Mount("", "/scratch", kind="tmpfs"),
            Mount(str(data), "/scratch/within"),
        )
        script = "cat /new/place/f /one-file; echo w > /new/place/w; echo x > /ro/x && echo bad; touch /scratch/t"
        return (
            bench.sh(f"{script}; ls /scratch", mounts=mounts),
            sorted(os.listdir(data)),
            sorted(os.listdir(bench.root)),
        )

    said, data, root = in_namespaces(body)
    assert said == ["hello", "hello", "t", "within"] and data == ["f", "w"]
    assert not {"new", "ro", "one-file", "scratch", "proc", "dev", "sys"} & set(root)


def test_runs_side_by_side_share_a_root(everywhere: Runner, list_tree: Any) -> None:
    def body(bench: Any) -> Any:
        before = list_tree(bench.root)
        codes: list[int] = []

        def one(number: int) -> None:
            script = f"sleep 0.0{number}; test -s /etc/hosts && test -e /dev/null && exit {number}"
            codes.append(bench.sandbox.run(bench.spec("sh", "-c", script), lambda s, t: None).exit_code)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(codes), list_tree(bench.root) == before

    assert everywhere(body) == (list(range(1, 9)), True)


def test_started_process_gets_signals_and_the_callers_descriptors(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        read, write = os.pipe()
        script = "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.05; done"
        null = os.open("/dev/null", os.O_RDONLY)
        process = bench.sandbox.start(bench.spec("sh", "-c", script), (null, write, write))
        os.close(write)
        with os.fdopen(read, "rb") as said, process, process.forward_signals():
            assert said.readline() == b"ready\n"
            os.kill(os.getpid(), signal.SIGUSR1)
            rest = said.read()
            return rest, process.wait().exit_code

    assert everywhere(body) == (b"got\n", 9)


def test_key_for_interrupt_reaches_the_app_once_and_not_pylife(with_and_without_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        pid, terminal = pty.fork()
        if pid == 0:  # pylife run, in a terminal of its own
            with Sandbox(bench.rung) as sandbox:
                count = "n=0; trap 'n=$((n+1))' INT; echo ready; sleep 0.6; sleep 0.3; echo count=$n; exit 5"
                process = sandbox.start(bench.spec("sh", "-c", count))
                with process, process.forward_signals():
                    code = process.wait().exit_code
                mine = os.tcgetpgrp(0) == os.getpgrp()
            os.write(1, f"code={code} mine={mine}".encode())
            os._exit(0)
        said = b""
        while b"ready" not in said:
            said += os.read(terminal, 1000)
        time.sleep(0.1)
        os.write(terminal, b"\x03")
        while b"mine" not in said:
            said += os.read(terminal, 1000)
        os.waitpid(pid, 0)
        return said.decode()

    said = with_and_without_namespaces(body)
    assert "count=1" in said and "code=5 mine=True" in said


def test_left_process_is_killed(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        mark = f"33{os.getpid()}"
        with bench.sandbox.start(bench.spec("sleep", mark)):
            time.sleep(0.2)
        return _find(mark)

    assert everywhere(body) == []


def test_closing_the_sandbox_kills_what_still_runs(with_and_without_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        mark = f"34{os.getpid()}"
        process = bench.sandbox.start(bench.spec("sleep", mark))
        time.sleep(0.2)
        bench.sandbox.close()
        return _find(mark), process is not None

    assert with_and_without_namespaces(body) == ([], True)


def test_interrupted_build_kills_its_step(with_and_without_namespaces: Runner) -> None:
    def body(bench: Any) -> Any:
        mark = f"35{os.getpid()}"

        def interrupt(stream: str, line: str) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            bench.sandbox.run(bench.spec("sh", "-c", f"echo x; sleep {mark}"), interrupt)
        except KeyboardInterrupt:
            return _find(mark)

    assert with_and_without_namespaces(body) == []


def test_error_in_the_callback_kills_the_run(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        def fail(stream: str, line: str) -> None:
            raise ValueError(line)

        began = time.monotonic()
        try:
            bench.sandbox.run(bench.spec("sh", "-c", "echo x; sleep 30"), fail)
        except ValueError as error:
            return str(error), time.monotonic() - began < 5

    assert everywhere(body) == ("x", True)


def test_big_environment_and_names_that_are_not_utf8_pass(everywhere: Runner) -> None:
    def body(bench: Any) -> Any:
        odd = os.fsdecode(b"caf\xe9")
        env = {"PATH": "/usr/bin"} | {f"V{number}": "x" * 1000 for number in range(500)}
        bench.run("sh", "-c", 'touch "/tmp/$1"; env | wc -c', "sh", odd, env=env)
        return os.listdir(os.fsencode(bench.root / "tmp")), int(bench.lines[-1][1]) > 500_000

    assert everywhere(body) == ([b"caf\xe9"], True)


def test_unmapped_user_is_refused_by_name(with_lent_ids: Runner) -> None:
    def body(bench: Any) -> Any:
        try:
            bench.run("true", uid=4_000_000)
        except UserNotMapped as error:
            return str(error)

    assert "4000000" in with_lent_ids(body)


def test_chroot_rung_says_what_it_cannot_do(in_chroot: Runner) -> None:
    def body(bench: Any) -> Any:
        names = []
        for more in ({"network": "none"}, {"mounts": (Mount("/tmp", "/x"),)}):
            try:
                bench.run("true", **more)
            except (NetworkNotIsolated, MountsNotPossible) as error:
                names.append(error.code)
        return names

    assert in_chroot(body) == ["sandbox.network-not-isolated", "sandbox.mounts-not-possible"]


def test_chroot_rung_furnishes_the_root_for_the_run_only(in_chroot: Runner, list_tree: Any) -> None:
    def body(bench: Any) -> Any:
        before = list_tree(bench.root)
        seen = bench.sh("echo x >/dev/null; echo y >/dev/shm/f; cat /dev/shm/f; ls /dev; ls /proc 2>/dev/null")
        return seen, before == list_tree(bench.root)

    seen, same = in_chroot(body)
    assert seen[0] == "y" and {"null", "shm"} <= set(seen) and same


def test_sandbox_is_refused_once_threads_run() -> None:
    from lifecycle.sandbox import Isolation, probe

    pid = os.fork()
    if pid == 0:
        rung = probe(Isolation.AUTO)
        hold = threading.Event()
        threading.Thread(target=hold.wait, daemon=True).start()
        try:
            Sandbox(rung)
        except AlreadyThreaded:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_spec_survives_json() -> None:
    spec = RunSpec(
        ("a", "\udce9"), "/r", {"K": "v"}, uid=3, groups=(4, 5), mounts=(Mount("/a", "/b", True),), timeout=1.5
    )
    assert RunSpec.from_json(spec.to_json()) == spec
