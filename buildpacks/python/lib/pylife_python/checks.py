"""What is wrong with an app before anything is installed, said with what was found and the command that mends it."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

from pylife_sdk.output import fail, listing, note

from pylife_python.detect import MISSPELT

_OTHER_MANAGERS = {
    "uv.lock": "uv export --no-dev --no-emit-project -o requirements.txt",
    "poetry.lock": "poetry export -o requirements.txt",
    "pdm.lock": "pdm export --prod -o requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "Pipfile": "pipenv lock && pipenv requirements > requirements.txt",
    "pyproject.toml": "echo . > requirements.txt",
    "setup.py": "echo . > requirements.txt",
}


def check_requirements(app: str) -> str:
    """The path of the app's requirements.txt. Raises ``Failure`` when it has none, with the likely reason."""
    path = os.path.join(app, "requirements.txt")
    if not os.path.isfile(path):
        _explain_missing(app)
    others = [name for name in _OTHER_MANAGERS if name.endswith((".lock", "Pipfile")) and _has(app, name)]
    if others:
        note(f"requirements.txt is installed; {', '.join(others)} are left aside.")
    return path


def _explain_missing(app: str) -> NoReturn:
    for name in MISSPELT:
        if _has(app, name):
            fail(
                "python.requirements-misspelt",
                f"The file {name} looks like a misspelt requirements.txt.",
                found=listing(app),
                fix=f"git mv {name} requirements.txt",
            )
    for name, command in _OTHER_MANAGERS.items():
        if _has(app, name):
            fail(
                "python.package-manager-unsupported",
                f"The app's packages are named in {name} only; this buildpack installs from requirements.txt.",
                found=listing(app),
                fix=f"{command}\ngit add requirements.txt",
            )
    folder = os.path.join(app, "requirements")
    split = sorted(n for n in os.listdir(folder) if n.endswith(".txt")) if os.path.isdir(folder) else []
    likely = next((n for n in split if n.startswith("prod")), split[0] if split else None)
    fix = f"echo '-r requirements/{likely}' > requirements.txt" if likely else "pip freeze > requirements.txt"
    fail(
        "python.requirements-missing",
        "The app's root has no requirements.txt, so nothing says which packages it needs.",
        found=listing(app) + "".join(f"\nrequirements/{name}" for name in split),
        fix=f"{fix}\ngit add requirements.txt\n"
        "An app without packages has an empty one. If the file is there but not in this list: is it committed, not in "
        ".gitignore, in the root, and in lower case?",
    )


def check_virtualenv(app: str) -> None:
    """Removes a virtual environment that git ignores from the build's copy; raises ``Failure`` for a committed one."""
    for name in sorted(os.listdir(app)):
        path = os.path.join(app, name)
        if not os.path.isfile(os.path.join(path, "pyvenv.cfg")):
            continue
        if line := _ignored(app, name):
            shutil.rmtree(path)
            note(f"{name}/ is left out: a virtual environment of another machine (.gitignore:{line}).")
            continue
        fail(
            "python.virtualenv-committed",
            f"The folder {name}/ is a virtual environment; it works only on the machine where it was made.",
            found=f"{name}/pyvenv.cfg\n{listing(path)}",
            fix=f"git rm --cached -r {name}\necho '{name}/' >> .gitignore\ngit add .gitignore && git commit",
        )


def _has(app: str, name: str) -> bool:
    return os.path.isfile(os.path.join(app, name))


def _ignored(app: str, name: str) -> int | None:
    """The line of the root's .gitignore that names the folder, in one of the plain spellings."""
    try:
        with open(os.path.join(app, ".gitignore"), encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.strip().removeprefix("/").removesuffix("/") == name:
                    return number
    except FileNotFoundError:
        pass
    return None
