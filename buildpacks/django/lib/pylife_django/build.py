"""Makes a Django project ready to start: static files, migrations, processes."""

from __future__ import annotations

import os

from pylife_sdk.context import Build
from pylife_sdk.hooks import run_hook
from pylife_sdk.launch import Process, shell, write_launch
from pylife_sdk.output import fail, heading, note, warn
from pylife_sdk.python_app import how_to_add, package_files, procfile_types

from pylife_django.project import Project


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
        line = _web_line(context.app, project, venv)
        note(f"web: {line}")
        processes.append(Process("web", shell(f"exec {line}"), True, directory))
    if "release" in own:
        note("release: the Procfile's own.")
    elif migrate == "release":
        note("release: python manage.py migrate --noinput (PYLIFE_DJANGO_MIGRATE=build or off changes it)")
        processes.append(Process("release", ("python", "manage.py", "migrate", "--noinput"), False, directory))
    return processes


def _web_line(app: str, project: Project, venv: str) -> str:
    """The command line of the web process: a server that is installed, else Django's own for development."""
    gunicorn = os.path.exists(os.path.join(venv, "bin", "gunicorn"))
    uvicorn = os.path.exists(os.path.join(venv, "bin", "uvicorn"))
    if uvicorn and project.asgi and (project.wants_asgi or not (gunicorn and project.wsgi)):
        return f"uvicorn {project.asgi} --host 0.0.0.0 --port ${{PORT:-8000}}"
    if gunicorn and project.wsgi:
        return f"gunicorn {project.wsgi} --bind 0.0.0.0:${{PORT:-8000}} --access-logfile -"
    if gunicorn or uvicorn:
        cause = "no WSGI_APPLICATION or wsgi.py was found" if gunicorn else "no ASGI_APPLICATION or asgi.py was found"
        add = "Name the entry point in a Procfile: web: gunicorn PACKAGE.wsgi --bind 0.0.0.0:$PORT"
    else:
        file = (package_files(app) or ["requirements.txt"])[0]
        cause = f"neither gunicorn nor uvicorn is in {file}"
        add = how_to_add(file, "gunicorn")
    warn(f"web is Django's DEVELOPMENT SERVER: {cause}.\nIt is not made for production. {add}")
    return "python manage.py runserver 0.0.0.0:${PORT:-8000} --noreload"
