"""mmdebstrap as a process, with a stand-in on PATH that behaves as the real one does in each situation."""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from lifecycle.builder import mmdebstrap
from lifecycle.builder.definition import StackDefinition, load_stack
from lifecycle.builder.mmdebstrap import (
    BootstrapFailed,
    MissingTool,
    UnknownPackage,
    UnreachableMirror,
    UntrustedMirror,
    bootstrap,
    choose_mode,
    command,
    environment,
    mapped_ids,
)
from lifecycle.builder.share import shared
from lifecycle.builder.stack import create_stack
from lifecycle.errors import PylifeError
from lifecycle.events import Message, RecordingSink, Step, StepProgress
from lifecycle.store import LocalStore


@pytest.fixture
def stack() -> StackDefinition:
    return load_stack(shared("stacks") / "bookworm")


class Host:
    """A host whose mmdebstrap is a shell script."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = root / "bin"
        self.bin.mkdir()
        self.sink = RecordingSink()
        monkeypatch.setenv("PATH", f"{self.bin}:/usr/bin:/bin")
        for name in ("MERGED_USR", "KEYRING"):
            (root / name).mkdir()
            monkeypatch.setattr(mmdebstrap, name, root / name)
        for tool in ("fakechroot", "fakeroot"):
            self.tool(tool, "exit 1")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("etc"))
        (root / "good.tar").write_bytes(out.getvalue())
        self.good = root / "good.tar"

    def tool(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, stack: StackDefinition, script: str) -> bytes:
        self.tool("mmdebstrap", script)
        self.tool("unshare", 'while [ "$1" != mmdebstrap ]; do shift; done; exec "$@"')
        with bootstrap(stack, "run", self.sink, Step(self.sink, "stack/run")) as stream:
            return stream.read()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_stream_lines_and_progress_arrive(host: Host, stack: StackDefinition) -> None:
    lines = ["Setting up dash (1) ...", "I: installing remaining packages inside the chroot..."]
    lines += ["0 upgraded, 2 newly installed, 0 to remove.", "Setting up bash (5) ...", "Setting up zlib1g (1) ..."]
    said = "\n".join(f"echo '{line}' >&2" for line in lines)
    assert host.run(stack, f"{said}\ncat {host.good}") == host.good.read_bytes()
    assert [event.text for event in host.sink.events if isinstance(event, Message)] == [
        f"stack/run: {line}" for line in lines
    ]
    progress = [event for event in host.sink.events if isinstance(event, StepProgress)]
    assert [(event.done, event.total) for event in progress] == [(1, None), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("Err:1 http://mirror.test bookworm: Could not resolve mirror.test", UnreachableMirror, "Could not resolve"),
        ("E: Failed to fetch http://mirror.test 503", UnreachableMirror, "503"),
        ("E: Unable to locate package libnothing", UnknownPackage, "libnothing"),
        ("E: The repository 'http://mirror.test' is not signed.", UntrustedMirror, "is not signed"),
        ("tar: ./usr/bin/x: Cannot write: No space left on device", BootstrapFailed, "No space left"),
        ("E: something else", BootstrapFailed, "something else"),
    ],
)
def test_failure_says_why(host: Host, stack: StackDefinition, line: str, error: type[PylifeError], says: str) -> None:
    with pytest.raises(error) as caught:
        host.run(stack, f'echo "{line}" >&2; exit 1')
    assert says in f"{caught.value}"
    assert line in (caught.value.details or "")


def test_a_failure_in_the_middle_of_the_stream_is_the_process_own(host: Host, stack: StackDefinition) -> None:
    host.tool("mmdebstrap", f"head -c 700 {host.good}; echo 'E: broke off' >&2; exit 1")
    host.tool("unshare", 'while [ "$1" != mmdebstrap ]; do shift; done; exec "$@"')
    with (
        pytest.raises(BootstrapFailed, match="broke off"),
        bootstrap(stack, "run", host.sink, Step(host.sink, "stack/run")) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        tar.getmembers()
        raise OSError("the stream ended early")


def test_a_failure_of_ours_ends_the_process_and_stays_ours(host: Host, stack: StackDefinition) -> None:
    pid = host.bin / "pid"
    host.tool("mmdebstrap", f"echo $$ >{pid}; cat {host.good}; exec cat /dev/zero")
    host.tool("unshare", 'while [ "$1" != mmdebstrap ]; do shift; done; exec "$@"')
    with (
        pytest.raises(ValueError, match="ours"),
        bootstrap(stack, "run", host.sink, Step(host.sink, "stack/run")) as stream,
    ):
        stream.read(10)
        raise ValueError("ours")
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_an_interrupt_does_not_wait(host: Host, stack: StackDefinition) -> None:
    host.tool("mmdebstrap", "exec sleep 60")
    host.tool("unshare", 'while [ "$1" != mmdebstrap ]; do shift; done; exec "$@"')
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), bootstrap(stack, "run", host.sink, Step(host.sink, "stack/run")):
        raise KeyboardInterrupt
    assert time.monotonic() - began < 10


def test_missing_mmdebstrap_names_the_apt_line(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmdebstrap, "_path", lambda: str(host.bin))
    with pytest.raises(MissingTool) as caught:
        choose_mode()
    assert "apt-get install mmdebstrap" in caught.value.fix


def test_missing_keyring_names_the_apt_line(
    host: Host, stack: StackDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmdebstrap, "KEYRING", host.bin / "none.gpg")
    with pytest.raises(UntrustedMirror) as caught:
        host.run(stack, "exit 0")
    assert "debian-archive-keyring" in caught.value.fix


def test_proxies_pass_and_what_could_change_the_result_does_not() -> None:
    outer = {"HTTPS_PROXY": "http://p", "no_proxy": "x", "TMPDIR": "/t", "LC_ALL": "de", "PERL5LIB": "/x", "DEBUG": "1"}
    env = environment(outer)
    assert {key: env.get(key) for key in ("HTTPS_PROXY", "no_proxy", "TMPDIR")} == {
        "HTTPS_PROXY": "http://p",
        "no_proxy": "x",
        "TMPDIR": "/t",
    }
    assert env["LC_ALL"] == "C.UTF-8"
    assert not {"PERL5LIB", "DEBUG"} & set(env)


def test_mirror_comes_last_and_may_be_several(stack: StackDefinition) -> None:
    argv = command(stack, "run", "root", "http://one.test/debian,deb [arch=amd64,arm64] http://two.test x main")
    assert argv[-4:] == ["bookworm", "-", "http://one.test/debian", "deb [arch=amd64,arm64] http://two.test x main"]
    assert command(stack, "run", "root")[-1] == "-"


def test_commands_reach_the_shell_inside_as_one_word(stack: StackDefinition) -> None:
    hooks = [item for item in command(stack, "build", "root") if item.startswith("--customize-hook")]
    assert len(hooks) == len(stack.build.commands) > 0
    assert all(hook.startswith('--customize-hook=chroot "$1" /bin/sh -c ') for hook in hooks)


def test_ids_of_a_namespace_are_counted() -> None:
    assert mapped_ids("         0          0 4294967295\n") == 4294967295
    assert mapped_ids("0 1000 1\n1 100000 65536\n") == 65537
    assert mapped_ids("0 1000 1\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root finds itself in the initial namespace here")
def test_root_needs_no_tricks(host: Host) -> None:
    host.tool("mmdebstrap", "exit 0")
    expected = "root" if mapped_ids(Path("/proc/self/uid_map").read_text()) > 1000 else "fakechroot"
    assert choose_mode() == expected


def test_when_one_image_fails_the_other_is_given_up_at_once(host: Host, stack: StackDefinition, tmp_path: Path) -> None:
    marker = f"--include={','.join(('usr-is-merged', *stack.run.packages))}"
    script = f'for a; do [ "$a" = "{marker}" ] && {{ sleep 0.3; echo "E: only the run image" >&2; exit 1; }}; done'
    host.tool("mmdebstrap", f"{script}\nsleep 60 & wait")
    host.tool("unshare", 'while [ "$1" != mmdebstrap ]; do shift; done; exec "$@"')
    began = time.monotonic()
    with pytest.raises(BootstrapFailed, match="only the run image"):
        create_stack(stack, LocalStore(tmp_path / "store"), host.sink)
    assert time.monotonic() - began < 15
    assert LocalStore(tmp_path / "store").items() == []


def test_a_missing_base_is_made_with_the_stack_and_found_afterwards(host: Host, tmp_path: Path) -> None:
    host.tool("mmdebstrap", f'echo run >> {tmp_path}/runs; cat "{host.good}"')
    host.tool("unshare", 'while [ "$1" != mmdebstrap ]; do shift; done; exec "$@"')
    store, stack = LocalStore(tmp_path / "store"), load_stack(shared("stacks") / "slug")
    images = create_stack(stack, store, host.sink)
    names = sorted(ref.familiar for ref, _ in store.items())
    assert names == ["pylife/bookworm-build:latest", "pylife/slug-build:latest", "pylife/slug-run:latest"]
    assert (len(images["build"].layers), len(images["run"].layers)) == (2, 1)
    assert len((tmp_path / "runs").read_text().split()) == 2
    create_stack(stack, store, host.sink, kinds=("build",))
    assert len((tmp_path / "runs").read_text().split()) == 2, "the base is there: nothing is installed"


def test_a_stack_on_what_is_there_needs_no_mmdebstrap(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.tool("mmdebstrap", f'cat "{host.good}"')
    host.tool("unshare", 'while [ "$1" != mmdebstrap ]; do shift; done; exec "$@"')
    store = LocalStore(tmp_path / "store")
    create_stack(load_stack(shared("stacks") / "bookworm"), store, host.sink, kinds=("build",))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert create_stack(load_stack(shared("stacks") / "slug"), store, host.sink, kinds=("build",))
    with pytest.raises(MissingTool):
        create_stack(load_stack(shared("stacks") / "slug"), store, host.sink)
