"""bin/test: what runs an app's tests."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess

from pylife_sdk.output import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pylife_classic.kinds import Kind

_FIX = 'Or name the command in app.json: {"environments": {"test": {"scripts": {"test": "make test"}}}}'


def test_command(kind: Kind, app: str) -> list[str]:
    """The command, to be run in the app's folder. Raises ``Failure`` classic.no-tests where nothing tells it."""
    return _node(app) if kind.main == "nodejs" else _python(app)


def _node(app: str) -> list[str]:
    """The script of package.json, by its package manager. Source: heroku-buildpack-nodejs, bin/test."""
    from pylife_nodejs.manager import choose_manager
    from pylife_nodejs.project import find_project

    project = find_project(app, os.environ)
    scripts = project.manifest.data.get("scripts")
    if not isinstance(scripts, dict) or not scripts.get("test"):
        raise Failure(
            "classic.no-tests",
            "package.json has no script that runs the app's tests.",
            found=f"scripts: {', '.join(scripts) if isinstance(scripts, dict) and scripts else 'none'}",
            fix=f'Add one: "scripts": {{"test": "node --test"}}\n{_FIX}',
        )
    return [choose_manager(project).name, "run", "test"]


def _python(app: str) -> list[str]:
    """Django's runner, pytest where it is installed, or what unittest finds."""
    if os.path.isfile(os.path.join(app, "manage.py")):
        return ["python", "manage.py", "test"]
    if _has_pytest():
        return ["python", "-m", "pytest"]
    if found := glob.glob("**/test*.py", root_dir=app, recursive=True):
        top = os.path.dirname(sorted(found, key=lambda name: (name.count("/"), name))[0])
        return ["python", "-m", "unittest", "discover", *(["-s", top] if top else [])]
    raise Failure(
        "classic.no-tests",
        "Nothing tells how the app is tested.",
        found="neither a manage.py, nor pytest among its packages, nor a file test*.py",
        fix=f"Add tests that unittest or pytest finds.\n{_FIX}",
    )


def _has_pytest() -> bool:
    """Whether the app's Python can import pytest."""
    python = shutil.which("python")
    if python is None:
        return False
    tried = subprocess.run([python, "-c", "import pytest"], capture_output=True, stdin=subprocess.DEVNULL)
    return tried.returncode == 0
