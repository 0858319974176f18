"""How the slug starts: a script in .profile.d for what layers say, and the processes that bin/release prints."""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from collections.abc import Iterable

from pylife_sdk.context import read_bytes
from pylife_sdk.output import note

from pylife_classic.variables import layer_changes

# A program of exec.d tells variables as TOML on descriptor 3, each in a line of its own with \" and \\ as its only
# escapes; `read` without -r takes just those away. What it says to people goes to stderr.
_EXECD = """\
_pylife_tell() {
    _pylife_told=$("$1" 3>&1 >&2) || echo " !     $1 ended with $?: its variables are not set." >&2
    while IFS= read _pylife_line; do
        case $_pylife_line in *' = "'*'"') ;; *) continue ;; esac
        _pylife_value=${_pylife_line#* = \\"}
        export "${_pylife_line%%" = "*}=${_pylife_value%\\"}"
    done << END
$_pylife_told
END
}
"""


def write_profile(app: str, name: str, layers: Iterable[str]) -> None:
    """Writes .profile.d/``name``.sh of the app: the environment of the layers, then their programs of exec.d; last what
    the app has in a file of that name."""
    layers = list(layers)
    lines = [f"# The environment of what the buildpack {name} made."]
    lines += [change.as_shell() for change in layer_changes(layers, launch=True)]
    programs = [os.path.join(layer, "exec.d", each) for layer in layers for each in _names(layer, "exec.d")]
    programs = [path for path in programs if os.path.isfile(path)]
    text = "\n".join(lines) + "\n"
    if programs:
        text += _EXECD + "".join(f"_pylife_tell {shlex.quote(path)}\n" for path in programs)
        text += "unset -f _pylife_tell\nunset _pylife_told _pylife_line _pylife_value\n"
    path = os.path.join(app, ".profile.d", f"{name}.sh")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a+", encoding="utf-8", errors="surrogateescape") as file:
        file.seek(0)
        if own := file.read():
            note(f"The app's own .profile.d/{name}.sh is run after what this buildpack writes there.")
        file.truncate(0)
        file.write(f"{text}{own}")


def processes(layers_folder: str, app: str) -> dict[str, str]:
    """The process types of a launch.toml as lines for bash; none without one."""
    try:
        document = tomllib.loads(read_bytes(os.path.join(layers_folder, "launch.toml")).decode())
    except FileNotFoundError:
        return {}
    return {each["type"]: _line(each, app) for each in document.get("processes", [])}


def render_release(types: dict[str, str]) -> str:
    """What bin/release prints: YAML, whose strings are JSON's."""
    if not types:
        return "--- {}\n"
    lines = [f"  {json.dumps(name)}: {json.dumps(command)}" for name, command in types.items()]
    return "\n".join(["---", "default_process_types:", *lines]) + "\n"


def _line(process: dict[str, object], app: str) -> str:
    command = [str(word) for word in process["command"]]  # type: ignore[attr-defined]
    line = command[2] if command[:2] == ["bash", "-c"] and len(command) == 3 else shlex.join(command)
    directory = str(process.get("working-dir", ""))
    if not directory or os.path.realpath(directory) == os.path.realpath(app):
        return line
    return f"cd {shlex.quote(directory)} && {line}"


def _names(layer: str, folder: str) -> list[str]:
    path = os.path.join(layer, folder)
    return sorted(os.listdir(path)) if os.path.isdir(path) else []
