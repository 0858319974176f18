"""The web process of a Django project: a server that is installed, else Django's own for development."""

from __future__ import annotations

from pylife_sdk.python_app import how_to_add

from pylife_django.project import Project

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

SERVERS = ("gunicorn", "uvicorn")


def web_line(project: Project, servers: Collection[str], file: str) -> tuple[str, str]:
    """The command line, and a warning ("" when there is none). ``file`` names the app's packages."""
    gunicorn, uvicorn = "gunicorn" in servers, "uvicorn" in servers
    if uvicorn and project.asgi and (project.wants_asgi or not (gunicorn and project.wsgi)):
        return f"uvicorn {project.asgi} --host 0.0.0.0 --port ${{PORT:-8000}}", ""
    if gunicorn and project.wsgi:
        return f"gunicorn {project.wsgi} --bind 0.0.0.0:${{PORT:-8000}} --access-logfile -", ""
    if gunicorn or uvicorn:
        cause = "no WSGI_APPLICATION or wsgi.py was found" if gunicorn else "no ASGI_APPLICATION or asgi.py was found"
        add = "Name the entry point in a Procfile: web: gunicorn PACKAGE.wsgi --bind 0.0.0.0:$PORT"
    else:
        cause = f"neither gunicorn nor uvicorn is in {file}"
        add = how_to_add(file, "gunicorn")
    warning = f"web is Django's DEVELOPMENT SERVER: {cause}.\nIt is not made for production. {add}"
    return "python manage.py runserver 0.0.0.0:${PORT:-8000} --noreload", warning
