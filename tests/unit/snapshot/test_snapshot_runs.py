"""What a sandbox puts into a root for the time of a run is in no layer, whatever the run does to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from snapshot_layers import OnRung

from lifecycle.sandbox import RunSpec, Sandbox, entered
from lifecycle.snapshot.base import Snapshotter
from lifecycle.testing.busybox import PATH, busybox_rootfs, find_busybox

SCRIPTS = {
    "true": [],
    "echo x > /etc/resolv.conf; echo y > /etc/hosts; true": [],
    "rm -f /etc/resolv.conf /etc/hosts; true": [],
    "echo z > /dev/shm/z; touch /etc/passwd; true": [],
    "echo made > /made": [b"made"],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_run_leaves_only_its_own_changes(on_rung: OnRung, tool: Any, script: str) -> None:
    tool("busybox")
    find_busybox()

    def body(store: Snapshotter, home: Path) -> Any:
        rung = entered()
        assert rung is not None
        root = store.prepare([])
        busybox_rootfs(Path(root.path))
        base = root.commit(mtime=5)
        with Sandbox(rung) as sandbox:
            root = store.prepare([base])
            spec = RunSpec(("/bin/sh", "-c", script), os.fspath(root.path), {"PATH": PATH})
            lines: list[str] = []
            result = sandbox.run(spec, lambda stream, line: lines.append(line))
            diff = root.commit()
        return result.exit_code, [e.name for e, _ in diff.members(5)], lines if result.exit_code else []

    assert on_rung(body) == (0, SCRIPTS[script], [])
