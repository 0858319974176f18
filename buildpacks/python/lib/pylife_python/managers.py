"""Which package manager an app uses: the one whose lock file or requirements it has, and never two.

Cheap to import, as a detection asks it.
"""

from __future__ import annotations

import os

from pylife_sdk.output import fail, listing
from pylife_sdk.python_app import LOCKS, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

RELOCK = {
    "uv.lock": "uv lock",
    "poetry.lock": "poetry lock",
    "pdm.lock": "pdm lock",
    "Pipfile.lock": "pipenv lock",
    "pylock.toml": "uv export -o pylock.toml",
}
"""What makes a lock file anew, by its name."""
CHOICE = "PYLIFE_PYTHON_PACKAGE_MANAGER"
REQUIREMENTS = "BP_PIP_REQUIREMENT"
MISSPELT = (
    "requirement.txt",
    "requirements",
    "requirements.text",
    "Requirements.txt",
    "REQUIREMENTS.txt",
    "requirements.txt.txt",
    "requeriments.txt",
    "requirments.txt",
)


class Manager:
    """A package manager and the files of the app (relative to it) that name the packages, the first one for people."""

    __slots__ = ("files", "name", "why")

    def __init__(self, name: str, files: tuple[str, ...], why: str) -> None:
        self.name, self.files, self.why = name, files, why

    @property
    def file(self) -> str:
        return self.files[0]


def choose_manager(app: str, env: Mapping[str, str]) -> Manager:
    """The app's package manager. Raises ``Failure`` when it has none, or several without saying which."""
    if named := [name for name in env.get(REQUIREMENTS, "").replace(",", " ").split() if name]:
        _check_named(app, named)
        return Manager("pip", tuple(named), f"{REQUIREMENTS} names {', '.join(named)}")
    present = [name for name in LOCKS if _has(app, name)]
    if wanted := env.get(CHOICE, "").strip().lower():
        return _chosen(app, wanted, present)
    if len(present) > 1:
        _explain_several(app, present)
    if present:
        return Manager(LOCKS[present[0]], (present[0],), f"the app has {present[0]}")
    if _has(app, "Pipfile"):
        fail(
            "python.lock-missing",
            "There is a Pipfile and no Pipfile.lock, so nothing says which versions were tested.",
            found=listing(app),
            fix="pipenv lock\ngit add Pipfile.lock",
        )
    if not _has(app, "pyproject.toml") or not (reason := _plain(app)):
        _explain_none(app)
    return Manager("pyproject", ("pyproject.toml",), reason)


def read_toml(app: str, name: str) -> dict[str, Any]:
    """A TOML file of the app. Raises ``Failure`` when it cannot be read as one."""
    import tomllib

    path = os.path.join(app, name)
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        explain_broken(app, name, str(error))


def explain_broken(app: str, name: str, error: str) -> NoReturn:
    """Raises the ``Failure`` for a file that its own format's reader refuses."""
    with open(os.path.join(app, name), encoding="utf-8", errors="replace") as file:
        marks = [f"{name}:{number}: {line.rstrip()}" for number, line in enumerate(file, 1) if _is_merge_mark(line)]
    lock = name in LOCKS and name != "requirements.txt"
    if marks:
        what, found = f"{name} has marks of a merge that was not finished.", "\n".join(marks[:6])
    else:
        what, found = f"{name} cannot be read: it is not what its name says.", error
    if lock:
        fix = f"Make it anew from a version that was whole:\ngit checkout HEAD~1 -- {name}\n{RELOCK[name]}"
        fail("python.lock-broken", what, found=found, fix=f"{fix}\ngit add {name}")
    fail("python.pyproject-broken", what, found=found, fix=f"Correct the place that is named, then:\ngit add {name}")


def _is_merge_mark(line: str) -> bool:
    return line.startswith(("<<<<<<< ", ">>>>>>> ")) or line.rstrip() == "======="


