"""The same contexts and Dockerfiles, made by chance, built by pylife and by Buildah: the same files, the same config.

What is compared is read by Buildah's own storage in both cases. The differences that remain are those where BuildKit,
which pylife follows, differs from Buildah; each is named in DIFFERENCES with the rule that takes it out.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dockerfile_command import Pylife
from generated import generate

SEEDS = range(int(os.environ.get("PYLIFE_TEST_SEEDS", "24")))  # more of them for a soak
GROUPS = [SEEDS[start : start + 8] for start in range(0, len(SEEDS), 8)]

#: property of the config → what differs between BuildKit and Buildah, and how that is taken out before comparing
DIFFERENCES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Labels": (
        "Buildah adds a label with its version",
        lambda labels: {key: value for key, value in labels.items() if key != "io.buildah.version"},
    ),
    "WorkingDir": ("BuildKit writes / where nothing was said", lambda path: "" if path == "/" else path),
}


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


_THEIR_RACE = "sealing memfd copy"
"""Seen once in some thousands of Buildah's RUNs on a busy machine: it cannot seal the copy of itself, and gives up."""


@pytest.fixture(scope="module")
def buildah(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Buildah with a storage of its own, which has the base image ``localhost/base``."""
    if os.geteuid() != 0:
        pytest.skip("reading Buildah's storage needs root")
    program = tool("buildah")
    place = tmp_path_factory.mktemp("buildah")

    def call(*args: str | Path, cwd: Path | None = None) -> str:
        words = (program, "--root", place / "root", "--runroot", place / "run", *args)
        try:
            return _run(*words, cwd=cwd)
        except AssertionError as error:
            if _THEIR_RACE not in str(error):
                raise
            return _run(*words, cwd=cwd)

    yield call
    subprocess.run([program, "--root", place / "root", "--runroot", place / "run", "rm", "-a"], capture_output=True)
    subprocess.run(["umount", place / "root" / "overlay"], capture_output=True)


@pytest.fixture(scope="module")
def base(buildah: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base image as an OCI layout, made by Buildah."""
    from lifecycle.testing.busybox import busybox_rootfs

    place = tmp_path_factory.mktemp("base")
    rootfs = place / "rootfs"
    busybox_rootfs(rootfs)
    (rootfs / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nann:x:7:9:Ann:/home/ann:/bin/sh\n")
    (rootfs / "etc" / "group").write_text("root:x:0:\nstaff:x:9:\nextra:x:12:ann\n")
    for folder in ("home/ann", "srv", "made"):  # what the Dockerfiles copy from other stages
        (rootfs / folder).mkdir(parents=True, exist_ok=True)
    (rootfs / "made" / "before").write_text("by the base\n")
    (rootfs / "made" / "before").chmod(0o604)
    (rootfs / "tmp").mkdir(exist_ok=True)
    (rootfs / "tmp").chmod(0o1777)
    container = buildah("from", "scratch")
    buildah("add", "-q", container, rootfs, "/")
    buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", "--cmd", "sh", container)
    buildah("commit", "-q", container, "localhost/base")
    buildah("push", "-q", "localhost/base", f"oci:{place / 'image'}:base")
    return place / "image"


@pytest.mark.parametrize("seeds", GROUPS, ids=lambda seeds: f"seeds {seeds[0]}-{seeds[-1]}")
def test_builds_what_buildah_builds(
    seeds: range, buildah: Callable[..., str], base: Path, pylife_home: Pylife, tmp_path: Path
) -> None:
    pylife_home("copy", f"oci:{base}:base", "base")
    wrong = []
    for seed in seeds:
        made = generate(seed, tmp_path / f"context{seed}")
        trees = _build_both(seed, made.context, made.text, buildah, pylife_home, tmp_path)
        if isinstance(trees, str):
            wrong.append(f"seed {seed}: {trees}\n{made.text}")
            continue
        wrong += [f"seed {seed}: {line}\n{made.text}" for line in _differences(*trees)]
    assert not wrong, "\n".join(wrong[:20])


def _build_both(
    seed: int, context: Path, text: str, buildah: Callable[..., str], pylife: Pylife, place: Path
) -> tuple[tuple[dict[str, Any], Any], tuple[dict[str, Any], Any]] | str:
    """(files, config) of ours and theirs; a message when only one of them can build it."""
    ours, theirs = place / "Dockerfile.ours", place / "Dockerfile.theirs"
    ours.write_text(text.replace("{base}", "base"))
    theirs.write_text(text.replace("{base}", "localhost/base"))
    failures = []
    try:
        pylife("build", "--app", context, "--dockerfile", ours, "--image", f"ours{seed}", "-q")
    except AssertionError as error:
        failures.append(f"pylife: {error}")
    try:
        buildah("build", "-q", "--isolation", "chroot", "--pull-never", "-f", theirs, "-t", f"theirs{seed}", context)
    except AssertionError as error:
        failures.append(f"buildah: {error}")
    if len(failures) == 1:
        return f"only one builder fails: {failures[0][-1500:]}"
    if failures:
        return ({}, {}), ({}, {})
    layout = place / "ours"
    pylife("copy", f"ours{seed}", f"oci:{layout}:{seed}")
    buildah("pull", "-q", f"oci:{layout}:{seed}")
    image = buildah("images", "-q").splitlines()[0]
    return _look(image, buildah), _look(f"localhost/theirs{seed}", buildah)


def _look(image: str, buildah: Callable[..., str]) -> tuple[dict[str, Any], Any]:
    container = buildah("from", "--pull-never", image)
    root = Path(buildah("mount", container))
    try:
        return _tree(root), json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
    finally:
        buildah("umount", container)
        buildah("rm", container)


def _tree(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for here, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(here, name)
            status = os.lstat(path)
            what: list[Any] = [stat.filemode(status.st_mode), status.st_uid, status.st_gid]
            if stat.S_ISREG(status.st_mode):
                what += [status.st_size, hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12], status.st_nlink]
            elif stat.S_ISLNK(status.st_mode):
                what = ["link", status.st_uid, status.st_gid, os.readlink(path)]
            found[os.path.relpath(path, root)] = what
    return found


def _differences(ours: tuple[dict[str, Any], Any], theirs: tuple[dict[str, Any], Any]) -> Iterator[str]:
    for name in sorted({*ours[0], *theirs[0]}):
        if ours[0].get(name) != theirs[0].get(name):
            yield f"/{name}: pylife {ours[0].get(name)}, buildah {theirs[0].get(name)}"
    mine, other = _normal(ours[1]), _normal(theirs[1])
    for key in sorted({*mine, *other}):
        if mine.get(key) != other.get(key):
            yield f"config.{key}: pylife {mine.get(key)}, buildah {other.get(key)}"


def _normal(config: dict[str, Any]) -> dict[str, Any]:
    """What is compared: absent and empty mean the same."""
    for key, (_, without) in DIFFERENCES.items():
        if key in config:
            config[key] = without(config[key])
    return {key: value for key, value in config.items() if value}
