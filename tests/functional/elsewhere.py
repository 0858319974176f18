"""pylife where others run it: as a user without privileges, and in an ordinary container."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
USER = "pylife-test"
FILTERS = ("podman's filter", "docker's filter")

_NAMESPACES_AND_MOUNTS = (
    *("unshare", "setns", "mount", "umount2", "pivot_root"),
    *("open_tree", "move_mount", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr"),
)
_IN_CONTAINER = """\
if [ ! -e /venv/done ]; then
    mkdir /tmp/src && tar -C /src --exclude './.*' -c . | tar -C /tmp/src -x
    { python3 -m venv /venv && /venv/bin/pip install -q /tmp/src; } >&2 || exit
    touch /venv/done
fi
exec /venv/bin/pylife "$@"
"""


@dataclass(frozen=True)
class Elsewhere:
    """A home, and the words that start a pylife that uses it: ``prefix`` leads there, ``program`` is pylife."""

    home: Path
    prefix: tuple[str, ...]
    program: tuple[str, ...]


@contextlib.contextmanager
def installed_for_everybody() -> Iterator[Path]:
    """A directory that every user may read, with pylife in its ``venv``; removed afterwards."""
    base = Path(tempfile.mkdtemp(prefix="pylife-test-", dir="/var/tmp"))
    base.chmod(0o755)
    python = next(
        path
        for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
        if (path := shutil.which(name, path="/usr/bin:/usr/local/bin")) and _is_new_enough(path)
    )
    try:
        subprocess.run([python, "-m", "venv", base / "venv"], check=True)
        subprocess.run([base / "venv" / "bin" / "pip", "install", "-q", REPOSITORY], check=True)
        yield base
    finally:
        subprocess.run(["rm", "-rf", base], check=False)


def _is_new_enough(python: str) -> bool:
    return not subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode


def as_user(base: Path, store: Path, *, lent: bool) -> Elsewhere:
    """The pylife of ``base`` as a user without privileges, with a copy of ``store``, and lent ids or only his own."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    user = USER if lent else f"{USER}-single"
    try:
        pwd.getpwnam(user)
    except KeyError:
        subprocess.run(["useradd", "--create-home", user], check=True)
    if not lent:
        for file in ("/etc/subuid", "/etc/subgid"):
            subprocess.run(["sed", "-i", f"/^{user}:/d", file], check=True)
    place = base / f"{user}-{uuid.uuid4().hex[:8]}"
    place.mkdir()
    subprocess.run(["cp", "-r", store, place / "store"], check=True)
    subprocess.run(["chown", "-R", user, place], check=True)
    prefix = (
        *("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env", "env"),
        *(f"PYLIFE_HOME={place}", f"PATH={os.environ['PATH']}"),
    )
    return Elsewhere(place, prefix, (str(base / "venv" / "bin" / "pylife"),))


def in_container(
    base: Path, store: Path, stack: Path, tool: Callable[[str], str], seccomp: str, *, shown: Path | None = None
) -> Elsewhere:
    """pylife as root in an ordinary, unprivileged container, with default capabilities and a copy of ``store``.

    Podman's filter of system calls lets it have user namespaces; Docker's, and that of most clusters, refuses
    namespaces and mounts. The container is made of the build image in the store ``stack``, which has a Python; pylife
    is installed into it as a user would, once for all containers of ``base``. ``shown`` can be read in it at its own
    path.
    """
    podman, skopeo = tool("podman"), tool("skopeo")
    if os.geteuid() != 0:
        pytest.skip("starting the container needs root")
    image = "localhost/pylife-test-pod:latest"
    built = f"oci:{stack}:pylife/bookworm-build:latest"
    subprocess.run([skopeo, "copy", "-q", built, f"containers-storage:{image}"], check=True)
    strict = []
    if seccomp == "docker's filter":
        refused = {"names": _NAMESPACES_AND_MOUNTS, "action": "SCMP_ACT_ERRNO"}
        unknown = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS}
        profile = base / "seccomp.json"
        profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused, unknown]}))
        strict = ["--security-opt", f"seccomp={profile}"]
    place = base / f"pod-{uuid.uuid4().hex[:8]}"
    place.mkdir()
    shutil.copytree(store, place / "store")
    (base / "pod-venv").mkdir(exist_ok=True)
    prefix = (
        *(podman, "--runtime", "runc", "run", "--rm", "--net=host", "--user=0", *strict),
        *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"),
        *("-v", f"{REPOSITORY}:/src:ro", "-v", f"{place}:/home/pylife", "-e", "PYLIFE_HOME=/home/pylife"),
        *("-v", f"{base / 'pod-venv'}:/venv", *(["-v", f"{shown}:{shown}:ro"] if shown else [])),
        *("-v", "/etc/ssl/certs:/etc/ssl/certs:ro", "--entrypoint", "bash", image, "-c", _IN_CONTAINER, "pylife"),
    )
    return Elsewhere(place, prefix, ())
