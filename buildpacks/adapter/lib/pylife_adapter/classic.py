"""The classic buildpack: its executables, and the environment that they run in.

They are started in the buildpack's own directory, as Heroku does it, and by bash, for which a script without a #! line
is a shell script. Config variables reach them by the env directory alone (clear-env in buildpack.toml): what is set for
the build does not change how it works.
"""

from __future__ import annotations

import os
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_START = 'exec "$@"'
_EXPORTED = """\
pylife_tell() {
    local name IFS=$' \\t\\n'
    for name in $(compgen -e); do printf '%s=%s\\0' "$name" "${!name}"; done
}
exec {pylife_out}>&1 >&2
trap 'pylife_tell >&$pylife_out' EXIT
. "$1"
"""
"""Sources a file, and prints the variables as it leaves them, even when it ends the shell."""
_SHELL = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "BASHOPTS", "SHELLOPTS"})
_PASSED_ON = ("STACK", "SOURCE_VERSION", "REQUEST_ID", "BUILDPACK_XTRACE")
_STACKS = {
    "ubuntu": {"20.04": "heroku-20", "22.04": "heroku-22", "24.04": "heroku-24", "26.04": "heroku-26"},
    # Heroku's stack with the next older libc: what was built for it starts here.
    "debian": {"11": "heroku-20", "12": "heroku-22", "13": "heroku-24"},
}


class Classic:
    """The buildpack in ``directory``."""

    __slots__ = ("directory",)

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def has(self, executable: str) -> bool:
        return os.path.isfile(self.path(executable))

    def path(self, executable: str) -> str:
        return os.path.join(self.directory, "bin", executable)

    def run(self, executable: str, *arguments: str, env: Mapping[str, str]) -> int:
        """The exit code of bin/``executable``, whose output goes where ours goes; a signal counts as 128 and it."""
        sys.stdout.flush()
        command = self._command(executable, arguments)
        return _code(subprocess.run(command, env=env, cwd=self.directory, stdin=subprocess.DEVNULL).returncode)

    def ask(self, executable: str, *arguments: str, env: Mapping[str, str]) -> tuple[int, bytes]:
        """The exit code of bin/``executable``, and what it wrote to stdout."""
        command = self._command(executable, arguments)
        ran = subprocess.run(command, env=env, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        return _code(ran.returncode), ran.stdout

    def exported(self, env: Mapping[str, str]) -> dict[str, str]:
        """The variables that the buildpack's ``export`` file sets for later buildpacks; an unset one is empty."""
        file = os.path.join(self.directory, "export")
        if not os.path.isfile(file):
            return {}
        command = ["bash", "-c", _EXPORTED, "bash", file]
        ran = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        found = dict(os.fsdecode(item).split("=", 1) for item in ran.stdout.split(b"\0") if item)
        changed = {name: value for name, value in found.items() if env.get(name) != value}
        changed |= {name: "" for name in env if name.isidentifier() and name not in found}
        return {name: value for name, value in sorted(changed.items()) if name not in _SHELL}

    def _command(self, executable: str, arguments: Sequence[str]) -> list[str]:
        return ["bash", "-c", _START, "bash", self.path(executable), *arguments]


def _code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


def process_variables(env: Mapping[str, str], platform: str) -> dict[str, str]:
    """The environment of the executables: ``env``, and what the contract has besides it."""
    variables = dict(env)
    for name in _PASSED_ON:
        file = os.path.join(platform, "env", name)
        if os.path.isfile(file):
            with open(file, encoding="utf-8", errors="surrogateescape") as text:
                variables[name] = text.read().rstrip("\n")
    if stack := variables.get("STACK") or stack_of(env):
        variables["STACK"] = stack
    variables.setdefault("REQUEST_ID", f"build-{os.urandom(4).hex()}")
    return variables


def stack_of(env: Mapping[str, str]) -> str:
    """The STACK that programs for this image are built for: the builder's own when it is Heroku's, else by the
    distribution; what the lifecycle says of the builder when that is none known."""
    stack = env.get("CNB_STACK_ID", "")
    if stack.startswith("heroku-"):
        return stack
    versions = _STACKS.get(env.get("CNB_TARGET_DISTRO_NAME", ""), {})
    return versions.get(env.get("CNB_TARGET_DISTRO_VERSION", ""), stack)
