"""What a failed script of package.json means."""

from __future__ import annotations

import re
from typing import NoReturn

from pylife_sdk.output import fail
from pylife_sdk.process import Ran

from pylife_nodejs.failures_common import evidence, explain_common
from pylife_nodejs.manifest import Manifest

_COMMAND = re.compile(
    r"(?:sh|bash): (?:line )?(?:\d+: )?([\w./@-]+): (?:command )?not found|command not found: ([\w./@-]+)"
)
_MISSING = re.compile(
    r"Missing script: \"?([\w:.-]+)|ERR_PNPM_NO_SCRIPT[^\n]*?script: ([\w:.-]+)|Command \"([\w:.-]+)\" not found"
)
_HOST = re.compile(
    r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN) ([\w.-]+)|connect (?:ECONNREFUSED|ETIMEDOUT|ENETUNREACH) (\S+)"
)
_PACKAGES = {"tsc": "typescript", "ng": "@angular/cli", "vue-cli-service": "@vue/cli-service", "nest": "@nestjs/cli"}


def explain_script(ran: Ran, manifest: Manifest, name: str, command: list[str]) -> NoReturn:
    """Raises the ``Failure`` that fits what a script printed before it failed."""
    shown = f"the script {name} of {manifest.shown}"
    text = manifest.scripts.get(name, "")
    if missing := _MISSING.search(ran.output):
        absent = next(group for group in missing.groups() if group)
        fail(
            "node.script-missing",
            f"{shown[0].upper()}{shown[1:]} runs the script {absent}, and there is none of that name.",
            found=f'"{name}": "{text}"\nscripts: {", ".join(manifest.scripts)}',
            fix=f'Add "{absent}" to the scripts of {manifest.shown}, or correct {name}.',
        )
    if absent_command := _COMMAND.search(ran.output):
        program = absent_command[1] or absent_command[2]
        package = _PACKAGES.get(program, program)
        fail(
            "node.module-missing",
            f"{shown[0].upper()}{shown[1:]} starts {program}, which no installed package has.",
            found=f'"{name}": "{text}"\n{evidence(ran.output, "not found")}',
            fix=f"npm install --save-dev {package}   (or yarn add -D, pnpm add -D), and commit package.json and the "
            "lockfile.",
        )
    explain_common(ran, shown, manifest)
    if hosts := sorted({match[1] or match[2] for match in _HOST.finditer(ran.output)}):
        font = "`next/font` error" in ran.output
        commit = "\nCommit the fonts and load them with next/font/local." if font else ""
        fail(
            "node.network",
            f"{shown[0].upper()}{shown[1:]} failed, and could not reach {', '.join(hosts[:3])}.",
            found=f'"{name}": "{text}"\n' + "\n".join(ran.tail.splitlines()[-12:]),
            fix=f"Let the build reach {hosts[0]} (HTTPS_PROXY, NO_PROXY), or commit what it fetches there.{commit}",
        )
    fail(
        "node.script-failed",
        f"{shown[0].upper()}{shown[1:]} failed with exit code {ran.code}.",
        found=f'"{name}": "{text}"\n{ran.tail}',
        fix=f"The last lines above name the cause. The same happens outside a build with\n{' '.join(command)}",
    )
