"""Compiles the app, and says what came out in the terms of the contract.

Layers: ``buildpack`` (build) is a copy of the classic buildpack that it may write to, and what its ``export`` file
sets; ``cache`` (cache) its CACHE_DIR; ``profile`` what makes .profile.d count when the app starts. The app's directory
is what bin/compile leaves of it.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile

from pylife_sdk.context import Build
from pylife_sdk.layer import Layer
from pylife_sdk.output import Failure, note, report

from pylife_adapter.classic import Classic, process_variables
from pylife_adapter.identity import NAME
from pylife_adapter.launching import write_launching


def build(context: Build, classic: Classic) -> None:
    """Runs bin/build. Ends with bin/compile's own exit code when that fails. Raises ``Failure``."""
    variables = process_variables(context.env, context.platform)
    layer = Layer("buildpack", os.path.join(context.layers, "buildpack"), True, False, False, None)
    cache = Layer("cache", os.path.join(context.layers, "cache"), False, False, True, None)
    copy = _writable_copy(classic, layer.empty())
    with tempfile.TemporaryDirectory(prefix="home-") as scratch:
        if not _is_usable(variables.get("HOME", ""), context.app):
            variables["HOME"] = scratch
        # For buildpacks that ask where the app will run, as pylife's own do: else they take an image's /app for it.
        variables["APP_PATH"] = context.app
        os.makedirs(cache.path, exist_ok=True)
        cache.commit({})
        arguments = (context.app, cache.path, os.path.join(context.platform, "env"))
        if code := copy.run("compile", *arguments, env=variables):
            report(_failed(code))
            sys.exit(code)
        exported = copy.exported(variables)
        for name, value in exported.items():
            layer.set_env(name, value, when="build", mode="override")
        if exported:
            note(f"Set for later buildpacks: {', '.join(exported)}")
        write_launching(context, copy, cache.path, variables, layer)
    layer.commit({})


def _writable_copy(classic: Classic, layer: str) -> Classic:
    """The buildpack where it can write: many leave ``export`` beside their bin. Its executables are executable."""
    copy = Classic(os.path.join(layer, "classic"))
    shutil.copytree(classic.directory, copy.directory, symlinks=True)
    for top, _, names in os.walk(copy.directory):
        os.chmod(top, 0o755)
        for name in names:
            path = os.path.join(top, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                os.chmod(path, stat.S_IMODE(mode) | (0o755 if top.endswith("/classic/bin") else 0o600))
    return copy


def _is_usable(home: str, app: str) -> bool:
    """Whether buildpacks may write to HOME: what they leave there, keys among it, must not get into the image."""
    if not os.path.isdir(home) or not os.access(home, os.W_OK):
        return False
    return os.path.commonpath([os.path.realpath(home), os.path.realpath(app)]) != os.path.realpath(app)


def _failed(code: int) -> Failure:
    return Failure(
        "slug.compile-failed",
        f"The classic buildpack {NAME} could not compile the app.",
        found=f"bin/compile exited with {code}; what it printed above names the cause",
        fix="Read what the buildpack printed. Many show every command with BUILDPACK_XTRACE=1:\n"
        "pylife build --env BUILDPACK_XTRACE=1 ...",
    )