def _check_named(app: str, named: list[str]) -> None:
    for name in named:
        if not _has(app, name):
            fail(
                "python.requirements-include-missing",
                f"{REQUIREMENTS} names {name}, which is not in the app.",
                found=f"{REQUIREMENTS}={' '.join(named)}\n{listing(app)}",
                fix=f"Commit it, or name another one:\ngit add {name}",
            )


def _chosen(app: str, wanted: str, present: list[str]) -> Manager:
    known = {manager: name for name, manager in LOCKS.items()} | {"pyproject": "pyproject.toml"}
    if wanted not in known or not _has(app, known[wanted]):
        fail(
            "python.package-manager-choice",
            f"{CHOICE} is {wanted!r}, "
            + (f"and the app has no {known[wanted]}." if wanted in known else "which is none that is known."),
            found=f"{CHOICE}={wanted}\nin the app: {', '.join(present) or 'no file of a package manager'}",
            fix=f"Set it to one of: {', '.join(known)}; or leave it out.",
        )
    return Manager(wanted, (known[wanted],), f"{CHOICE} says so")


def _plain(app: str) -> str:
    """Why pyproject.toml alone names packages; "" when it holds tools' settings only."""
    document = read_toml(app, "pyproject.toml")
    poetry = table(document, "tool", "poetry")
    if "project" in document:
        return "pyproject.toml has a [project] table, and there is no lock file"
    if "dependencies" in poetry or "name" in poetry:
        if "build-system" in document and poetry.get("package-mode", True):
            return "pyproject.toml names a build backend, and there is no lock file"
        fail(
            "python.lock-missing",
            "pyproject.toml is Poetry's, and there is no poetry.lock.",
            found=listing(app),
            fix="poetry lock\ngit add poetry.lock",
        )
    return ""


def _explain_several(app: str, present: list[str]) -> NoReturn:
    keep = [f"to keep {name}:  git rm {' '.join(other for other in present if other != name)}" for name in present]
    fail(
        "python.several-package-managers",
        f"The app has the files of {len(present)} package managers: {', '.join(present)}.",
        found=listing(app),
        fix="Keep the one that you use, since the others go stale unseen:\n"
        + "\n".join(keep)
        + f"\nor say which one counts: pylife build --env {CHOICE}={LOCKS[present[0]]} ...",
    )


def _explain_none(app: str) -> NoReturn:
    for name in MISSPELT:
        if _has(app, name):
            fail(
                "python.requirements-misspelt",
                f"The file {name} looks like a misspelt requirements.txt.",
                found=listing(app),
                fix=f"git mv {name} requirements.txt",
            )
    if _has(app, "setup.py") or _has(app, "setup.cfg"):
        name = "setup.py" if _has(app, "setup.py") else "setup.cfg"
        fail(
            "python.setup-py-only",
            f"The app's packages are named in {name} only, which says nothing about their versions.",
            found=listing(app),
            fix="Install the app from a requirements.txt:\necho '-e .' > requirements.txt\ngit add requirements.txt",
        )
    folder = os.path.join(app, "requirements")
    split = sorted(n for n in os.listdir(folder) if n.endswith(".txt")) if os.path.isdir(folder) else []
    likely = next((n for n in split if n.startswith("prod")), split[0] if split else None)
    fix = f"echo '-r requirements/{likely}' > requirements.txt" if likely else "pip freeze > requirements.txt"
    fail(
        "python.requirements-missing",
        "Nothing in the app's root says which packages it needs: no requirements.txt and no lock file.",
        found=listing(app) + "".join(f"\nrequirements/{name}" for name in split),
        fix=f"{fix}\ngit add requirements.txt\n"
        f"An app without packages has an empty one. Looked for: {', '.join(LOCKS)}, Pipfile, pyproject.toml.\n"
        "If the file is there but not in this list: is it in the root? is it committed (git ls-files)? is it named in "
        ".gitignore? is it in lower case?",
    )


def _has(app: str, name: str) -> bool:
    return os.path.isfile(os.path.join(app, name))
