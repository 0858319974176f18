"""Asks a Django project for its settings by running its own manage.py, up to the point where Django takes over.

    python probe.py MANAGE_PY RESULT

What manage.py does before (reading .env files, choosing settings) happens as it would; then, instead of a command,
the settings are written to RESULT as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys


def answer(result: str) -> None:
    """Writes what the build needs to know about the settings."""
    settings = importlib.import_module("django.conf").settings
    staticfiles = any(app.startswith("django.contrib.staticfiles") for app in settings.INSTALLED_APPS)
    root = settings.STATIC_ROOT
    backend = getattr(settings, "STATICFILES_STORAGE", "")
    if storages := getattr(settings, "STORAGES", None):
        backend = storages.get("staticfiles", {}).get("BACKEND", backend)
    local = not backend or backend.startswith(("django.contrib.staticfiles.", "whitenoise."))
    facts = {"staticfiles": staticfiles, "static_root": os.path.abspath(root) if root else "", "local": local}
    with open(result, "w", encoding="utf-8") as file:
        json.dump(facts, file)


def main(manage: str, result: str) -> None:
    """Runs manage.py with Django's entry point replaced by ``answer``."""
    management = importlib.import_module("django.core.management")

    def instead(argv: object = None) -> None:
        answer(result)
        raise SystemExit(0)

    vars(management)["execute_from_command_line"] = instead
    sys.path[0] = os.path.dirname(manage)
    sys.argv = [manage, "collectstatic", "--noinput"]
    runpy.run_path(manage, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
