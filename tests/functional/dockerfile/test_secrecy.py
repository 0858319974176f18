"""What is secret stays secret: its value is in nothing that a build writes or says, whatever the step does with it."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfile_command import Pylife

from lifecycle.testing.registry import FaultyRegistry

pytestmark = pytest.mark.functional

FILE = "a-file-s3cret-8c1f"
ENV = "a-variable-s3cret-77d2"
LINES = "first-s3cret-line-1b\nsecond-s3cret-line-4e\n"
RUNGS = ["auto", "chroot"] if os.geteuid() == 0 else ["auto"]

_DOCKERFILE = """\
FROM base
RUN --mount=type=secret,id=file,required cat /run/secrets/file; echo "<$(cat /run/secrets/file)>" >&2; \\
    wc -c < /run/secrets/file > /sizes; head -c 9 /dev/urandom > /made
RUN --mount=type=secret,id=variable,env=TOKEN,required echo "token=$TOKEN"; env; set -x; : "$TOKEN"; \\
    echo ${#TOKEN} >> /sizes
RUN --mount=type=secret,id=lines,target=/etc/netrc,mode=0444 cat /etc/netrc; wc -l < /etc/netrc >> /sizes
RUN --mount=type=ssh,required test -S "$SSH_AUTH_SOCK" && echo "agent at $SSH_AUTH_SOCK"
"""
_FAILING = "RUN --mount=type=secret,id=file --mount=type=secret,id=variable,env=TOKEN cat /run/secrets/file; "
_FAILING += 'echo "$TOKEN"; false\n'


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The context; beside it are the secrets, and a key without a passphrase."""
    place = tmp_path / "context"
    place.mkdir()
    (place / "Dockerfile").write_text(_DOCKERFILE)
    (tmp_path / "file").write_text(FILE)
    (tmp_path / "lines").write_text(LINES)
    if not shutil.which("ssh-keygen"):
        pytest.skip("there is no ssh-keygen to make a key")
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")]
    subprocess.run(words, check=True, capture_output=True)
    return place


def _words(context: Path, *args: str | Path) -> list[str | Path]:
    beside = context.parent
    secrets = (f"id=file,src={beside / 'file'}", "id=variable,env=A_TOKEN", f"id=lines,src={beside / 'lines'}")
    given = [word for secret in secrets for word in ("--secret", secret)]
    words = ["build", "--app", context, "-f", context / "Dockerfile", "-t", "demo"]
    return [*words, *given, "--ssh", f"default={beside / 'key'}", *args]


def _needles(context: Path) -> list[bytes]:
    key = (context.parent / "key").read_bytes().splitlines()[1:-1]
    return [FILE.encode(), ENV.encode(), *LINES.encode().split(), *key]


def _contents(place: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a directory and its name, what is compressed also as it is inside."""
    for path in (path for path in place.rglob("*") if path.is_file() and not path.is_symlink()):
        data = path.read_bytes()
        yield str(path), os.fsencode(path) + data
        if data.startswith(b"\x1f\x8b"):
            yield f"{path}, decompressed", gzip.decompress(data)


def _leaks(context: Path, *places: Path) -> list[str]:
    needles = _needles(context)
    return [name for place in places for name, data in _contents(place) if any(each in data for each in needles)]


def _says(context: Path, text: str) -> list[str]:
    return [needle.decode() for needle in _needles(context) if needle.decode() in text]


@pytest.mark.parametrize("isolation", RUNGS)
@pytest.mark.parametrize("progress", ["plain", "json"])
def test_no_secret_is_in_anything_that_a_build_leaves_or_says(
    busybox: Pylife, context: Path, tmp_path: Path, isolation: str, progress: str
) -> None:
    registry_folder, out = tmp_path / "registry", tmp_path / "out"
    out.mkdir()
    with FaultyRegistry(registry_folder) as registry:
        caches = (
            f"type=local,dest={out / 'cache'},mode=max",
            f"type=registry,ref={registry.address}/cache:1,mode=max",
            "type=inline",
        )
        done = busybox.run(
            *_words(context, "--isolation", isolation, "--progress", progress, "-v", "--explain-cache"),
            *(word for cache in caches for word in ("--cache-to", cache)),
            *("--output", f"type=tar,dest={out / 'files.tar'}", "--output", f"type=oci,dest={out / 'image.tar'}"),
            env={"A_TOKEN": ENV},
        )
        assert done.returncode == 0, done.stderr
        busybox("copy", "demo", f"{registry.address}/demo:1")
    assert _says(context, done.stdout + done.stderr) == []
    assert "token=***" in done.stderr and "<***>" in done.stderr, "the step did print them"
    assert busybox("run", "demo", "--", "cat", "/sizes").split() == [str(len(FILE)), str(len(ENV)), "2"]
    assert list((out / "cache").rglob("*")) and list(registry_folder.rglob("*"))
    assert _leaks(context, busybox.home, out, registry_folder) == []
    assert _says(context, busybox("inspect", "demo")) == []


@pytest.mark.parametrize("isolation", RUNGS)
@pytest.mark.parametrize("progress", ["plain", "json"])
def test_no_secret_is_in_a_failed_step_that_is_kept(
    busybox: Pylife, context: Path, isolation: str, progress: str
) -> None:
    (context / "Dockerfile").write_text("FROM base\n" + _FAILING)
    done = busybox.run(
        *_words(context, "--isolation", isolation, "--progress", progress, "-v", "--keep-failed"), env={"A_TOKEN": ENV}
    )
    assert done.returncode == 1
    assert "***" in done.stderr and "pylife run --failed" in done.stderr
    assert _says(context, done.stdout + done.stderr) == []
    assert list((busybox.home / "failed").iterdir())
    assert _leaks(context, busybox.home) == []


def test_another_value_of_a_secret_is_the_same_step(busybox: Pylife, context: Path) -> None:
    first = busybox(*_words(context), env={"A_TOKEN": ENV})
    (context.parent / "file").write_text("another, longer value")
    (context.parent / "lines").write_text("one\n")
    assert busybox(*_words(context), env={"A_TOKEN": "something else"}) == first
    assert busybox(*_words(context, "--no-cache"), env={"A_TOKEN": ENV}) != first, "the steps were done again"
