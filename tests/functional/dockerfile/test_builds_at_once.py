"""Builds of Dockerfiles beside each other, and from registries that are broken: both right, and nothing lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dockerfile_command import Pylife

from lifecycle.testing.registry import Corrupt, Fault, FaultyRegistry, failure, html

pytestmark = pytest.mark.functional


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as server:
        yield server


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    place.mkdir()
    return place


def _words(context: Path, text: str, *args: str | Path) -> list[str]:
    """The words of a build of ``text`` in ``context`` as ``demo``."""
    file = context.parent / f"Dockerfile.{abs(hash(text))}"
    file.write_text(text)
    name = () if "-t" in args else ("-t", "demo")
    return ["build", "--app", str(context), "-f", str(file), *name, *map(str, args)]


@pytest.mark.parametrize("sharing", ["locked", "private"])
def test_two_builds_at_once_share_a_cache_mount_as_it_says(busybox: Pylife, context: Path, sharing: str) -> None:
    def text(word: str) -> str:
        mount = f"--mount=type=cache,target=/c,id=c,sharing={sharing}"
        return (
            f"FROM base\nRUN {mount} cd /c; ls > /before; touch {word}.here; sleep 0.7; ls > /seen; rm {word}.here; "
            f"echo {word} >> log\nRUN echo {word} > /word\nCMD cat /word /seen\n"
        )

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(busybox, *_words(context, text(word), "-t", word)) for word in ("one", "two")]
        assert all(job.result() for job in jobs)
    seen = {word: busybox("run", word).split() for word in ("one", "two")}
    assert [seen[word][0] for word in seen] == ["one", "two"]
    assert not any({"one.here", "two.here"} <= set(words) for words in seen.values())
    assert any("log" in words for words in seen.values()) is (sharing == "locked")


def test_two_builds_of_the_same_at_once_give_the_same(busybox: Pylife, context: Path) -> None:
    (context / "file").write_bytes(os.urandom(3_000_000))
    text = "FROM base\nCOPY file /file\nRUN sleep 0.5; sha256sum /file > /sum\nCMD cat /sum\n"
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(busybox, *_words(context, text)) for _ in range(3)]
        assert len({job.result() for job in jobs}) == 1
    busybox("validate", "demo")
    assert busybox("run", "demo").endswith("  /file\n")


@pytest.mark.parametrize(
    "fault",
    [html(), failure(401), failure(500), failure(403, "DENIED", "no entry"), Corrupt(5)],
    ids=["html", "401", "500", "403", "corrupt"],
)
def test_a_broken_registry_of_the_base_is_called_by_its_name(
    busybox: Pylife, context: Path, registry: FaultyRegistry, fault: Fault
) -> None:
    busybox("copy", "base", f"{registry.address}/base:1")
    busybox(*_words(context, "FROM base\nRUN echo old > /word\n"))
    before = busybox("inspect", "demo")
    registry.fault(fault, times=None)
    done = busybox.run(*_words(context, f"FROM {registry.address}/base:1\nRUN echo new > /word\n"))
    assert done.returncode == 1
    assert registry.address in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr and "pylife has a fault" not in done.stderr
    assert busybox("inspect", "demo") == before
