"""Running the project's manage.py in its virtual environment."""

from __future__ import annotations

import os

from pylife_sdk.output import note
from pylife_sdk.process import run
from pylife_sdk.python_app import package_files

from pylife_django.failures import explain
from pylife_django.project import Project


def run_manage(project: Project, venv: str, arguments: list[str]) -> None:
    """Runs ``manage.py`` with the user's environment, its lines passed on. Raises ``Failure`` when it fails."""
    note(f"$ python manage.py {' '.join(arguments)}")
    _run(project, venv, ["manage.py", *arguments], f"python manage.py {arguments[0]}", quiet=False)


def run_quiet(project: Project, venv: str, arguments: list[str]) -> None:
    """Runs a script beside manage.py without showing its lines. Raises ``Failure`` when it fails."""
    _run(project, venv, arguments, "python manage.py collectstatic", quiet=True)


def _run(project: Project, venv: str, arguments: list[str], command: str, *, quiet: bool) -> None:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    command_line = [os.path.join(venv, "bin", "python"), *arguments]
    ran = run(command_line, env=env, cwd=project.directory, show=None if quiet else lambda line: True)
    if ran.code:
        explain(ran.output, command, project.settings, (package_files(project.app) or ["requirements.txt"])[0])
