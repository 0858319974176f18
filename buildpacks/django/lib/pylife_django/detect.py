"""Is this a Django project? It has a manage.py that starts Django, and its packages include Django."""

from __future__ import annotations

import os
from typing import Any

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions
from pylife_sdk.output import Failure
from pylife_sdk.python_app import LOCKS, named_packages, package_files, procfile_types
from pylife_sdk.requirements import read_requirements

from pylife_django.project import find_manage


def detect(context: Detect) -> int:
    """Passes for a Django project; says what was found and what was missing."""
    found = find_manage(context.app)
    if not found:
        print("No manage.py that starts Django, down to three folders deep.")
        return NO_MATCH
    shown = [os.path.relpath(path, context.app) for path in found]
    files = package_files(context.app)
    if not files:
        print(f"{shown[0]} is there, but no {', '.join(LOCKS)} or pyproject.toml that could name Django.")
        return NO_MATCH
    wanted = named_packages(context.app, LOCKS.get(files[0], "pyproject"), (files[0],))
    # Other packages bring Django along: djangorestframework, django-*, wagtail; and so may the app's own setup.
    bringing = sorted(name for name in wanted if name.startswith("django") or name == "wagtail")
    if not bringing and not _may_bring(context.app, files[0]):
        print(f"{shown[0]} is there, but {files[0]} does not name Django.")
        return NO_MATCH
    reason = "django" if "django" in bringing else (bringing or ["the app itself"])[0]
    print(f"A Django project: {shown[0]}, and {reason} in {files[0]}.")
    if len(shown) > 1:
        print(f"Taken: {shown[0]}, the one nearest to the root. Not taken: {', '.join(shown[1:])}.")
    required: list[dict[str, Any]] = [
        {"name": "django"},
        {"name": "python", "metadata": {"build": True, "launch": True, "runs-post-compile": True}},
    ]
    return context.pass_with(["django"], required, _decisions(context, shown[0], files[0], wanted))


def _may_bring(app: str, file: str) -> bool:
    """Whether a requirements file installs from a path, whose packages only the build knows."""
    if file != "requirements.txt":
        return False
    try:
        return bool(read_requirements(os.path.join(app, file)).local)
    except Failure as failure:
        print(f"requirements.txt cannot be read: {failure.what} [{failure.id}]")
        return False


def _decisions(context: Detect, manage: str, file: str, packages: frozenset[str]) -> Decisions:
    from pylife_django.project import Project
    from pylife_django.web import web_line

    decisions = Decisions()
    decisions.read(manage)
    if context.env.get("DISABLE_COLLECTSTATIC", "0") in ("", "0"):
        decisions.command("python manage.py collectstatic --noinput")
    own, migrate = procfile_types(context.app), context.env.get("PYLIFE_DJANGO_MIGRATE", "release")
    if migrate == "build":
        decisions.command("python manage.py migrate --noinput")
    if "web" not in own:
        line, warning = web_line(Project(context.app, context.env), packages, file)
        why = warning.split("\n")[0] if warning else f"{line.split()[0]} is among the packages of {file}"
        decisions.process("web", line, why)
    if "release" not in own and migrate == "release":
        decisions.process("release", "python manage.py migrate --noinput", "PYLIFE_DJANGO_MIGRATE=release")
    return decisions
