"""What a Django project says about itself in its files, read without running it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

DEPTH = 3
_SKIPPED = frozenset({"venv", "env", "node_modules", "__pycache__", "site-packages"})


class Project:
    """A Django project: where its manage.py is, its settings module with where that is said, its entry points.

    ``wsgi`` and ``asgi`` are ``module:name``, empty when there is none.
    """

    __slots__ = ("app", "asgi", "directory", "others", "settings", "settings_origin", "wants_asgi", "wsgi")

    def __init__(self, app: str, env: Mapping[str, str]) -> None:
        found = find_manage(app)
        self.app = app
        self.directory = os.path.dirname(found[0])
        self.others = [os.path.relpath(path, app) for path in found[1:]]
        self.settings, self.settings_origin = _settings(found[0], app, env)
        said = _assignments(self.directory, self.settings) if self.settings else {}
        self.wsgi = _entry_point(self.directory, self.settings, said.get("WSGI_APPLICATION"), "wsgi")
        self.asgi = _entry_point(self.directory, self.settings, said.get("ASGI_APPLICATION"), "asgi")
        self.wants_asgi = "ASGI_APPLICATION" in said

    def settings_file(self) -> str:
        """The settings module's file, relative to manage.py's folder; "settings.py" when it is not found."""
        path = _module_file(self.directory, self.settings)
        return os.path.relpath(path, self.directory) if path else "settings.py"


def find_manage(app: str) -> list[str]:
    """The manage.py files that start Django, nearest to the root first."""
    found = []
    for directory in _directories(app, DEPTH):
        path = os.path.join(directory, "manage.py")
        if os.path.isfile(path) and "django" in _read(path).lower():
            found.append(path)
    return found


def _directories(root: str, depth: int) -> Iterator[str]:
    level = [root]
    for _ in range(depth):
        yield from level
        below = []
        for directory in level:
            with os.scandir(directory) as entries:
                below += [
                    entry.path
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and entry.name not in _SKIPPED and entry.name[0] != "."
                ]
        level = sorted(below)


def _settings(manage: str, app: str, env: Mapping[str, str]) -> tuple[str, str]:
    if module := env.get("DJANGO_SETTINGS_MODULE"):
        return module, "DJANGO_SETTINGS_MODULE in the environment"
    shown = os.path.relpath(manage, app)
    match = re.search(r"""["']DJANGO_SETTINGS_MODULE["']\s*[\],]\s*=?\s*["']([\w.]+)["']""", _read(manage))
    return (match[1], shown) if match else ("", "")


def _assignments(directory: str, module: str, seen: frozenset[str] = frozenset()) -> dict[str, str]:
    """Constant strings that a settings module assigns, with those of modules that it takes everything from."""
    import ast

    path = _module_file(directory, module)
    if path is None or path in seen:
        return {}
    try:
        tree = ast.parse(_read(path))
    except SyntaxError:
        return {}
    package = module if path.endswith("/__init__.py") else module.rpartition(".")[0]
    said: dict[str, str] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                said[name] = text
            case ast.ImportFrom(module=source, names=[ast.alias(name="*")], level=level):
                parts = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                other = ".".join([*parts, *([source] if source else [])])
                said |= _assignments(directory, other, seen | {path})
    return said


def _entry_point(directory: str, settings: str, said: str | None, kind: str) -> str:
    if said and "." in said:
        module, _, name = said.rpartition(".")
        return f"{module}:{name}"
    package = settings.rpartition(".")[0]
    while package:
        if _module_file(directory, f"{package}.{kind}"):
            return f"{package}.{kind}:application"
        package = package.rpartition(".")[0]
    return ""


def _module_file(directory: str, module: str) -> str | None:
    base = os.path.join(directory, *module.split("."))
    return next((path for path in (base + ".py", os.path.join(base, "__init__.py")) if os.path.isfile(path)), None)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
