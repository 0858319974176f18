"""How the compiled app starts: processes, .profile.d, the release's variables, and how its directory is sliced.

.profile.d counts by an exec.d program and not by a layer's profile.d: that one is for processes for the shell only,
which the newer Buildpack APIs do not have, so the processes of the buildpacks beside this one would start without it.
Source: Buildpack API 0.10, "launch.toml"; Launch, "exec.d".
"""

from __future__ import annotations

import os
import shutil

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.launch import Process, shell, write_launch
from pylife_sdk.layer import Layer
from pylife_sdk.output import Failure, note, warn

from lifecycle.errors import PylifeError
from lifecycle.slug.procfile import parse_procfile
from lifecycle.slug.release import default_type, merge, parse_release
from lifecycle.slug.slices import find_slices
from pylife_adapter.classic import Classic
from pylife_adapter.identity import NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.slug.release import Types

MARK = "PYLIFE_CLASSIC_PROFILE"
"""Set for later buildpacks once a launch layer sources .profile.d: it is to be done once."""


def write_launching(
    context: Build, classic: Classic, cache: str, variables: Mapping[str, str], build_layer: Layer
) -> None:
    """Writes launch.toml and the launch layer. Raises ``Failure`` for a release or a Procfile that cannot be read."""
    try:
        types = _types(context.app, classic, cache, variables)
    except PylifeError as error:
        where = f" ({error.where})" if error.where else ""
        found = "\n".join(part for part in (error.why, error.details) if part)
        raise Failure(error.code, f"{error.what}{where}.", found or error.what, error.fix) from error
    for warning in types.warnings:
        warn(warning)
    first = default_type(types.commands)
    for kind, command in types.commands.items():
        note(f"Process {kind}: {command}  (by {types.origins[kind]})")
    processes = [Process(kind, shell(command), kind == first) for kind, command in types.commands.items()]
    write_launch(context, processes, find_slices(os.listdir(context.app)))
    _write_layer(context, types.config_vars)
    build_layer.set_env(MARK, "1", when="build", mode="override")


def _types(app: str, classic: Classic, cache: str, variables: Mapping[str, str]) -> Types:
    path = os.path.join(app, "Procfile")
    procfile = parse_procfile(read_bytes(path)) if os.path.isfile(path) else None
    for warning in procfile.warnings if procfile else ():
        warn(warning)
    output = b""
    if classic.has("release"):
        code, output = classic.ask("release", app, cache, env=variables)
        if code:
            raise Failure(
                "slug.release-failed",
                f"The classic buildpack {NAME} does not say which processes the app has.",
                found=f"bin/release exited with {code}\n{output[-2000:].decode('utf-8', 'replace')}".strip(),
                fix="Report it to the buildpack's author: bin/release has to print YAML and to exit with 0.",
            )
    return merge(procfile, [(NAME, parse_release(output, NAME))])


_SYSTEM = {f"{top}/{name}" for top in ("/usr/local", "/usr", "") for name in ("bin", "sbin")}


def _write_layer(context: Build, config_vars: Mapping[str, str]) -> None:
    """The launch layer, unless there is nothing in it: an earlier classic buildpack may have it already."""
    layer = Layer("profile", os.path.join(context.layers, "profile"), False, True, False, None)
    if MARK in context.env and not config_vars:
        return
    layer.empty()
    for name, value in config_vars.items():
        if name != "PATH":
            layer.set_env(name, value, when="launch", mode="default")
            continue
        # every image has one, so that a default would never count; its own directories stay where they are in it
        own = [place for place in value.split(":") if place and place not in _SYSTEM]
        if own:
            layer.set_env(name, ":".join(own), when="launch", mode="prepend")
            layer.set_env(name, ":", when="launch", mode="delim")
    if MARK not in context.env:
        program = os.path.join(layer.path, "exec.d", "profile")
        os.makedirs(os.path.dirname(program))
        shutil.copyfile(os.path.join(os.path.dirname(__file__), "profile.sh"), program)
        os.chmod(program, 0o755)
    layer.commit({})
