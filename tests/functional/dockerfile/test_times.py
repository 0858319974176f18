"""Times of files: one for all in a layer, so that digests do not depend on them; the real ones during a build."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dockerfile_command import Pylife

from lifecycle.testing.busybox import busybox_rootfs

_COMPILE = (
    "for s in src/*; do o=/objects/${s#src/}; [ -e $o ] && [ ! $s -nt $o ] || { echo compile $s; cp $s $o; }; done"
)


def _context(place: Path, pylife: Pylife) -> Path:
    base = place / "base"
    busybox_rootfs(base / "rootfs")
    (base / "Dockerfile").write_text("FROM scratch\nCOPY rootfs /\n")
    pylife.build(base, "--image", "base")
    context = place / "context"
    (context / "src").mkdir(parents=True)
    for name in ("one", "two"):
        (context / "src" / name).write_text(name)
        os.utime(context / "src" / name, (1_600_000_000, 1_600_000_000))
    return context


def test_sources_copied_anew_are_newer_than_what_a_cache_mount_has(pylife_home: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, pylife_home)
    (context / "Dockerfile").write_text(
        f"FROM base\nCOPY src/ src/\nRUN --mount=type=cache,target=/objects {_COMPILE}; cat /objects/* > /program\n"
    )

    def compiled() -> list[str]:
        command = ("build", "--app", context, "--dockerfile", context / "Dockerfile", "--image", "x")
        said = pylife_home.run(*command, "--progress", "plain")
        assert said.returncode == 0, said.stderr
        return [line.split("compile ")[1] for line in said.stderr.splitlines() if "] compile" in line]

    assert compiled() == ["src/one", "src/two"]
    time.sleep(1.1)  # what is changed later must be newer by the second too
    (context / "src" / "two").write_text("other")
    assert compiled() == ["src/two"]


def test_files_that_a_run_made_are_newer_than_what_a_cache_mount_has(pylife_home: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, pylife_home)
    newer = "{ [ ! -e /c/o ] || [ /made -nt /c/o ]; } && cp /made /c/o"
    text = "FROM base\nRUN echo CONTENT > /made\nRUN --mount=type=cache,target=/c " + newer + "\n"
    for content in ("one", "two"):
        (context / "Dockerfile").write_text(text.replace("CONTENT", content))
        pylife_home.build(context, "--image", "x")
        time.sleep(1.1)  # busybox compares whole seconds


def test_times_of_sources_change_no_digest(pylife_home: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, pylife_home)
    (context / "Dockerfile").write_text("FROM base\nCOPY src/ src/\nRUN cp -p src/one three && date > /dev/null\n")
    before = pylife_home.build(context, "--image", "x")
    os.utime(context / "src" / "one")
    assert pylife_home.build(context, "--image", "x", "--no-cache") == before
