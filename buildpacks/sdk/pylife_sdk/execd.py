"""Programs that set variables when the app starts: where the container's limits are known, and not before.

Source: Buildpack API 0.10, "exec.d"; a program writes TOML to descriptor 3. Written in sh, since a run image need not
have an interpreter, and since it adds to every start.
"""

from __future__ import annotations

import os

from pylife_sdk.context import read_bytes, write_file
from pylife_sdk.layer import Layer

LIMITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "limits.sh")
"""The functions that a script of a launch begins with."""


def write_execd(layer: Layer, name: str, script: str) -> None:
    """Installs ``script`` (POSIX sh) as exec.d/``name`` of the layer, with the functions of limits.sh before it.

    In it ``memory_limit`` prints the bytes that the container may use (nothing when there is no limit),
    ``memory_total`` those of the machine, ``cpu_count`` the whole processors it may use, at least 1; ``set_default
    NAME VALUE`` sets a variable that the user has not set.
    """
    directory = os.path.join(layer.path, "exec.d")
    text = f"#!/bin/sh\n{read_bytes(LIMITS).decode()}\n{script}"
    path = os.path.join(directory, name)
    if not os.path.exists(path) or read_bytes(path) != text.encode():
        os.makedirs(directory, exist_ok=True)
        write_file(path, text)
        os.chmod(path, 0o755)
