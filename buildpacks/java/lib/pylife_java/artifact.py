"""What Maven or Gradle built: the one archive, or folder, that is the app."""

from __future__ import annotations

import fnmatch
import os

from pylife_sdk.output import column, fail

from pylife_java.archive import is_archive, read_manifest
from pylife_java.prebuilt import require_main

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_QUARKUS = "quarkus-app/quarkus-run.jar"


class Artifact:
    """A built archive, absolute, with the folder of the module's own classes ("" when there is none)."""

    __slots__ = ("classes", "path", "quarkus")

    def __init__(self, path: str, classes: str, quarkus: bool = False) -> None:
        self.path, self.classes, self.quarkus = path, classes, quarkus

    def own(self) -> frozenset[str] | None:
        """Paths of the app's own files in the archive, None when the build left no folder of classes."""
        if not os.path.isdir(self.classes):
            return None
        found = []
        for folder, _, files in os.walk(self.classes):
            found += [os.path.relpath(os.path.join(folder, name), self.classes) for name in files]
        return frozenset(found)


def find_artifact(app: str, env: Mapping[str, str], outputs: str = "target", prefix: str = "BP_MAVEN") -> Artifact:
    """The app among what a build left in its ``outputs`` folders.

    ``<prefix>_BUILT_MODULE`` and ``<prefix>_BUILT_ARTIFACT`` (a glob) narrow the choice. Raises ``Failure`` when
    nothing or several things are left.
    """
    module = env.get(f"{prefix}_BUILT_MODULE", "").strip("/")
    root = os.path.normpath(os.path.join(app, module))
    if not os.path.isdir(root):
        fail(
            "java.module-missing",
            f"{prefix}_BUILT_MODULE names a folder that is not there: {module}.",
            found=column(sorted(name for name in os.listdir(app) if os.path.isdir(os.path.join(app, name)))),
            fix=f"Name the folder of one of the modules, relative to the app's root:\n--env {prefix}_BUILT_MODULE=web",
        )
    pattern = env.get(f"{prefix}_BUILT_ARTIFACT", "")
    found = _archives(root, outputs, pattern)
    fast = [path for path in found if path.endswith(_QUARKUS)]
    if fast and not pattern:
        found = fast
    runnable = [path for path in found if "Main-Class" in (read_manifest(path) or {})]
    shown = [os.path.relpath(path, app) for path in found]
    if len(runnable) > 1:
        fail(
            "java.several-artifacts",
            f"The build left {len(runnable)} archives that could be the app.",
            found=column(os.path.relpath(path, app) for path in runnable),
            fix=f"Name the module that is the app, or the archive by a pattern:\n--env {prefix}_BUILT_MODULE="
            f"{os.path.relpath(runnable[0], app).split('/')[0]}\n--env {prefix}_BUILT_ARTIFACT='{outputs}/*-exec.jar'",
        )
    if not runnable and len(found) != 1:
        where = os.path.join(module, pattern or f"{outputs}/*.[jw]ar")
        fail(
            "java.no-artifact" if not found else "java.no-main-class",
            "The build left no archive." if not found else "None of the archives of the build says what to start.",
            found=f"looked for {where}, in modules too\n{column(shown) or '(nothing)'}",
            fix=f"Let the build make one (packaging jar or war), or name it: --env {prefix}_BUILT_ARTIFACT=PATTERN"
            if not found
            else "Name the Main-Class in the manifest of one of them (maven-jar-plugin's <mainClass>, or\n"
            "spring-boot-maven-plugin's goal repackage), or write a Procfile.",
        )
    path = (runnable or found)[0]
    quarkus = path.endswith(_QUARKUS)
    from pylife_java.archive import manifest_of, open_archive

    with open_archive(path) as archive:
        require_main(os.path.relpath(path, app), manifest_of(archive), archive.namelist())
    return Artifact(path, os.path.join(os.path.dirname(path), "classes"), quarkus)


def _archives(root: str, outputs: str, pattern: str) -> list[str]:
    found = []
    if pattern:
        return sorted(
            os.path.join(folder, name)
            for folder, _, files in os.walk(root)
            for name in files
            if fnmatch.fnmatch(os.path.relpath(os.path.join(folder, name), root), pattern)
        )
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in (".git", "node_modules", "src"))
        if folder.endswith(f"/{outputs}"):
            folders[:] = []
            found += [os.path.join(folder, name) for name in sorted(files) if is_archive(name)]
            quarkus = os.path.join(folder, _QUARKUS)
            found += [quarkus] if os.path.isfile(quarkus) else []
    return found
