"""The jars of an app as components: who they are, by what lies in them, in Maven's repository, and by their names."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable

from pylife_sdk.sbom import Component

from pylife_java.properties import parse_properties

_NAME = re.compile(r"(.+?)-(\d[\w.+-]*)$")
_POM = re.compile(r"META-INF/maven/([^/]+)/([^/]+)/pom\.properties$")


def jar_components(folder: str, repository: str = "") -> list[Component]:
    """A component for each jar below a folder, each once. ``repository`` is a local Maven repository that was used."""
    jars = sorted(
        os.path.join(here, name) for here, _, files in os.walk(folder) for name in files if name.endswith(".jar")
    )
    known = _known({os.path.basename(jar) for jar in jars}, repository)
    found = {_component(jar, known) for jar in jars}
    # What was shaded into the app's own classes left its pom.properties behind.
    for here, _, files in os.walk(os.path.join(folder, "META-INF", "maven")):
        if "pom.properties" in files:
            with open(os.path.join(here, "pom.properties"), encoding="utf-8", errors="replace") as file:
                found |= _described(file.read())
    return sorted(found)


def _component(jar: str, known: dict[str, tuple[str, str, str]]) -> Component:
    stem = os.path.basename(jar).removesuffix(".jar")
    if coordinates := known.get(os.path.basename(jar)):
        return _maven(*coordinates)
    try:
        with zipfile.ZipFile(jar) as archive:
            described: set[Component] = set()
            for name in archive.namelist():
                if _POM.match(name):
                    described |= _described(archive.read(name).decode("utf-8", errors="replace"))
    except (zipfile.BadZipFile, OSError):
        described = set()
    # A jar into which others were shaded describes several; the one with its name is the jar itself.
    for each in sorted(described):
        if stem == f"{each.name}-{each.version}" or stem.endswith(f".{each.name}-{each.version}"):
            return each
    if len(described) == 1:
        return described.pop()
    match = _NAME.match(stem)
    name, version = (match[1], match[2]) if match else (stem, "")
    return Component(name, version, f"pkg:generic/{name}@{version}" if version else f"pkg:generic/{name}")


def _known(names: Iterable[str], repository: str) -> dict[str, tuple[str, str, str]]:
    """Coordinates by file name, from a repository's layout; a name that two groups have is left out."""
    wanted, found = set(names), dict[str, tuple[str, str, str]]()
    twice = set()
    for folder, folders, files in os.walk(repository) if repository else ():
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in wanted.intersection(files):
            parts = os.path.relpath(folder, repository).split("/")
            if len(parts) > 2:
                if name in found:
                    twice.add(name)
                found[name] = (".".join(parts[:-2]), parts[-2], parts[-1])
    return {name: coordinates for name, coordinates in found.items() if name not in twice}


def _described(text: str) -> set[Component]:
    fields = {name: value for name, (value, _) in parse_properties(text).items()}
    group, name, version = (fields.get(key, "") for key in ("groupId", "artifactId", "version"))
    return {_maven(group, name, version)} if group and name and version else set()


def _maven(group: str, name: str, version: str) -> Component:
    return Component(name, version, f"pkg:maven/{group}/{name}@{version}")
