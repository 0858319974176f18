"""Makes a Django project ready to start: static files, migrations, processes."""

from __future__ import annotations

import os

from pylife_sdk.context import Build
from pylife_sdk.hooks import run_hook
from pylife_sdk.launch import Process, shell, write_launch
from pylife_sdk.output import fail, heading, note, warn
from pylife_sdk.python_app import package_files, procfile_types

from pylife_django.project import Project
from pylife_django.web import SERVERS, web_line


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for what the user can mend."""
    migrate = _migrate_option(context)
    venv = context.env.get("VIRTUAL_ENV", "")
    if not _has_django(venv):
        warn("Django is not installed in the virtual environment, so there is nothing to do for it.")
        run_hook(context, "post_compile", context.env)
        return
    project = Project(context.app, context.env)
    where = os.path.relpath(os.path.join(project.directory, "manage.py"), context.app)
    settings = f"{project.settings} ({project.settings_origin})" if project.settings else "chosen by manage.py itself"
    heading(f"Django: {where}, settings {settings}")
    if project.others:
        note(f"{where} is taken, the one nearest to the root; left aside: {', '.join(project.others)}.")
    from pylife_django.static import collect_static

    slices = collect_static(context, project, venv)
    if migrate == "build":
        from pylife_django.command import run_manage

        run_manage(project, venv, ["migrate", "--noinput"])
    run_hook(context, "post_compile", context.env)
    write_launch(context, _processes(context, project, venv, migrate), [[path] for path in slices])


def _migrate_option(context: Build) -> str:
    value = context.env.get("PYLIFE_DJANGO_MIGRATE", "release")
    if value not in ("release", "build", "off"):
        fail(
            "django.migrate-option",
            f"PYLIFE_DJANGO_MIGRATE is {value!r}.",
            found=f"PYLIFE_DJANGO_MIGRATE={value}",
            fix="Set it to release (the default), build or off.",
        )
    return value


def _has_django(venv: str) -> bool:
    library = os.path.join(venv, "lib")
    return bool(venv) and any(
        os.path.isfile(os.path.join(library, python, "site-packages", "django", "__init__.py"))
        for python in os.listdir(library)
    )


def _processes(context: Build, project: Project, venv: str, migrate: str) -> list[Process]:
    directory = "" if project.directory == context.app else project.directory
    own = procfile_types(context.app)
    processes = []
    if "web" in own:
        note("web: the Procfile's own.")
    else:
        servers = {name for name in SERVERS if os.path.exists(os.path.join(venv, "bin", name))}
        line, warning = web_line(project, servers, (package_files(context.app) or ["requirements.txt"])[0])
        if warning:
            warn(warning)
        note(f"web: {line}")
        processes.append(Process("web", shell(f"exec {line}"), True, directory))
    if "release" in own:
        note("release: the Procfile's own.")
    elif migrate == "release":
        note("release: python manage.py migrate --noinput (PYLIFE_DJANGO_MIGRATE=build or off changes it)")
        processes.append(Process("release", ("python", "manage.py", "migrate", "--noinput"), False, directory))
    return processes
