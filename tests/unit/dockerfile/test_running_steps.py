"""RUN steps on every rung: who they are, what they see, what is left of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.archive.filetree import HostTree
from lifecycle.dockerfile.ignore import IgnoreRules
from lifecycle.dockerfile.running import (
    BindMount,
    CacheMount,
    RunOrder,
    RunTools,
    Script,
    Secret,
    SecretMount,
    StepFailed,
    TmpfsMount,
    run_step,
)
from lifecycle.dockerfile.running.errors import BadMount, NotAllowed, NotPossibleHere, SecretMissing, UnknownUser
from lifecycle.events import Message, RecordingSink
from lifecycle.sandbox import Sandbox
from lifecycle.testing.busybox import busybox_rootfs
from lifecycle.testing.rungs import RungMissing, on_rung


class Stage:
    """A prepared root, as the snapshotter gives one."""

    def __init__(self, path: Path) -> None:
        self.path = path


class Bench:
    """What a test's body works with: a root, a context, and the tools of a build."""

    def __init__(self, sandbox: Sandbox, place: Path) -> None:
        self.place = place
        self.rung = sandbox.rung
        self.root = busybox_rootfs(place / "root")
        self.context = place / "context"
        self.context.mkdir()
        self.sink = RecordingSink()
        self.tools = RunTools(sandbox, place / "home", self.sink)
        (place / "home").mkdir()
        self.lines: list[str] = []

    def run(self, *argv: str, tools: RunTools | None = None, **more: Any) -> list[str]:
        """The lines that the step writes."""
        self.lines = []
        order = RunOrder(argv, **more)
        run_step(order, Stage(self.root), tools or self.tools, lambda stream, line: self.lines.append(line))
        return self.lines

    def sh(self, script: str, **more: Any) -> list[str]:
        return self.run("/bin/sh", "-c", script, **more)

    def with_tools(self, **more: Any) -> RunTools:
        from dataclasses import replace

        return replace(self.tools, **more)

    def listing(self) -> dict[str, tuple[int, int]]:
        found = {}
        for here, directories, files in os.walk(self.root):
            for name in (*directories, *files):
                path = os.path.join(here, name)
                found[os.path.relpath(path, self.root)] = (os.lstat(path).st_mode, os.lstat(path).st_mtime_ns)
        return found


Everywhere = Callable[[Callable[[Bench], Any]], Any]


@pytest.fixture(params=["mountns", "userns", "subids", "single", "chroot"])
def everywhere(request: pytest.FixtureRequest) -> Everywhere:
    """Runs a body on every rung."""
    return lambda body: _on(request.param, body)


@pytest.fixture
def in_chroot() -> Everywhere:
    return lambda body: _on("chroot", body)


@pytest.fixture(params=["mountns", "single"])
def in_namespaces(request: pytest.FixtureRequest) -> Everywhere:
    return lambda body: _on(request.param, body)


def _on(kind: Any, body: Callable[[Bench], Any]) -> Any:
    try:
        return on_rung(kind, lambda sandbox, place: body(Bench(sandbox, place)))
    except RungMissing as missing:
        pytest.skip(str(missing))


def caught(call: Callable[[], object]) -> tuple[str, str, int, str | None]:
    try:
        call()
    except Exception as error:
        found: Any = error
        return type(error).__name__, str(error), getattr(error, "exit_code", 0), getattr(found, "details", None)
    return "nothing", "", 0, None


# ---- who, where, how it ends ---------------------------------------------------------------------------------------


