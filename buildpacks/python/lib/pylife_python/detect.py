"""Is this a Python app? Broad on purpose: a build can explain what is wrong, a detection that says no cannot."""

from __future__ import annotations

import os

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions
from pylife_sdk.output import Failure
from pylife_sdk.python_app import LOCKS

from pylife_python.managers import MISSPELT, REQUIREMENTS, Manager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pylife_python.version import Choice

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
    *(name for name in LOCKS if name != "requirements.txt"),
)
LEFTOVERS = (".venv", "venv", "__pycache__")
_COMMANDS = {
    "uv": "uv sync --locked --no-dev",
    "poetry": "poetry sync --only main",
    "pdm": "pdm sync --prod",
    "pipenv": "pipenv sync",
    "pylock": "uv pip sync pylock.toml",
    "pyproject": "pip install .",
}


def detect(context: Detect) -> int:
    """Passes when any sign of Python is in the app's root; says which, and what the build would do."""
    present = sorted(os.listdir(context.app))
    signs = [name for name in (*SIGNS, *MISSPELT) if name in present and _is_sign(context.app, name)]
    signs += [f"{name}/" for name in LEFTOVERS if os.path.isdir(os.path.join(context.app, name))]
    signs += [name for name in context.env.get(REQUIREMENTS, "").replace(",", " ").split() if name not in signs]
    if not signs:
        print(f"No Python app: looked for {', '.join(SIGNS)}.")
        print(f"Found in its root: {', '.join(present[:20]) or 'nothing'}.")
        return NO_MATCH
    print(f"A Python app, because its root has {', '.join(signs)}.")
    decisions = Decisions()
    choice = _version(context, decisions)
    manager = _manager(context, decisions)
    decisions.layer("runtime", f"Python {choice.version}" if choice and choice.version else "Python")
    if manager:
        decisions.layer("venv", f"the packages of {', '.join(manager.files)}")
        _web(context, manager, decisions)
    metadata: dict[str, object] = {"build": True, "launch": True}
    if choice and choice.version:
        metadata |= {"version": choice.version, "version-origin": choice.origin}
    return context.pass_with(["python"], [{"name": "python", "metadata": metadata}], decisions)


def _is_sign(app: str, name: str) -> bool:
    # A folder called "requirements" is a usual home for several good requirements files.
    return os.path.isfile(os.path.join(app, name))


def _version(context: Detect, decisions: Decisions) -> Choice | None:
    from pylife_python.version import choose

    try:
        choice = choose(context.app, context=context)
    except Failure as failure:
        _problem(failure, decisions)
        return None
    if choice.file:
        decisions.read(choice.file)
    shown = choice.version or "the newest that fits of the sources that only the build asks"
    print(f"Python {shown}: {choice.origin}.")
    decisions.version("Python", shown, choice.origin)
    return choice


def _manager(context: Detect, decisions: Decisions) -> Manager | None:
    from pylife_python.managers import choose_manager

    try:
        manager = choose_manager(context.app, context.env)
    except Failure as failure:
        _problem(failure, decisions)
        return None
    files = " ".join(f"-r {name}" for name in manager.files)
    command = _COMMANDS.get(manager.name, f"pip install {files}")
    print(f"Packages: {command}, since {manager.why}.")
    decisions.read(*manager.files)
    decisions.command(command)
    return manager


def _web(context: Detect, manager: Manager, decisions: Decisions) -> None:
    from pylife_sdk.python_app import named_packages, procfile_types

    from pylife_python.web import guess_script, guess_web

    if "web" in procfile_types(context.app):
        decisions.read("Procfile")
        return
    packages = named_packages(context.app, manager.name, manager.files)
    guess = None
    if "django" not in packages:
        guess = guess_web(context.app, packages, manager.file)
        if guess is None and not os.path.exists(os.path.join(context.app, "Procfile")):
            guess = guess_script(context.app)
    if guess and guess.line:
        print(f"web would be: {guess.line} ({guess.why}).")
        decisions.process("web", guess.line, guess.why)


def _problem(failure: Failure, decisions: Decisions) -> None:
    print(f"The build will stop: {failure.what} [{failure.id}]")
    decisions.problem(failure.id, failure.what)
