"""Is this a Python app? Broad on purpose: a build can explain what is wrong, a detection that says no cannot."""

from __future__ import annotations

import os

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.output import Failure

SIGNS = (
    "requirements.txt",
    "pyproject.toml",
    ".python-version",
    "runtime.txt",
    "manage.py",
    "app.py",
    "main.py",
    "server.py",
    "__init__.py",
    "setup.py",
    "setup.cfg",
    "Pipfile",
    "Pipfile.lock",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
)
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
LEFTOVERS = (".venv", "venv", "__pycache__")


def detect(context: Detect) -> int:
    """Passes when any sign of Python is in the app's root; says which, and which Python would be taken."""
    present = sorted(os.listdir(context.app))
    signs = [name for name in (*SIGNS, *MISSPELT) if name in present and _is_sign(context.app, name)]
    signs += [f"{name}/" for name in LEFTOVERS if os.path.isdir(os.path.join(context.app, name))]
    if not signs:
        print(f"No Python app: looked for {', '.join(SIGNS)}.")
        print(f"Found in its root: {', '.join(present[:20]) or 'nothing'}.")
        return NO_MATCH
    print(f"A Python app, because its root has {', '.join(signs)}.")
    metadata = {"build": True, "launch": True, **_version(context)}
    return context.pass_with(["python"], [{"name": "python", "metadata": metadata}])


def _is_sign(app: str, name: str) -> bool:
    # A folder called "requirements" is a usual home for several good requirements files.
    return os.path.isfile(os.path.join(app, name))


def _version(context: Detect) -> dict[str, str]:
    from pylife_python.version import choose

    try:
        choice = choose(context.app)
    except Failure as failure:
        print(f"The build will stop: {failure.what} [{failure.id}]")
        return {}
    print(f"Python {choice.version}: {choice.origin}.")
    return {"version": choice.version, "version-origin": choice.origin}
