"""Downloads that builds share: who sees them, who does not, and when they go."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pylife_command import Pylife

pytestmark = pytest.mark.functional

COUNT = """
place="${PYLIFE_SHARED_CACHE:-}"
[ -n "$place" ] || { echo "nothing is shared"; exit 0; }
mkdir -p "$place/client"; echo x >> "$place/client/uses"; echo "uses: $(wc -l < "$place/client/uses")"
"""
DETECT = '[ -z "${PYLIFE_SHARED_CACHE:-}" ] && [ ! -e /cnb/shared-cache ]'


@pytest.fixture
def uses(fresh: Pylife, app: Path, buildpack: Callable[..., Path], image_name: str) -> Callable[..., str]:
    """Builds once, with more words; what the buildpack said of its downloads."""
    pack = buildpack("acme/client", detect=DETECT, build=COUNT)

    def build(*more: str | Path, pylife: Pylife = fresh, image: str = image_name, source: Path = app) -> str:
        words = ("build", "--app", source, "--image", image, "--buildpack", pack, *more)
        lines = pylife(*words).err.splitlines()
        return next(line.partition("] ")[2] for line in lines if line.startswith("[acme/client]"))

    return build


def test_builds_of_a_namespace_share_and_others_do_not(
    uses: Callable[..., str], fresh: Pylife, image_name: str
) -> None:
    assert uses() == "uses: 1"
    assert uses(image="other") == "uses: 2"
    assert uses("--cache-namespace", "tenant-7") == "uses: 1"
    assert uses("--cache-namespace", "off") == "nothing is shared"
    assert uses("--no-cache") == "nothing is shared"
    assert uses("--clear-cache") == "nothing is shared"
    assert uses() == "uses: 3"
    layers = fresh("inspect", image_name, "--json").out
    assert "shared-cache" not in layers


def test_without_mounts_nothing_is_shared(uses: Callable[..., str]) -> None:
    assert uses("--isolation", "chroot") == "nothing is shared"


def test_an_ordinary_user_shares_with_himself(
    ordinary: Pylife, app: Path, buildpack: Callable[..., Path], public_place: Path
) -> None:
    pack, source = public_place / "client", public_place / "source"
    if not pack.exists():
        subprocess.run(["cp", "-r", buildpack("acme/client", detect=DETECT, build=COUNT), pack], check=True)
        subprocess.run(["cp", "-r", app, source], check=True)
    for expected in ("uses: 1", "uses: 2"):
        assert expected in ordinary("build", "--app", source, "--image", "x", "--buildpack", pack).err


@pytest.mark.parametrize("name", ["../up", "", "A", "a/b"])
def test_a_namespace_that_is_no_name_is_refused(fresh: Pylife, app: Path, name: str) -> None:
    done = fresh("build", "--app", app, "--image", "x", "--cache-namespace", name or " ", code=2)
    assert "settings.bad-value" in done.err


def test_gc_forgets_what_served_no_build_for_a_month(uses: Callable[..., str], fresh: Pylife) -> None:
    assert uses() == "uses: 1"
    (client,) = (fresh.home / "cache" / "shared" / "default").glob("*/client")
    fresh("gc")
    assert client.is_dir()
    os.utime(client, (time.time() - 40 * 24 * 3600,) * 2)
    assert "shared downloads" in fresh("gc").out
    assert not client.exists()
    assert uses() == "uses: 1"
