"""The stack made from real packages. It is the slow test of the two: everything else uses its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.archive import read_tar
from lifecycle.builder.definition import load_stack
from lifecycle.builder.share import shared
from lifecycle.builder.stack import create_stack
from lifecycle.events import NullSink
from lifecycle.image.validate import validate
from lifecycle.store import LocalStore

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]


def test_run_image_is_small_complete_and_the_same_twice(tmp_path: Path, tool: Callable[[str], str]) -> None:
    tool("mmdebstrap")
    stack = load_stack(shared("stacks") / "bookworm")
    one, two = (
        create_stack(stack, LocalStore(tmp_path / name), NullSink(), kinds=("run",))["run"] for name in ("one", "two")
    )
    assert one.digest == two.digest
    assert one.size <= 50_000_000
    assert not list(validate(one))
    with one.layers[0].uncompressed() as tar:
        names = {entry.name.decode() for entry, _ in read_tar(tar)}
    assert names >= {"usr/bin/bash", "etc/ssl/certs/ca-certificates.crt", "home/cnb", "usr/share/pylife/packages.json"}
    for absent in ("usr/bin/gcc", "usr/bin/apt", "etc/hostname", "etc/resolv.conf", "dev/null", "usr/share/man/man1"):
        assert absent not in names
    assert not [name for name in names if name.startswith(("var/cache/", "var/lib/apt/", "var/log/"))]
