"""What an installation failure means: the installer's words turned into an id, the evidence and a next step."""

from __future__ import annotations

import os
import re
from typing import NoReturn

from pylife_sdk.output import fail

from pylife_python.compiling import explain_build
from pylife_python.managers import RELOCK
from pylife_python.network import REFUSED, network_reason

_NOT_FOUND = re.compile(r"there (?:is|are) (?:no|only)|was not found in|were not found|no versions? of", re.I)
_ABSENT_NAME = re.compile(r"[Bb]ecause ([A-Za-z0-9._-]+) was not found in")
_ABSENT_VERSION = re.compile(r"there is no version of ([A-Za-z0-9._-]+)([=<>!~][^\s]*)")
_OTHER_PYTHON = re.compile(
    r"current Python version \(([\d.]+)\) does not satisfy Python(\S+) and (\S+) depends on Python"
)
_OTHER_PROJECT = re.compile(
    r"resolved to Python ([\d.]+), which is incompatible with the project's Python requirement: `([^`]+)`"
)
_BUILDING = re.compile(r"Failed to (?:build|download and build|prepare) `?([^`\s]+)`?")
_COMMANDS = {
    "uv.lock": "uv sync --locked --no-dev",
    "poetry.lock": "poetry sync --only main",
    "pdm.lock": "pdm sync --prod",
    "Pipfile.lock": "pipenv sync",
    "pylock.toml": "uv pip sync pylock.toml",
    "pyproject.toml": "pip install .",
}


def explain(output: str, requirements: str, *, folder: str = "", local: str = "") -> NoReturn:
    """Raises the ``Failure`` that fits what uv printed while it installed from ``requirements``, a file of the app.

    ``folder`` is where packages came from instead of an index, ``local`` the app when it was itself to be installed.
    """
    tail = "\n".join(output.strip().splitlines()[-30:])
    if re.search(r"No space left on device|os error 28\b|Disk quota exceeded", output):
        fail(
            "python.disk-full",
            f"The disk is full: the packages of {requirements} do not fit.",
            found=tail,
            fix="Make room where pylife keeps its caches and builds (pylife gc), or name another place: PYLIFE_HOME.",
        )
    _explain_lock(output, requirements, tail)
    building = _BUILDING.search(output)
    if "Hash mismatch" in output or "hash mismatch" in output:
        package = re.search(r"[Hh]ash mismatch for `([^`]+)`", output)
        anew = RELOCK.get(requirements, "pip-compile --generate-hashes (or uv pip compile --generate-hashes)")
        fail(
            "python.hash-mismatch",
            f"{package[1] if package else 'A package'} is not the file that {requirements} names by its hash.",
            found=tail,
            fix=f"If the package was published anew, take its present hash:\n{anew} and commit the result.\n"
            "If it was not, the index or a proxy altered it: do not install it.",
        )
    if "requires a hash" in output or "must be pinned" in output or "--require-hashes" in output:
        fail(
            "python.hash-mismatch",
            f"Some requirements have hashes and some have none; {requirements} needs one for each.",
            found=tail,
            fix="uv pip compile --generate-hashes requirements.in -o requirements.txt",
        )
    if re.search(r"Git operation failed|failed to (?:fetch|clone)[^\n]*git|`?git[^\n]* (?:fetch|clone)", output):
        host = re.search(r"Could not resolve host: (\S+)", output)
        unknown = f": {host[1]} is not known to this network's DNS" if host else ""
        fail(
            "python.git-failed",
            f"A package of {requirements} comes from a git repository that could not be fetched{unknown}.",
            found=tail,
            fix="Check the address and the commit or branch after its last @. A private repository needs a token "
            "of the build, named in the requirement:\npackage @ git+https://${GIT_TOKEN}@HOST/OWNER/NAME.git@v1\n"
            "pylife build --env GIT_TOKEN=... ...",
        )
    if building:
        explain_build(output, building[1], requirements, local)
    _explain_choice(output, requirements, tail, folder)
    if download := re.search(r"(?:Failed to (?:download|fetch|prepare)[^`\n]*`([^`]+)`)?[^\0]*?404 Not Found", output):
        fail(
            "python.not-found",
            f"The index answers 404 (not found) for {download[1] or 'a package of ' + requirements}.",
            found=tail,
            fix="Check the address of the index (PIP_INDEX_URL, or the sources in the lock), and that the version "
            f"was not withdrawn; then make the pins anew:\n{RELOCK.get(requirements, 'pip index versions PACKAGE')}",
        )
    if reason := network_reason(output):
        fail("python.network", f"The packages could not be fetched: {reason[0]}", found=tail, fix=reason[1])
    if "Couldn't parse requirement" in output or ("Unexpected" in output and "file at" in output):
        fail(
            "python.requirements-syntax",
            f"A line of {requirements} is not a requirement that the installer understands.",
            found=tail,
            fix="Correct the line that is shown.",
        )
    fail(
        "python.install-failed",
        f"The packages of {requirements} could not be installed.",
        found=tail,
        fix="The installer's last lines above name the cause. The same happens outside a build with\n"
        f"{_COMMANDS.get(requirements, f'uv pip install -r {requirements}')}",
    )


