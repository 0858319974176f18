"""Which folder is the app, which is the root that its packages are installed in, and what lies between: workspaces.

In a repository with one package both are the same. With workspaces the lockfile and most of node_modules belong to the
root, and one of its packages is the app.
"""

from __future__ import annotations

import os

from pylife_sdk.output import fail

from pylife_nodejs.manifest import NAME, Manifest, read_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from re import Pattern

VARIABLE = "BP_NODE_PROJECT_PATH"
LOCKFILES = {
    "npm-shrinkwrap.json": "npm",
    "package-lock.json": "npm",
    "yarn.lock": "yarn",
    "pnpm-lock.yaml": "pnpm",
    "bun.lock": "bun",
    "bun.lockb": "bun",
}
_PNPM = "pnpm-workspace.yaml"
_PASSED_OVER = frozenset({"node_modules", ".git", ".heroku", "bower_components"})
ENTRIES = ("server.js", "index.js", "app.js", "main.js")


class Project:
    """``root`` is where packages are installed, ``manifest`` the app's, ``members`` the workspace packages by name."""

    __slots__ = ("app", "manifest", "members", "origin", "root")

    def __init__(
        self, app: str, root: Manifest, manifest: Manifest, members: Mapping[str, Manifest], origin: str
    ) -> None:
        self.app, self.root, self.manifest, self.members, self.origin = app, root, manifest, members, origin

    @property
    def nested(self) -> bool:
        """Whether the app is one package of a workspace."""
        return self.manifest.directory != self.root.directory

    def shown(self, path: str) -> str:
        """A path relative to the source."""
        return os.path.relpath(path, self.app)

    def lockfiles(self) -> list[str]:
        """The lockfiles at the root, by name."""
        return [name for name in LOCKFILES if os.path.isfile(os.path.join(self.root.directory, name))]

    def needed(self) -> list[Manifest]:
        """The app's workspace packages, each after those that it needs; the app itself is the last."""
        ordered: dict[str, Manifest] = {}
        _visit(self.manifest, self.members, ordered, set())
        return list(ordered.values())


def _visit(manifest: Manifest, members: Mapping[str, Manifest], ordered: dict[str, Manifest], seen: set[str]) -> None:
    if manifest.directory in seen:
        return
    seen.add(manifest.directory)
    for name in sorted({**manifest.dependencies, **manifest.table("devDependencies")}):
        if name in members:
            _visit(members[name], members, ordered, seen)
    ordered[manifest.directory] = manifest


def find_project(app: str, env: Mapping[str, str]) -> Project:
    """The app and its root. Raises ``Failure`` for a project path that is none, and for a broken package.json."""
    wanted = env.get(VARIABLE, "").strip()
    top = read_manifest(app, app)
    if wanted not in ("", "."):
        return _chosen(app, top, wanted)
    members = _members(top, app)
    if members and not can_start(top):
        able = [member for member in members.values() if can_start(member)]
        if len(able) == 1:
            why = f"{os.path.dirname(able[0].shown)} is the one package of the workspace that has a start script"
            return Project(app, top, able[0], members, why)
    return Project(app, top, top, members, "")


def can_start(manifest: Manifest) -> bool:
    """Whether a package says how it is started."""
    return bool(manifest.scripts.get("start")) or any(
        os.path.isfile(os.path.join(manifest.directory, name)) for name in ENTRIES[:1]
    )


def _chosen(app: str, top: Manifest, wanted: str) -> Project:
    directory = os.path.normpath(os.path.join(app, wanted))
    inside = directory == app or directory.startswith(app + os.sep)
    if not inside or not os.path.isfile(os.path.join(directory, NAME)):
        known = [os.path.dirname(shown) or "." for shown in _manifests(app)]
        fail(
            "node.project-path",
            f"{VARIABLE} is {wanted}, where there is no {NAME}.",
            found=f"folders with a {NAME}: {', '.join(known[:20]) or 'none'}",
            fix=f"Set {VARIABLE} to one of these folders, relative to the root of the source.",
        )
    manifest = read_manifest(directory, app)
    origin = f"{VARIABLE}={wanted}"
    members = _members(top, app)
    if any(member.directory == directory for member in members.values()):
        return Project(app, top, manifest, members, origin)
    return Project(app, manifest, manifest, _members(manifest, app), origin)


def _manifests(app: str) -> list[str]:
    found = []
    for directory, folders, files in os.walk(app):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER)
        if NAME in files:
            found.append(os.path.relpath(os.path.join(directory, NAME), app))
    return found


def _members(root: Manifest, app: str) -> dict[str, Manifest]:
    """The packages of the workspace by name (by folder where they have none)."""
    patterns = _patterns(root)
    if not patterns:
        return {}
    wanted = [_expression(each) for each in patterns if not each.startswith("!")]
    refused = [_expression(each[1:]) for each in patterns if each.startswith("!")]
    members: dict[str, Manifest] = {}
    for directory, folders, files in os.walk(root.directory):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER)
        relative = os.path.relpath(directory, root.directory)
        if NAME not in files or relative == ".":
            continue
        if any(each.fullmatch(relative) for each in wanted) and not any(each.fullmatch(relative) for each in refused):
            member = read_manifest(directory, app)
            members.setdefault(member.name or relative, member)
    return members


def _patterns(root: Manifest) -> list[str]:
    declared = root.data.get("workspaces")
    if isinstance(declared, dict):
        declared = declared.get("packages")
    patterns = [each for each in declared if isinstance(each, str)] if isinstance(declared, list) else []
    path = os.path.join(root.directory, _PNPM)
    if os.path.isfile(path):
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            patterns = _yaml_list(file.read(), "packages") or patterns
    return [each.removeprefix("./").rstrip("/") for each in patterns]


def _yaml_list(text: str, name: str) -> list[str]:
    """The strings of one list at the top of a YAML file, in either of the two ways that lists are written."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        bare = line.split(" #")[0].rstrip()
        if not bare.strip() or bare.lstrip().startswith("#"):
            continue
        if bare.startswith(f"{name}:"):
            inside, rest = True, bare.partition(":")[2].strip()
            if rest.startswith("["):
                return [each.strip().strip("'\"") for each in rest.strip("[]").split(",") if each.strip()]
        elif inside and bare.lstrip().startswith("- "):
            found.append(bare.lstrip()[2:].strip().strip("'\""))
        elif inside and not bare.startswith(" "):
            break
    return found


def _expression(pattern: str) -> Pattern[str]:
    import re

    parts = []
    for part in pattern.removeprefix("./").split("/"):
        if part == "**":
            parts.append("(?:[^/]+/)*")
        else:
            text = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
            text = re.sub(r"\\\{([^}]*)\\\}", lambda match: f"(?:{match[1].replace(',', '|')})", text)
            parts.append(text + "/")
    joined = "".join(parts)
    return re.compile(joined[:-1] if joined.endswith("/") else joined + "[^/]+")
