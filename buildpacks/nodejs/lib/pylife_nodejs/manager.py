"""Which package manager installs the packages, in which version, and who says so."""

from __future__ import annotations

import os
import re
from typing import NoReturn

from pylife_sdk.output import fail

from pylife_nodejs.project import LOCKFILES, Project
from pylife_nodejs.semver import Range, RangeError, parse_version

KNOWN = ("npm", "yarn", "pnpm")
_FIELD = re.compile(r"([A-Za-z0-9@/_-]+)@([^+]+)(?:\+(sha(?:1|224|256|384|512))\.([0-9a-fA-F]+|[A-Za-z0-9_-]+))?")
_LOCK_HEAD = 4096


class Manager:
    """A package manager. ``wanted`` is a range, ``exact`` a version, ``hash`` an algorithm and the expected hex.

    ``berry`` tells Yarn 2 and later from the classic one; ``script`` is a program in the source that is taken as it
    is. ``lockfile`` is the name of the lockfile, "" without one.
    """

    __slots__ = ("berry", "exact", "hash", "lockfile", "name", "origin", "script", "wanted")

    def __init__(self, name: str, origin: str) -> None:
        self.name, self.origin = name, origin
        self.wanted, self.exact, self.lockfile, self.script = "", "", "", ""
        self.hash: tuple[str, str] | None = None
        self.berry = False

    @property
    def title(self) -> str:
        """Its name for people."""
        return {"npm": "npm", "yarn": "Yarn", "pnpm": "pnpm"}[self.name]


def choose_manager(project: Project) -> Manager:
    """The package manager by packageManager, yarnPath, lockfile, engines: the first that says something.

    Raises ``Failure`` where they contradict each other, and for one that pylife has not.
    """
    locks = project.lockfiles()
    by_lock = _lockfile(project, locks)
    declared = _declared(project)
    script = _yarn_path(project)
    if declared:
        manager = declared
    elif script:
        manager = Manager("yarn", "yarnPath of .yarnrc.yml")
    elif by_lock:
        manager = Manager(by_lock, locks[0])
    else:
        manager = _by_engines(project) or Manager("npm", "nothing asks for another")
    if by_lock and by_lock != manager.name:
        other = next((name for name, owner in LOCKFILES.items() if owner == manager.name), "")
        fail(
            "node.manager-conflict",
            f"{manager.origin} asks for {manager.title}, and the lockfile {locks[0]} is {by_lock}'s.",
            found=f"{manager.origin}: {manager.name}@{manager.exact or manager.wanted or '*'}\nlockfile: {locks[0]}",
            fix=f"Keep one of them. For {manager.title}:\n"
            f"git rm {locks[0]} && {manager.name} install && git add {other}\n"
            f"For {by_lock}: change {manager.origin}.",
        )
    if script and manager.name == "yarn":
        manager.script, manager.berry = script, True
    manager.lockfile = locks[0] if locks else ""
    _engines(project, manager)
    _complete(project, manager)
    return manager


def _lockfile(project: Project, locks: list[str]) -> str:
    owners = list(dict.fromkeys(LOCKFILES[name] for name in locks))
    if "bun" in owners and len(owners) == 1:
        _no_bun(locks[0], f"lockfile: {locks[0]}")
    if len(owners) > 1:
        first = next((owner for owner in owners if owner != "bun"), "npm")
        rest = [name for name in locks if LOCKFILES[name] != first]
        fail(
            "node.several-lockfiles",
            f"There are lockfiles of {' and '.join(owners)}: one of them is out of date, and nothing says which.",
            found="\n".join(f"{name} ({LOCKFILES[name]})" for name in locks),
            fix="Keep the one of the package manager that you use, and remove the others. To keep "
            f"{first}'s:\n"
            + "\n".join(f"git rm {name}" for name in rest)
            + "\nTo keep another:\n"
            + "\n".join(
                f"git rm {' '.join(each for each in locks if LOCKFILES[each] != owner)}   # keeps {owner}'s"
                for owner in owners
                if owner != first
            ),
        )
    if "npm-shrinkwrap.json" in locks and "package-lock.json" in locks:
        fail(
            "node.lock-and-shrinkwrap",
            "There are both package-lock.json and npm-shrinkwrap.json; npm reads the second and ignores the first.",
            found="package-lock.json\nnpm-shrinkwrap.json",
            fix="git rm npm-shrinkwrap.json\n(or git rm package-lock.json, for a package that is published with its "
            "shrinkwrap)",
        )
    return owners[0] if owners else ""


def _declared(project: Project) -> Manager | None:
    for manifest in dict.fromkeys((project.manifest, project.root)):
        field = manifest.data.get("packageManager")
        if field is not None:
            return _field(field, f"packageManager of {manifest.shown}")
        wanted = manifest.table("devEngines", "packageManager")
        if isinstance(name := wanted.get("name"), str):
            if name not in KNOWN:
                _no_bun(f"devEngines.packageManager of {manifest.shown}", name)
            manager = Manager(name, f"devEngines.packageManager of {manifest.shown}")
            manager.wanted = wanted["version"] if isinstance(wanted.get("version"), str) else ""
            return manager
    return None