def _explain_lock(output: str, requirements: str, tail: str) -> None:
    """Raises the ``Failure`` for a lock file that uv does not take."""
    if wants := _OTHER_PROJECT.search(output):
        fail(
            "python.version-unavailable",
            f"requires-python asks for Python {wants[2]}, and the build has {wants[1]}.",
            found=tail,
            fix=f"If the code runs on Python {wants[1]}, loosen requires-python of the projects that are named above, "
            f"then:\n{RELOCK.get(requirements, 'uv lock')} && git add pyproject.toml {requirements}\n"
            f"or build with a builder whose build image has Python {wants[2]}",
        )
    if "lockfile" not in output and "uv.lock" not in output:
        return
    again = f"{RELOCK.get(requirements, 'uv lock')}\ngit add pyproject.toml {requirements}"
    if re.search(r"needs to be updated|is outdated|lockfile .* not up.to.date", output):
        fail(
            "python.lock-outdated",
            f"{requirements} was not made from the present pyproject.toml.",
            found=tail,
            fix=again,
        )
    if re.search(r"Failed to parse|newer version of|schema version|could not be parsed|TOML parse error", output):
        fail("python.lock-broken", f"{requirements} cannot be read by the installer.", found=tail, fix=again)


def absent_package(output: str) -> str:
    """The package that uv found in no index; "" when it says nothing of the kind."""
    absent = _ABSENT_NAME.search(output)
    return absent[1] if absent else ""


def _explain_choice(output: str, requirements: str, tail: str, folder: str) -> None:
    """Raises the ``Failure`` for versions that nobody has or that do not go together."""
    if REFUSED.search(output):
        return
    beside = f"\nor put it into {folder}/: pip download -d {folder} PACKAGE" if folder else ""
    place = f"the folder {folder}/" if folder else "the package index"
    if wants := _OTHER_PYTHON.search(output):
        found = _where(requirements, re.split(r"[=<>!~\[]", wants[3])[0])
        fail(
            "python.no-matching-version",
            f"{wants[3]} needs Python {wants[2]}, and the build image has {wants[1]}.",
            found=f"{found}{tail}",
            fix=f"Take an older version that runs on Python {wants[1]}, or build with a builder whose build image has "
            f"Python {wants[2]}.",
        )
    if absent := _ABSENT_NAME.search(output):
        found = _where(requirements, absent[1])
        fail(
            "python.no-matching-version",
            f"No package is called {absent[1]} in {place}.",
            found=f"{found}{tail}",
            fix=f"Correct the spelling of {absent[1]} in {requirements}, or name the index that has it in "
            f"PIP_EXTRA_INDEX_URL.{beside}",
        )
    if absent := _ABSENT_VERSION.search(output):
        found = _where(requirements, absent[1])
        fail(
            "python.no-matching-version",
            f"There is no {absent[1]}{absent[2]} for this Python and platform.",
            found=f"{found}{tail}",
            fix=f"pip index versions {absent[1]}\nand write one of these versions into {requirements}.{beside}",
        )
    if "No solution found" in output and not network_reason(output):
        alone = _NOT_FOUND.search(output) and "depends on" not in output
        fail(
            "python.no-matching-version" if alone else "python.conflict",
            f"No set of versions fulfils {requirements}.",
            found=tail,
            fix=f"Loosen one of the requirements named above so that both sides agree.{beside}",
        )


def _where(requirements: str, name: str) -> str:
    """The line of the requirements file that names a package, as ``file:line: text``; empty when it is in none."""
    from pylife_sdk.requirements import normalize

    if not os.path.exists(requirements):
        return ""
    with open(requirements, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            match = re.match(r"\s*([A-Za-z0-9._-]+)", line)
            if match and normalize(match[1]) == normalize(name):
                return f"{requirements}:{number}: {line.strip()}\n"
    return ""
