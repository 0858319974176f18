"""Makes the layers of a Python app: interpreter, installer, virtual environment."""

from __future__ import annotations

import os

from pylife_sdk.context import Build
from pylife_sdk.layer import Layer
from pylife_sdk.output import heading, note, warn

from pylife_python.checks import check_requirements, check_virtualenv
from pylife_python.version import choose


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for what the user can mend."""
    check_virtualenv(context.app)
    requirements = check_requirements(context.app)
    choice = choose(context.app)
    heading(f"Python {choice.version}: {choice.origin}")
    for text in choice.notes:
        warn(text)
    from pylife_python.runtime import interpreter, provide_runtime
    from pylife_python.venv import has_package, provide_venv

    runtime, origin = provide_runtime(context, choice.version)
    heading("Packages")
    venv = provide_venv(context, requirements, interpreter(runtime, choice.version), choice.version, origin)
    _set_env(runtime, venv)
    if not os.path.exists(os.path.join(context.app, "Procfile")) and not has_package(venv, "django"):
        note("No Procfile: the image will have no process of its own. For a web app, commit one such as")
        note("web: gunicorn app:app --bind 0.0.0.0:$PORT")


def _set_env(runtime: Layer, venv: Layer) -> None:
    runtime.set_env("LANG", "C.UTF-8")
    runtime.set_env("PYTHONUNBUFFERED", "1")
    # An image's files stay as they were built: bytecode written at launch would be lost with the container.
    runtime.set_env("PYTHONDONTWRITEBYTECODE", "1")
    venv.set_env("VIRTUAL_ENV", venv.path, mode="override")