def _field(field: object, origin: str) -> Manager:
    match = _FIELD.fullmatch(field.strip()) if isinstance(field, str) else None
    name, version = (match[1], match[2]) if match else ("", "")
    if name and name not in KNOWN:
        _no_bun(origin, f"{origin}: {field}")
    if not match or parse_version(version) is None:
        example = f"{name or 'pnpm'}@{ {'npm': '11.21.2', 'yarn': '1.22.22'}.get(name, '10.34.8') }"
        fail(
            "node.manager-syntax",
            f"{origin} is {field!r}; it is to be a name and one exact version.",
            found=f"{origin}: {field}",
            fix=f'Write for example "packageManager": "{example}", or let corepack do it:\n'
            f"corepack use {name or 'pnpm'}@latest",
        )
    manager = Manager(name, origin)
    manager.exact = version
    if match[3]:
        manager.hash = (match[3], match[4].lower())
    return manager


def _by_engines(project: Project) -> Manager | None:
    for manifest in dict.fromkeys((project.manifest, project.root)):
        for name in ("pnpm", "yarn", "npm"):
            if manifest.table("engines").get(name):
                return Manager(name, f"engines.{name} of {manifest.shown}")
    return None


def _engines(project: Project, manager: Manager) -> None:
    """Takes the range of engines, and refuses one that contradicts packageManager."""
    for manifest in dict.fromkeys((project.manifest, project.root)):
        text = manifest.table("engines").get(manager.name)
        if not text:
            continue
        origin = f"engines.{manager.name} of {manifest.shown}"
        try:
            wanted = Range(text)
        except RangeError:
            fail(
                "node.version-syntax",
                f"{origin} is no range of versions that npm understands: {text!r}.",
                found=f"{origin}: {text}",
                fix='Write a version or a range, such as "10.x", "^10.2.0" or ">=9 <11".',
            )
        if manager.exact and not wanted.allows(manager.exact):
            fail(
                "node.manager-engines",
                f"{manager.origin} and {origin} contradict each other.",
                found=f"{manager.origin}: {manager.name}@{manager.exact}\n{origin}: {text}",
                fix=f"Make them agree, for example by deleting engines.{manager.name}: packageManager is exact.",
            )
        manager.wanted = manager.wanted or text
        return


def _yarn_path(project: Project) -> str:
    """The Yarn that is committed with the source, relative to the root; "" without one."""
    path = os.path.join(project.root.directory, ".yarnrc.yml")
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        match = re.search(r"^yarnPath:\s*[\"']?([^\"'#\n]+?)[\"']?\s*(?:#.*)?$", file.read(), re.M)
    if not match:
        return ""
    if not os.path.isfile(os.path.join(project.root.directory, match[1])):
        fail(
            "node.yarn-path",
            f"yarnPath in .yarnrc.yml names a file that is not there: {match[1]}.",
            found=f".yarnrc.yml: yarnPath: {match[1]}",
            fix=f"git add -f {match[1]}\nor delete the line, and name the version in package.json:\n"
            "yarn set version stable",
        )
    return match[1]


def _complete(project: Project, manager: Manager) -> None:
    """What the version, the settings and the lockfile's own format say about the kind of package manager."""
    root, head = project.root.directory, ""
    if manager.lockfile:
        with open(os.path.join(root, manager.lockfile), encoding="utf-8", errors="replace") as file:
            head = file.read(_LOCK_HEAD)
    if manager.name == "yarn":
        written = re.search(r"^__metadata:\s*\n\s+version: (\d+)", head, re.M)
        if manager.exact:
            manager.berry = Range(">=2.0.0-0").allows(manager.exact)
        elif manager.wanted:
            manager.berry = not Range(manager.wanted).allows("1.22.22")
        elif manager.lockfile:
            manager.berry = manager.berry or written is not None
        else:
            manager.berry = manager.berry or os.path.isfile(os.path.join(root, ".yarnrc.yml"))
        if written and not manager.exact and not manager.wanted and not manager.script:
            manager.wanted = {"4": "2.x", "6": "3.x"}.get(written[1], "4.x")
            manager.origin += f" (its format {written[1]} is Yarn {manager.wanted}'s)"
    elif manager.name == "pnpm" and not manager.exact and not manager.wanted:
        format = re.search(r"^lockfileVersion: ['\"]?([\d.]+)", head, re.M)
        if format:
            manager.wanted = {"5": "7.x", "6": "8.x"}.get(format[1].split(".")[0], ">=9")
            manager.origin += f" (its format {format[1]} is pnpm {manager.wanted}'s)"


def _no_bun(where: str, found: str) -> NoReturn:
    fail(
        "node.manager-unsupported",
        f"{where} asks for a package manager that pylife does not have; it has npm, Yarn and pnpm.",
        found=found,
        fix="Install with one of these, and commit its lockfile instead, for example:\n"
        "npm install && git add package-lock.json && git rm --ignore-unmatch bun.lock bun.lockb",
    )
