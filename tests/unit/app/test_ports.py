"""Ports: opened late, from settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lifecycle.app.ports import open_ports, registry_settings
from lifecycle.app.settings import load_settings


def test_opening_ports_touches_neither_disk_nor_network(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with open_ports(load_settings(environ={"PYLIFE_HOME": str(home)})) as ports:
        assert ports.snapshots == home / "snapshots"
        assert ports.caches == home / "cache"
    assert not home.exists()


def test_ports_import_neither_registry_nor_store_before_use() -> None:
    code = "import sys, lifecycle.app.ports; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"lifecycle.registry", "lifecycle.store", "httpx2"} & set(modules)


def test_store_is_opened_once_under_home(tmp_path: Path) -> None:
    ports = open_ports(load_settings(environ={"PYLIFE_HOME": str(tmp_path)}))
    assert ports.store is ports.store
    assert (tmp_path / "store" / "oci-layout").is_file()


def test_registry_knows_mirrors_maps_and_insecure_hosts() -> None:
    flags = {"registry_mirror": ("a.example", "quay.io=b.example/q"), "insecure_registry": ("c.example:5000",)}
    settings = registry_settings(load_settings({**flags, "registry_map": ("x.example=y.example",)}, {}))
    assert [(item.origin, item.target) for item in settings.mirrors] == [
        ("docker.io", "a.example"),
        ("quay.io", "b.example/q"),
    ]
    assert [(item.origin, item.target) for item in settings.maps] == [("x.example", "y.example")]
    assert settings.is_insecure("c.example:5000")


def test_images_are_compressed_as_the_settings_say(tmp_path: Path) -> None:
    environ = {"PYLIFE_HOME": str(tmp_path), "PYLIFE_COMPRESSION": "zstd"}
    ports = open_ports(load_settings(environ=environ)).images(offline=True)
    assert ports.profile.codec == "zstd"
    assert ports.registry is None