def test_step_runs_as_root_with_its_home_and_path(everywhere: Everywhere) -> None:
    got = everywhere(lambda b: b.sh("id -u; echo $HOME; echo $PATH; pwd", cwd="/tmp"))
    assert got == ["0", "/root", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/tmp"]


def test_user_of_the_image_gets_its_ids_groups_and_home(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        return b.rung.ids, b.sh("id -u; id -g; echo $HOME", user="user"), b.sh("id -G", user="user")

    ids, own, groups = everywhere(body)
    assert own == ["1000", "1000", "/home/user"]
    assert ids == "single" or groups == ["1000 10"]


def test_explicit_group_drops_the_other_groups(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        return b.rung.ids, b.sh("id -u; id -G", user="user:wheel"), b.sh("id -u; id -g", user="4321:99")

    ids, named, numbers = everywhere(body)
    assert named[0] == "1000" and (ids == "single" or named[1] == "10")
    assert numbers == ["4321", "99"]


def test_failure_tells_exit_code_and_last_lines(everywhere: Everywhere) -> None:
    name, text, code, details = everywhere(
        lambda b: caught(lambda: b.sh("for i in $(seq 30); do echo line $i; done; exit 7"))
    )
    assert (name, code) == ("StepFailed", 7) and "exit code 7" in text
    assert details is not None and details.splitlines() == [f"line {n}" for n in range(11, 31)]


def test_time_limit_and_signal_are_told_in_words(in_namespaces: Everywhere) -> None:
    def body(b: Bench) -> Any:
        return caught(lambda: b.sh("sleep 9", timeout=0.2)), caught(lambda: b.sh("kill -9 $$"))

    late, killed = in_namespaces(body)
    assert "ended after 0.2 s" in late[1] and late[2] == 143
    assert "SIGKILL" in killed[1] and killed[2] == 137


def test_missing_working_directory_is_an_error(everywhere: Everywhere) -> None:
    assert "/nowhere cannot be the working directory" in everywhere(
        lambda b: caught(lambda: b.sh("true", cwd="/nowhere"))[1]
    )


def test_setuid_program_works_within_the_bounding_set(in_namespaces: Everywhere) -> None:
    def body(b: Bench) -> Any:
        rows = dict(line.split(":\t", 1) for line in b.sh("cat /proc/self/status", user="user") if ":\t" in line)
        return rows["NoNewPrivs"], rows["Seccomp"], int(rows["CapBnd"], 16), int(rows["CapEff"], 16)

    assert in_namespaces(body) == ("0", "2", 0x800405FB, 0)


def test_host_name_is_what_the_order_says(in_namespaces: Everywhere) -> None:
    assert in_namespaces(lambda b: b.sh("hostname") + b.sh("hostname", hostname="mine")) == ["buildkitsandbox", "mine"]


def test_insecure_step_wants_a_permission_and_then_has_every_capability(in_namespaces: Everywhere) -> None:
    def body(b: Bench) -> Any:
        refused = caught(lambda: b.sh("true", security="insecure"))[0]
        tools = b.with_tools(allowed=frozenset({"security.insecure"}))
        said = b.sh("mount -t tmpfs none /tmp && echo mounted", security="insecure", tools=tools)
        return refused, said

    assert in_namespaces(body) == ("NotAllowed", ["mounted"])


def test_network_none_has_no_network(in_namespaces: Everywhere) -> None:
    got = in_namespaces(lambda b: b.sh("ls /sys/class/net 2>/dev/null; cat /proc/net/dev | wc -l", network="none"))
    assert got[-1] == "3"


def test_network_none_without_namespaces_is_refused_or_degraded(in_chroot: Everywhere) -> None:
    def body(b: Bench) -> Any:
        refused = caught(lambda: b.sh("true", network="none"))[0]
        b.sh("true", network="none", tools=b.with_tools(allow_degraded=True))
        return refused, [event.level for event in b.sink.events if isinstance(event, Message)]

    assert in_chroot(body) == ("NotPossibleHere", ["warning"])


def test_heredoc_script_is_run_where_it_says(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        script = Script("EOF", b"#!/bin/sh\necho from $0; (echo x >> $0) 2>/dev/null || echo read-only\n")
        before = set(b.listing())
        return b.run(script.target, scripts=(script,), user="user"), set(b.listing()) ^ before

    said, left = everywhere(body)
    assert said == ["from /dev/pipes/EOF", "read-only"] and left == set()


# ---- bind ----------------------------------------------------------------------------------------------------------


def test_bind_of_the_context_is_read_only_and_leaves_nothing(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        (b.context / "sub").mkdir()
        (b.context / "sub/file").write_text("hello\n")
        before = set(b.listing())
        mounts = (
            BindMount("/made/for/it", HostTree(b.context), "sub"),
            BindMount("/one", HostTree(b.context), "sub/file"),
        )
        said = b.sh("cat /made/for/it/file /one; echo no > /made/for/it/new; echo $?", mounts=mounts)
        return b.rung.can_mount, said, set(b.listing()) ^ before, sorted(os.listdir(b.context / "sub"))

    mounts, said, left, source = everywhere(body)
    assert said[:2] == ["hello", "hello"] and left == set() and source == ["file"]
    assert not mounts or said[-1] != "0"


def test_writes_to_a_bind_are_discarded(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        (b.context / "file").write_text("old\n")
        mount = BindMount("/src", HostTree(b.context), read_only=False)
        said = b.sh("echo new > /src/file; rm -f /src/gone; touch /src/more; cat /src/file", mounts=(mount,))
        return said, (b.context / "file").read_text(), os.listdir(b.context), b.sh("ls /src; true")[-1]

    said, left, names, gone = everywhere(body)
    assert (said, left, names) == (["new"], "old\n", ["file"]) and "No such file" in gone


def test_ignored_files_are_not_shown(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        for name in ("kept", "hidden.log"):
            (b.context / name).write_text(name)
        tree = HostTree(b.context, IgnoreRules.parse(b"*.log\n", ".dockerignore"))
        hidden = caught(lambda: b.sh("true", mounts=(BindMount("/x", tree, "hidden.log"),)))
        return b.sh("ls /src", mounts=(BindMount("/src", tree),)), hidden

    shown, hidden = everywhere(body)
    assert shown == ["kept"] and hidden[0] == "BadMount" and "ignore file" in hidden[1]


def test_bind_of_another_stage_keeps_its_links_inside(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        stage = b.place / "stage"
        (stage / "real").mkdir(parents=True)
        (stage / "real/file").write_text("staged\n")
        (stage / "link").symlink_to("/real")
        (stage / "out").symlink_to("../../../../etc")
        said = b.sh("cat /s/file", mounts=(BindMount("/s", Stage(stage), "link"),))
        return said, caught(lambda: b.sh("ls /s", mounts=(BindMount("/s", Stage(stage), "out"),)))

    said, out = everywhere(body)
    assert said == ["staged"] and out[0] == "BadMount" and "out is not in the stage or image" in out[1]


def test_target_is_resolved_inside_the_root_and_may_not_be_the_root(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        (b.context / "f").write_text("x\n")
        (b.root / "link").symlink_to("/../../tmp")
        tree = HostTree(b.context)
        said = b.sh("cat /tmp/here/f", mounts=(BindMount("/link/here", tree),))
        relative = b.sh("cat /tmp/rel/f", cwd="/tmp", mounts=(BindMount("rel", tree),))
        return said, relative, caught(lambda: b.sh("true", mounts=(BindMount("/tmp/..", tree),)))[0]

    assert everywhere(body) == (["x"], ["x"], "BadMount")


# ---- cache, tmpfs --------------------------------------------------------------------------------------------------


def test_cache_survives_the_step_and_is_in_no_layer(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        mount = CacheMount("/var/cache/x", "my/cache")
        before = set(b.listing())
        b.sh("echo kept > /var/cache/x/file", mounts=(mount,))
        left = set(b.listing()) ^ before
        return b.sh("cat /var/cache/x/file; stat -c %a /var/cache/x", mounts=(mount,)), left

    assert everywhere(body) == (["kept", "755"], set())


def test_new_cache_has_mode_owner_and_seed(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        (b.context / "seed").mkdir()
        (b.context / "seed/s").write_text("seeded\n")
        mount = CacheMount("/c", "c", mode=0o700, uid=1000, gid=1000, seed=(HostTree(b.context), "seed"))
        return b.rung.ids, b.sh("cat /c/s; stat -c '%a %u' /c", mounts=(mount,), user="user")

    ids, said = everywhere(body)
    assert said[0] == "seeded" and (ids == "single" or said[1] == "700 1000")


def test_tmpfs_is_empty_each_time(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        (b.root / "tmp/old").write_text("")
        mount = TmpfsMount("/tmp", 1 << 20)
        first = b.sh("ls /tmp; touch /tmp/new; stat -c %a /tmp", mounts=(mount,))
        return first, b.sh("ls /tmp", mounts=(mount,)), sorted(os.listdir(b.root / "tmp"))

    assert everywhere(body) == (["1777"], [], ["old"])


def test_tmpfs_has_its_size(in_namespaces: Everywhere) -> None:
    got = in_namespaces(
        lambda b: b.sh(
            "dd if=/dev/zero of=/t/x bs=1k count=200 2>/dev/null; stat -c %s /t/x", mounts=(TmpfsMount("/t", 64 << 10),)
        )
    )
    assert got == ["65536"]


def test_mount_options_hold(in_namespaces: Everywhere) -> None:
    def body(b: Bench) -> Any:
        script = "cp /bin/busybox {0}/true && {0}/true 2>/dev/null; echo $?"
        memory = b.sh(script.format("/t"), mounts=(TmpfsMount("/t", options=("noexec",)),))
        return memory, b.sh(script.format("/c"), mounts=(CacheMount("/c", "c", options=("noexec", "nosuid")),))

    assert in_namespaces(body) == (["126"], ["126"])


def test_mount_options_without_mounts_are_refused(in_chroot: Everywhere) -> None:
    mount = CacheMount("/c", "c", options=("noexec",))
    assert in_chroot(lambda b: caught(lambda: b.sh("true", mounts=(mount,)))[0]) == "NotPossibleHere"


# ---- secrets -------------------------------------------------------------------------------------------------------


def test_secret_is_seen_by_the_step_masked_in_its_output_and_then_gone(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        (b.place / "key").write_text("s3cr3t-value\n")
        tools = b.with_tools(secrets={"key": Secret("key", str(b.place / "key"))})
        mount = SecretMount("key", "/run/secrets/key", env="KEY")
        before = set(b.listing())
        said = b.sh("cat /run/secrets/key; echo ${#KEY}; stat -c %a /run/secrets/key", mounts=(mount,), tools=tools)
        found = [str(p) for p in b.place.rglob("*") if p.is_file() and p.name != "key" and b"s3cr3t" in p.read_bytes()]
        return said, set(b.listing()) ^ before, found

    assert everywhere(body) == (["***", "13", "400"], set(), [])


def test_missing_secret_is_passed_over_unless_required(everywhere: Everywhere) -> None:
    def body(b: Bench) -> Any:
        optional = b.sh("ls /run/secrets 2>/dev/null; echo ok", mounts=(SecretMount("no", "/run/secrets/no"),))
        required = SecretMount("no", "/run/secrets/no", required=True)
        return optional, caught(lambda: b.sh("true", mounts=(required,)))[0]

    assert everywhere(body) == (["ok"], "SecretMissing")


def test_unknown_user_is_named_with_the_near_one(in_chroot: Everywhere) -> None:
    name, text, _, _ = in_chroot(lambda b: caught(lambda: b.sh("true", user="usr")))
    assert name == "UnknownUser" and "'user'" in text


USED = (BadMount, NotAllowed, NotPossibleHere, SecretMissing, StepFailed, UnknownUser)
