"""What kind of Java app lies in a folder, seen from its root."""

from __future__ import annotations

import os

POMS = ("pom.xml", "pom.atom", "pom.clj", "pom.groovy", "pom.rb", "pom.scala", "pom.yaml", "pom.yml")
GRADLE = ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradlew")
MAVEN, GRADLE_KIND, JAR, EXPLODED = "maven", "gradle", "jar", "exploded"


class Project:
    """The kind of app, the files that say so, and for a prebuilt app its archives (relative paths)."""

    __slots__ = ("archives", "kind", "signs")

    def __init__(self, kind: str, signs: tuple[str, ...], archives: tuple[str, ...] = ()) -> None:
        self.kind, self.signs, self.archives = kind, signs, archives


def look(app: str) -> Project | None:
    """The app in a folder, None when it is not Java's. Maven comes before Gradle before what is built already."""
    names = set(os.listdir(app))
    if signs := [name for name in (*POMS, "mvnw") if name in names]:
        return Project(MAVEN, tuple(signs))
    if signs := [name for name in GRADLE if name in names]:
        return Project(GRADLE_KIND, tuple(signs))
    if "META-INF" in names and os.path.isfile(os.path.join(app, "META-INF", "MANIFEST.MF")):
        from pylife_java.archive import parse_manifest

        with open(os.path.join(app, "META-INF", "MANIFEST.MF"), encoding="utf-8", errors="replace") as file:
            if "Main-Class" in parse_manifest(file.read()):
                return Project(EXPLODED, ("META-INF/MANIFEST.MF",))
    if not (found := _archives(app)):
        return None
    return _prebuilt(app, found)


def _archives(app: str) -> list[str]:
    found = []
    for folder in ("", "target", "build/libs"):
        path = os.path.join(app, folder)
        if os.path.isdir(path):
            found += [
                os.path.join(folder, name)
                for name in sorted(os.listdir(path))
                if name.endswith((".jar", ".war")) and os.path.isfile(os.path.join(path, name))
            ]
        if found:
            return found
    return found


def _prebuilt(app: str, found: list[str]) -> Project | None:
    from pylife_java.archive import is_archive, read_manifest

    manifests = {name: read_manifest(os.path.join(app, name)) for name in found if is_archive(name)}
    runnable = [name for name, manifest in manifests.items() if manifest and "Main-Class" in manifest]
    if runnable:
        return Project(JAR, tuple(runnable), tuple(runnable))
    # A jar in an app of another language is a usual thing; it is an app when nothing else explains it.
    broken = [name for name, manifest in manifests.items() if manifest is None]
    others = set(os.listdir(app)) - {*found, "Procfile", "system.properties", "project.toml", ".git", "README.md"}
    if broken or not others or "system.properties" in os.listdir(app):
        return Project(JAR, tuple(found), tuple(broken or manifests))
    return None
