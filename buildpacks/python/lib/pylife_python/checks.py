"""What is wrong with an app or its build before anything is installed, said with the command that mends it."""

from __future__ import annotations

import os
import shutil

from pylife_sdk.context import Build
from pylife_sdk.output import fail, listing, note

# Variables that would put the environment elsewhere than its layer, or take another Python or cache for it.
# Source: those that Heroku's Python buildpack refuses.
FORBIDDEN = frozenset(
    {
        *(f"PIP_{name}" for name in ("CACHE_DIR", "PREFIX", "PYTHON", "ROOT", "TARGET", "USER")),
        *(f"POETRY_{name}" for name in ("CACHE_DIR", "DATA_DIR", "HOME", "VIRTUALENVS_CREATE")),
        *(f"POETRY_VIRTUALENVS_{name}" for name in ("IN_PROJECT", "USE_POETRY_PYTHON")),
        *(f"PYTHON{name}" for name in ("HOME", "INSPECT", "NOUSERSITE", "PLATLIBDIR", "USERBASE")),
        *(f"UV_{name}" for name in ("CACHE_DIR", "LINK_MODE", "MANAGED_PYTHON", "NO_CACHE", "NO_MANAGED_PYTHON")),
        *(f"UV_{name}" for name in ("PROJECT", "PROJECT_ENVIRONMENT", "PYTHON", "PYTHON_DOWNLOADS")),
        "UV_PYTHON_PREFERENCE",
        "VIRTUAL_ENV",
    }
)


def check_variables(build: Build) -> None:
    """Raises ``Failure`` for variables of the user that the layers must decide."""
    found = sorted(name for name in build.user_env() if name in FORBIDDEN)
    if found:
        fail(
            "python.forbidden-variable",
            f"{', '.join(found)}: such variables move packages or Python away from where the image has them.",
            found="\n".join(f"{name}={build.user_env()[name].decode(errors='replace')}" for name in found),
            fix="Leave it out of this build: its --env, the project.toml or the platform's settings have it. "
            f"In a shell:\nunset {' '.join(found)}",
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
