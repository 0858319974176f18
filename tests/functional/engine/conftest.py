"""A real pylife in a subprocess on every rung, the default builder made once, and tiny buildpacks in shell."""

from __future__ import annotations

import errno
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pylife_command import PYLIFE, REPOSITORY, Pylife

_USER = "pylife-test"


def _default_home() -> Path:
    """Where the user's own pylife keeps its store: ``make demo`` has made the stack and the builder there."""
    if home := os.environ.get("PYLIFE_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pylife"


_HOME = _default_home()


@pytest.fixture(scope="session")
def pylife() -> Pylife:
    """pylife with the session's home, whose default builder is made on first use."""
    command = Pylife(_HOME)
    command("builder", "create", timeout=1800)
    return command


@pytest.fixture
def fresh(pylife: Pylife, tmp_path: Path) -> Pylife:
    """pylife with a home of its own that has the stack and the builder and nothing else: no cache, no app image."""
    return Pylife(_copy_store(pylife.home, tmp_path / "home"))


def _copy_store(home: Path, target: Path) -> Path:
    """A home with the builder's images only. Blobs are immutable, so links to them will do where they can be made."""
    target.mkdir(parents=True)
    (target / "store").mkdir()
    for name in ("pylife/builder", "pylife/bookworm-run", "pylife/bookworm-build"):
        Pylife(home)("copy", name, f"oci:{target / 'store'}:{name}:latest")
    return target


@pytest.fixture(scope="session")
def public_pylife(pylife: Pylife) -> Iterator[Path]:
    """A directory that every user may read: ``venv`` with pylife installed, ``home`` with the builder, ``sample``."""
    base = Path(tempfile.mkdtemp(prefix="pylife-test-", dir="/var/tmp"))
    base.chmod(0o755)
    python = next(
        path
        for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
        if (path := shutil.which(name, path="/usr/bin:/usr/local/bin")) and _is_new_enough(path)
    )
    subprocess.run([python, "-m", "venv", base / "venv"], check=True)
    subprocess.run([base / "venv" / "bin" / "pip", "install", "-q", REPOSITORY], check=True)
    _copy_store(pylife.home, base / "home")
    shutil.copytree(REPOSITORY / "samples" / "python-django", base / "sample")  # the checkout may be private
    yield base
    subprocess.run(["rm", "-rf", base], check=False)


def _is_new_enough(python: str) -> bool:
    return not subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode


@pytest.fixture
def ordinary(public_pylife: Path, tmp_path: Path) -> Iterator[Pylife]:
    """pylife as a user without privileges, with lent ids where the system lends them."""
    yield from _as_user(public_pylife, _USER)


@pytest.fixture
def ordinary_single(public_pylife: Path) -> Iterator[Pylife]:
    """pylife as a user without privileges and without lent ids."""
    yield from _as_user(public_pylife, f"{_USER}-single", lent=False)


def _as_user(base: Path, user: str, *, lent: bool = True) -> Iterator[Pylife]:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    try:
        pwd.getpwnam(user)
    except KeyError:
        subprocess.run(["useradd", "--create-home", user], check=True)
    if not lent:
        for file in ("/etc/subuid", "/etc/subgid"):
            subprocess.run(["sed", "-i", f"/^{user}:/d", file], check=True)
    place = base / user
    place.mkdir()
    subprocess.run(["cp", "-r", base / "home" / "store", place / "store"], check=True)
    subprocess.run(["chown", "-R", user, place], check=True)
    prefix = (
        *("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env", "env"),
        *(f"PYLIFE_HOME={place}", f"PATH={os.environ['PATH']}"),
    )
    yield Pylife(place, prefix, (str(base / "venv" / "bin" / "pylife"),))


_NAMESPACES_AND_MOUNTS = (
    *("unshare", "setns", "mount", "umount2", "pivot_root"),
    *("open_tree", "move_mount", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr"),
)


@pytest.fixture(params=["podman's filter", "docker's filter"])
def in_container(
    public_pylife: Path, tool: Callable[[str], str], pylife: Pylife, request: pytest.FixtureRequest
) -> Pylife:
    """pylife as root in an ordinary, unprivileged container, with default capabilities.

    Podman's filter of system calls lets it have user namespaces; Docker's, and that of most clusters, refuses
    namespaces and mounts. The container is made of the build image, which has a Python; pylife is installed into it as
    a user would.
    """
    podman, skopeo = tool("podman"), tool("skopeo")
    if os.geteuid() != 0:
        pytest.skip("starting the container needs root")
    image = "localhost/pylife-test-pod:latest"
    subprocess.run(
        [
            skopeo,
            "copy",
            "-q",
            f"oci:{pylife.home / 'store'}:pylife/bookworm-build:latest",
            f"containers-storage:{image}",
        ],
        check=True,
    )
    strict = []
    if request.param == "docker's filter":
        refused = {"names": _NAMESPACES_AND_MOUNTS, "action": "SCMP_ACT_ERRNO"}
        unknown = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS}
        profile = public_pylife / "seccomp.json"
        profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused, unknown]}))
        strict = ["--security-opt", f"seccomp={profile}"]
    place = public_pylife / f"pod-{uuid.uuid4().hex[:8]}"
    shutil.copytree(public_pylife / "home", place)
    script = (
        "python3 -m venv /tmp/venv && cp -r /src /tmp/src && /tmp/venv/bin/pip install -q /tmp/src >&2 "
        '&& exec /tmp/venv/bin/pylife "$@"'
    )
    prefix = (
        *(podman, "--runtime", "runc", "run", "--rm", "--net=host", "--user=0", *strict),
        *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"),
        *("-v", f"{REPOSITORY}:/src:ro", "-v", f"{place}:/home/pylife", "-e", "PYLIFE_HOME=/home/pylife"),
        *("-v", "/etc/ssl/certs:/etc/ssl/certs:ro", "--entrypoint", "bash", image, "-c", script, "pylife"),
    )
    return Pylife(place, prefix, ())


BuildpackMaker = Callable[..., Path]


@pytest.fixture
def buildpack(tmp_path: Path) -> BuildpackMaker:
    """A maker of small buildpacks: ``buildpack("acme/a", build="…shell…")`` gives its directory."""

    def make(
        identifier: str,
        *,
        build: str = "exit 0",
        detect: str = "exit 0",
        version: str = "1.0.0",
        api: str = "0.10",
        extra: str = "",
    ) -> Path:
        directory = tmp_path / "buildpacks" / identifier.replace("/", "_")
        (directory / "bin").mkdir(parents=True)
        (directory / "buildpack.toml").write_text(
            f'api = "{api}"\n[buildpack]\nid = "{identifier}"\nversion = "{version}"\nname = "{identifier}"\n{extra}\n'
        )
        for name, body in (("detect", detect), ("build", build)):
            script = directory / "bin" / name
            script.write_text(f"#!/bin/bash\nset -eu\n{body}\n")
            script.chmod(0o755)
        return directory

    return make


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A tiny app directory."""
    directory = tmp_path / "app"
    directory.mkdir()
    (directory / "hello.txt").write_text("hello\n")
    return directory


@pytest.fixture
def image_name(pylife: Pylife) -> Iterator[str]:
    """A name of its own for the test's image, removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    subprocess.run([PYLIFE, "rmi", name], env={**os.environ, "PYLIFE_HOME": str(pylife.home)}, capture_output=True)
