"""Typed instructions: one module each (tiny ones share), with its fields, its flags and its expansion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.dockerfile.instructions.base import Command as Command
    from lifecycle.dockerfile.instructions.base import Instruction as Instruction
    from lifecycle.dockerfile.instructions.base import Scope as Scope
    from lifecycle.dockerfile.instructions.commands import Cmd as Cmd
    from lifecycle.dockerfile.instructions.commands import Entrypoint as Entrypoint
    from lifecycle.dockerfile.instructions.commands import Shell as Shell
    from lifecycle.dockerfile.instructions.copy import Add as Add
    from lifecycle.dockerfile.instructions.copy import Copy as Copy
    from lifecycle.dockerfile.instructions.expose import Expose as Expose
    from lifecycle.dockerfile.instructions.from_ import From as From
    from lifecycle.dockerfile.instructions.healthcheck import HealthCheck as HealthCheck
    from lifecycle.dockerfile.instructions.mounts import Mount as Mount
    from lifecycle.dockerfile.instructions.onbuild import OnBuild as OnBuild
    from lifecycle.dockerfile.instructions.reading import parse_instruction as parse_instruction
    from lifecycle.dockerfile.instructions.run import Device as Device
    from lifecycle.dockerfile.instructions.run import Run as Run
    from lifecycle.dockerfile.instructions.settings import Maintainer as Maintainer
    from lifecycle.dockerfile.instructions.settings import StopSignal as StopSignal
    from lifecycle.dockerfile.instructions.settings import User as User
    from lifecycle.dockerfile.instructions.settings import Volume as Volume
    from lifecycle.dockerfile.instructions.settings import Workdir as Workdir
    from lifecycle.dockerfile.instructions.variables import Arg as Arg
    from lifecycle.dockerfile.instructions.variables import Env as Env
    from lifecycle.dockerfile.instructions.variables import Label as Label

__getattr__ = exports(
    __name__,
    {
        "base": ["Command", "Instruction", "Scope"],
        "commands": ["Cmd", "Entrypoint", "Shell"],
        "copy": ["Add", "Copy"],
        "expose": ["Expose"],
        "from_": ["From"],
        "healthcheck": ["HealthCheck"],
        "mounts": ["Mount"],
        "onbuild": ["OnBuild"],
        "reading": ["parse_instruction"],
        "run": ["Device", "Run"],
        "settings": ["Maintainer", "StopSignal", "User", "Volume", "Workdir"],
        "variables": ["Arg", "Env", "Label"],
    },
)
