"""Running uv: in which environment, with which options, and what a failure of it means."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping

from pylife_sdk.context import Build, write_file
from pylife_sdk.output import note, warn
from pylife_sdk.process import Ran, run

from pylife_python.failures import absent_package, explain
from pylife_python.index import hide, index_env, options, secrets, vendored, with_indexes
from pylife_python.network import unreachable
from pylife_python.plans import Plan, Step

EPOCH = "315532801"
# What would make the environment somewhere else or of something else than the layer needs.
_OURS = re.compile(
    r"(VIRTUAL_ENV|PYTHONHOME|PYTHONPATH|PYTHONUSERBASE|PIP_(PREFIX|TARGET|ROOT|USER|PYTHON|CACHE_DIR)"
    r"|UV_(CACHE_DIR|NO_CACHE|LINK_MODE|PYTHON|PYTHON_.*|MANAGED_PYTHON|NO_MANAGED_PYTHON|PROJECT.*|TARGET|PREFIX"
    r"|SYSTEM_PYTHON|BREAK_SYSTEM_PACKAGES|COMPILE_BYTECODE|VENV_.*|WORKING_DIR.*))$"
)


def installer_env(build: Build, version: str) -> dict[str, str]:
    """The environment of uv: the build's own, package sources in uv's words, and nothing that moves the target."""
    env = {name: value for name, value in build.env.items() if not _OURS.match(name)}
    env = index_env(build, env)
    env |= {
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "SOURCE_DATE_EPOCH": EPOCH,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # Debug information would hold the random names of uv's build directories.
    for flags in ("CFLAGS", "CXXFLAGS"):
        env[flags] = f"{env.get(flags, '')} -g0".strip()
    headers = "/usr/include/python{}.{}".format(*version.split(".")[:2])
    if os.path.isdir(headers):
        env["CPATH"] = f"{env['CPATH']}:{headers}" if env.get("CPATH") else headers
    return env


def is_mirrored(env: Mapping[str, str]) -> bool:
    """Whether packages come from elsewhere than the addresses that a lock file may hold."""
    return any(env.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_FIND_LINKS", "PIP_NO_INDEX"))


class Installer:
    """uv for one environment. ``program`` is its executable, ``target`` the directory of the environment."""

    def __init__(self, build: Build, program: str, target: str, python: str, env: Mapping[str, str], plan: Plan):
        self.build, self.program, self.target, self.python, self.plan = build, program, target, python, plan
        self.env = with_indexes(env, plan.indexes)
        self.hidden = secrets(build, self.env)

    def create(self) -> None:
        """Makes the empty environment."""
        create = [self.program, "venv", "--quiet", "--python", self.python, "--no-project", self.target]
        self._check(run(create, env=self.env, cwd=self.build.app, show=None), local="")

    def follow(self) -> None:
        """Runs the plan's commands. Raises ``Failure`` when one fails."""
        with tempfile.TemporaryDirectory() as scratch:
            for step in self.plan.steps:
                self._run(step, scratch)

    def _run(self, step: Step, scratch: str) -> None:
        for name, text in step.texts.items():
            write_file(os.path.join(scratch, name), text)
        arguments = [os.path.join(scratch, part[1:]) if part.startswith("@") else part for part in step.arguments]
        env = self.env
        if arguments[0] == "pip":
            arguments += ["--python", os.path.join(self.target, "bin", "python"), *options(env)]
            if self.plan.hashed or env.get("PIP_REQUIRE_HASHES"):
                arguments += [] if "--require-hashes" in arguments else ["--require-hashes"]
        elif arguments[0] == "sync":
            env = {**env, "UV_PROJECT_ENVIRONMENT": self.target}
            arguments += ["--python", self.python, *options(env)]
        ran = run([self.program, *arguments], env=env, cwd=self.build.app, show=self._show)
        if ran.code and unreachable(ran.output) and not env.get("UV_OFFLINE"):
            # uv asks an index whether its page is still the same even when all packages are in the cache.
            cached = run([self.program, *arguments, "--offline"], env=env, cwd=self.build.app, show=None)
            if not cached.code:
                warn("The package index cannot be reached: the packages are those of the cache.")
                ran = cached
        self._check(ran, local=self.build.app if "--editable" in arguments else "")

    def _show(self, line: str) -> bool:
        if not line.startswith(("Using Python", "Using CPython")):
            note(hide(line.rstrip(), self.hidden))
        return False

    def _check(self, ran: Ran, local: str) -> None:
        if ran.code:
            lines = (line for line in ran.output.splitlines() if not line.startswith(("Using Python", "Using CPython")))
            output = hide("\n".join(lines), self.hidden)
            if absent := absent_package(output):
                from pylife_python.asking import refusal

                if refused := refusal(self.env, absent):
                    output = f"{refused}\n{output}"
            explain(output, self.plan.manager.file, folder=vendored(self.build.app), local=local)
