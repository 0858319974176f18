"""What an interpreter knows of the place where it was built, rewritten to its layer: for `sysconfig`, and with it for
compiling extensions, embedding and time zones."""

from __future__ import annotations

import json
import os
import pprint
import re
import runpy
from typing import Any

from pylife_sdk.context import read_bytes, write_file

_PREFIXES = ("prefix", "exec_prefix", "host_prefix", "host_exec_prefix")
_SYSTEM = "/usr"


def relocate(library: str, root: str) -> None:
    """Rewrites the build-time variables that lie in ``library``: paths below the prefixes of the build become paths
    below ``root``."""
    for entry in sorted(os.listdir(library)):
        path = os.path.join(library, entry)
        if os.path.islink(path):
            continue
        if entry.startswith("_sysconfigdata") and entry.endswith(".py"):
            variables = _relocated(runpy.run_path(path)["build_time_vars"], root)
            write_file(path, "build_time_vars = " + pprint.pformat(variables, width=120) + "\n")
        elif entry.startswith("_sysconfig_vars") and entry.endswith(".json"):
            variables = _relocated(json.loads(read_bytes(path)), root)
            write_file(path, json.dumps(variables, indent=1, sort_keys=True) + "\n")


def _relocated(variables: dict[str, Any], root: str) -> dict[str, Any]:
    own = {str(variables[name]) for name in _PREFIXES if variables.get(name)} - {_SYSTEM}
    # Longest first: one may lie within another.
    inside = "|".join(re.escape(prefix) for prefix in sorted(own, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.-])({inside})(?![\w.-])") if inside else None
    for name, value in variables.items():
        if not isinstance(value, str):
            continue
        # Programs of the system are named below /usr, too: only what is nothing but a path is meant there.
        if not own and (value == _SYSTEM or (value.startswith(_SYSTEM + "/") and " " not in value)):
            variables[name] = root + value[len(_SYSTEM) :]
        elif pattern:
            variables[name] = pattern.sub(lambda match: root, value)
    variables["TZPATH"] = f"/usr/share/zoneinfo:{root}/share/zoneinfo"
    return variables
