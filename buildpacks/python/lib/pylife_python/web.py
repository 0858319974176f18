"""The web process of an app without a Procfile: which object in which module serves it, and which server is there."""

from __future__ import annotations

import os
import re

from pylife_sdk.python_app import how_to_add

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_WSGI = ("Flask", "Bottle")
# fast_app is FastHTML's usual beginning: app, rt = fast_app()
_ASGI = ("FastAPI", "Starlette", "Quart", "Litestar", "FastHTML", "fast_app")
_MADE = re.compile(
    r"^(?P<name>\w+)(?:\s*:[^=\n]+|(?:\s*,\s*\w+)+)?\s*=\s*(?:[\w.]+\.)?"
    rf"(?P<kind>{'|'.join(_WSGI + _ASGI)})\s*\(",
    re.M,
)
_FACTORY = re.compile(r"^def\s+(?P<name>create_app|make_app|get_app)\s*\((?P<parameters>[^)]*)\)", re.M)
_NAMES = ("app.py", "main.py", "wsgi.py", "asgi.py", "server.py", "api.py", "application.py")
_SCRIPTS = ("main.py", "app.py", "server.py", "run.py")
_FRAMEWORKS = ("flask", "fastapi", "starlette", "quart", "litestar", "python-fasthtml")
_BIND = "${PORT:-8000}"


class Guess:
    """A line that starts the app, and why this one. ``warning`` is what somebody should know about it; ``line`` is ""
    when the app was found and nothing can serve it."""

    __slots__ = ("line", "warning", "why")

    def __init__(self, line: str, why: str, warning: str = "") -> None:
        self.line, self.why, self.warning = line, why, warning


def guess_web(app: str, packages: Collection[str], file: str) -> Guess | None:
    """The web process of a Flask or an ASGI app, None when there is no such app. ``file`` names the packages."""
    if not any(name in packages for name in _FRAMEWORKS):
        return None
    found = _find(app)
    if found is None:
        return None
    path, target, kind, factory = found
    root, module = _module(path)
    where = f"{kind} {'factory' if factory else 'object'} {target} in {path}"
    if kind in _WSGI:
        return _wsgi(root, module, target, where, factory, packages, file)
    return _asgi(root, module, target, where, factory, packages, file)


def guess_script(app: str) -> Guess | None:
    """The script of an app that has no web framework's object and no Procfile, None when no file has a usual name."""
    script = next((name for name in _SCRIPTS if os.path.isfile(os.path.join(app, name))), "")
    if not script:
        return None
    why = f"{script} is run as a script: no app object of a web framework was found, and there is no Procfile"
    return Guess(f"python {script}", why)


def _wsgi(
    root: str, module: str, target: str, where: str, factory: bool, packages: Collection[str], file: str
) -> Guess:
    call = f"'{module}:{target}()'" if factory else f"{module}:{target}"
    if "gunicorn" in packages:
        folder = f"--pythonpath {root} " if root else ""
        return Guess(
            f"gunicorn {folder}{call} --bind 0.0.0.0:{_BIND} --access-logfile -", f"{where}, served by gunicorn"
        )
    if "waitress" in packages:
        call = f"--call {module}:{target}" if factory else f"{module}:{target}"
        prefix = f"env PYTHONPATH={root} " if root else ""
        return Guess(f"{prefix}waitress-serve --host 0.0.0.0 --port {_BIND} {call}", f"{where}, served by waitress")
    warning = (
        f"web is Flask's DEVELOPMENT SERVER: neither gunicorn nor waitress is in {file}.\n"
        f"It is not made for production. {how_to_add(file, 'gunicorn')}"
    )
    prefix = f"env PYTHONPATH={root} " if root else ""
    line = f"{prefix}flask --app {module}:{target} run --host 0.0.0.0 --port {_BIND}"
    return Guess(line if "flask" in packages else "", f"{where}, served by Flask's development server", warning)


def _asgi(
    root: str, module: str, target: str, where: str, factory: bool, packages: Collection[str], file: str
) -> Guess:
    if "uvicorn" in packages:
        folder = f"--app-dir {root} " if root else ""
        flag = "--factory " if factory else ""
        line = f"uvicorn {folder}{flag}{module}:{target} --host 0.0.0.0 --port {_BIND}"
        return Guess(line, f"{where}, served by uvicorn")
    if "hypercorn" in packages:
        prefix = f"env PYTHONPATH={root} " if root else ""
        call = f"'{module}:{target}()'" if factory else f"{module}:{target}"
        return Guess(f"{prefix}hypercorn {call} --bind 0.0.0.0:{_BIND}", f"{where}, served by hypercorn")
    warning = (
        f"There is the {where}, and nothing that could serve it: no uvicorn in {file}.\n{how_to_add(file, 'uvicorn')}"
    )
    return Guess("", where, warning)


def _find(app: str) -> tuple[str, str, str, bool] | None:
    """The file, the object, its kind and whether it is a factory: the nearest to the root, objects first."""
    factories = []
    for path in _candidates(app):
        with open(os.path.join(app, path), encoding="utf-8", errors="replace") as file:
            text = file.read()
        made = list(_MADE.finditer(text))
        if made:
            usual = next((match for match in made if match["name"] in ("app", "application")), made[0])
            return path, usual["name"], usual["kind"], False
        kind = next((each for each in _WSGI + _ASGI if re.search(rf"=\s*(?:[\w.]+\.)?{each}\s*\(", text)), "")
        factory = _FACTORY.search(text)
        if kind and factory and _is_callable_bare(factory["parameters"]):
            factories.append((path, factory["name"], kind, True))
    return factories[0] if factories else None


def _is_callable_bare(parameters: str) -> bool:
    """Whether a function with these parameters can be called with none."""
    given = [part.strip() for part in parameters.split(",")]
    return all("=" in part or part.startswith(("*", "/")) or not part for part in given)


def _candidates(app: str) -> list[str]:
    """Files where an app object may be: the usual names in the root, then in packages one and two folders deep."""
    found = [name for name in _NAMES if os.path.isfile(os.path.join(app, name))]
    for parent in ("", "src"):
        directory = os.path.join(app, parent)
        if not os.path.isdir(directory):
            continue
        if parent:
            found += (f"src/{name}" for name in _NAMES if os.path.isfile(os.path.join(directory, name)))
        for package in sorted(os.listdir(directory)):
            if package[0] in "._" or package in ("src", "tests", "test", "docs", "venv", "env", "node_modules"):
                continue
            for name in (*_NAMES, "__init__.py"):
                path = os.path.join(parent, package, name)
                if os.path.isfile(os.path.join(app, path)):
                    found.append(path)
    return found


def _module(path: str) -> tuple[str, str]:
    """The folder that must be searched for modules ("" for the app's own) and the module's name."""
    parts = path.removesuffix(".py").split("/")
    root = parts.pop(0) if parts[0] == "src" else ""
    if parts[-1] == "__init__":
        parts.pop()
    return root, ".".join(parts)
