"""Is this a Django project? It has a manage.py that starts Django, and its requirements bring Django."""

from __future__ import annotations

import os
from typing import Any

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.output import Failure
from pylife_sdk.requirements import read_requirements

from pylife_django.project import find_manage


def detect(context: Detect) -> int:
    """Passes for a Django project; says what was found and what was missing."""
    found = find_manage(context.app)
    if not found:
        print("No manage.py that starts Django, down to three folders deep.")
        return NO_MATCH
    shown = [os.path.relpath(path, context.app) for path in found]
    requirements = os.path.join(context.app, "requirements.txt")
    if not os.path.isfile(requirements):
        print(f"{shown[0]} is there, but no requirements.txt that could name Django.")
        return NO_MATCH
    try:
        wanted = read_requirements(requirements)
    except Failure as failure:
        print(f"requirements.txt cannot be read: {failure.what} [{failure.id}]")
        return NO_MATCH
    # Other packages bring Django along: djangorestframework, django-*, wagtail; and so may the app's own setup.
    bringing = sorted(name for name in wanted.names if name.startswith("django") or name == "wagtail")
    if not bringing and not wanted.local:
        print(f"{shown[0]} is there, but requirements.txt does not name Django.")
        return NO_MATCH
    reason = "django" if "django" in bringing else (bringing or ["the app itself"])[0]
    print(f"A Django project: {shown[0]}, and {reason} in requirements.txt.")
    if len(shown) > 1:
        print(f"Taken: {shown[0]}, the one nearest to the root. Not taken: {', '.join(shown[1:])}.")
    required: list[dict[str, Any]] = [
        {"name": "python", "metadata": {"build": True, "launch": True}},
        {"name": "django"},
    ]
    return context.pass_with(["django"], required)
