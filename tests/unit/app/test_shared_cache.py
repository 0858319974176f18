from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from lifecycle.app.ports import Ports, open_ports
from lifecycle.app.settings import load_settings
from lifecycle.app.shared_cache import collect_shared, open_shared
from lifecycle.phases.layout import Owner
from lifecycle.sandbox.rung import Rung

MOUNTS = Rung("userns", "single", can_mount=True)
OWNER = Owner(1000, 1000, mapped=False)


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return open_ports(load_settings({"home": str(tmp_path / "home")}, {"PYLIFE_CONFIG": ""}))


def client(ports: Ports, name: str, size: int, days: int) -> Path:
    with open_shared(ports, MOUNTS, OWNER) as directory:
        assert directory is not None
        path = directory / name
        path.mkdir()
        (path / "data").write_bytes(b"x" * size)
        os.utime(path, (time.time() - days * 24 * 3600,) * 2)
        return path


def test_a_rung_without_mounts_and_the_setting_off_share_nothing(ports: Ports, tmp_path: Path) -> None:
    with open_shared(ports, Rung("chroot", "all"), OWNER) as directory:
        assert directory is None
    off = open_ports(load_settings({"home": str(tmp_path), "cache_namespace": "off"}, {"PYLIFE_CONFIG": ""}))
    with open_shared(off, MOUNTS, OWNER) as directory:
        assert directory is None


def test_each_owner_has_a_directory_of_its_own(ports: Ports) -> None:
    with open_shared(ports, MOUNTS, OWNER) as one, open_shared(ports, MOUNTS, Owner(2000, 2000, mapped=False)) as two:
        assert one is not None and two is not None
        assert one != two and one.parent == two.parent
        assert one.parent.parent.stat().st_mode & 0o777 == 0o700


def test_the_longest_unused_go_first_when_there_is_too_much(ports: Ports) -> None:
    old, newer, newest = (client(ports, name, 100_000, days) for name, days in (("a", 9), ("b", 5), ("c", 1)))
    assert collect_shared(ports, limit=250_000) == 1
    assert [path.exists() for path in (old, newer, newest)] == [False, True, True]
    assert collect_shared(ports, now=time.time() + 27 * 24 * 3600) == 1
    assert [path.exists() for path in (newer, newest)] == [False, True]


def test_what_a_build_works_with_stays(ports: Ports) -> None:
    held = client(ports, "a", 10, 50)
    with open_shared(ports, MOUNTS, OWNER) as directory:
        assert collect_shared(ports) == 0
        with open(f"{directory}.lock", "rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert held.exists()
    assert collect_shared(ports) == 1
