"""An archive taken apart, so that an image gets its dependencies and the app's own classes in layers of their own."""

from __future__ import annotations

import os
import posixpath
import shutil
import zipfile

from pylife_java.archive import framework_of, manifest_of, open_archive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_LIBRARIES = "lib"


class App:
    """What is started: a folder's content as slices, and the arguments of ``java``.

    ``classes`` counts class files, those in jars too; ``framework`` says whose variable names the port; ``notes`` are
    decisions worth printing; ``threads`` are as many as a usual server of its kind has.
    """

    __slots__ = ("arguments", "classes", "framework", "notes", "slices", "threads")

    def __init__(
        self,
        arguments: Sequence[str],
        slices: Sequence[Sequence[str]],
        classes: int,
        framework: str,
        notes: Sequence[str] = (),
        threads: int = 250,
    ) -> None:
        self.arguments, self.slices, self.classes = list(arguments), [list(each) for each in slices if each], classes
        self.framework, self.notes, self.threads = framework, list(notes), threads


def explode(archive: str, target: str, own: Collection[str] | None, release: int) -> App:
    """Unpacks an executable archive into an empty folder and says how it is started from there.

    ``own`` are the paths of the app's own files in it where the build knows them; without, the package of the
    Main-Class tells. An archive that works only as a whole is copied as it is. ``release`` is the Java that will run
    it: what a multi-release jar has for it is put in place.
    """
    with open_archive(archive) as opened:
        manifest, names = manifest_of(opened), set(opened.namelist())
        classes = _count(opened)
        framework = framework_of(manifest, names)
        libraries = _class_path(archive, manifest, target)
        if reason := _whole(opened, manifest):
            name = os.path.basename(archive)
            shutil.copyfile(archive, os.path.join(target, name))
            notes = [f"{name} stays in one piece: {reason}."]
            if not libraries:
                return App(["-jar", name], [], classes, framework, notes)
            path = ":".join([name, *libraries])
            return App(["-cp", path, manifest["Main-Class"]], _library_slices(libraries), classes, framework, notes)
        _unpack(opened, target)
    if index := next((each for each in ("BOOT-INF/layers.idx", "WEB-INF/layers.idx") if each in names), None):
        slices = _indexed(os.path.join(target, index))
        notes = [f"Layers by {index}: {len(slices)}."]
        reactive = _has(names, "/spring-webflux-") and not _has(names, "/spring-webmvc-")
        threads = 50 if reactive else 250
        slices.append(_resources(target, index.split("/")[0] + "/classes"))
        return App(["-cp", ".", manifest["Main-Class"]], slices, classes, framework, notes, threads)
    if framework == "spring-boot" and manifest.get("Start-Class"):
        folder = "WEB-INF" if "WEB-INF/classes/" in names else "BOOT-INF"
        jars = sorted(name for name in names if name.startswith(f"{folder}/lib") and name.endswith(".jar"))
        loader = ["org"] if "org/" in names else []
        slices = [*_library_slices(jars), loader, _resources(target, f"{folder}/classes")]
        return App(["-cp", ".", manifest["Main-Class"]], slices, classes, framework)
    if manifest.get("Multi-Release", "").lower() == "true":
        _merge_versions(target, release)
    slices = [*_library_slices(libraries), *_split(target, manifest["Main-Class"], own, libraries)]
    path = ":".join([".", *libraries])
    return App(["-cp", path, manifest["Main-Class"]], slices, classes, framework)


def _whole(opened: zipfile.ZipFile, manifest: Mapping[str, str]) -> str:
    """Why an archive cannot be taken apart, as a clause; empty when it can."""
    files: set[str] = set()
    folders: set[str] = set()
    for info in opened.infolist():
        name = info.filename
        clean = posixpath.normpath(name)
        if name.startswith("/") or clean.startswith("..") or "\\" in name:
            return f"it has an entry {name!r}"
        if not info.is_dir():
            if clean in files:
                return f"it has two files {clean}"
            files.add(clean)
        above = clean if info.is_dir() else posixpath.dirname(clean)
        while above and above not in folders:
            folders.add(above)
            above = posixpath.dirname(above)
    if both := sorted(files & folders):
        return f"{both[0]} is a file and a folder in it"
    if any(name.startswith("META-INF/") and name.upper().endswith(".SF") and name.count("/") == 1 for name in files):
        return "it is signed"
    if "Launcher-Agent-Class" in manifest:
        return "it starts an agent (Launcher-Agent-Class)"
    return ""


def _has(names: Collection[str], part: str) -> bool:
    return any(part in name for name in names)


def _unpack(opened: zipfile.ZipFile, target: str) -> None:
    for info in sorted(opened.infolist(), key=lambda each: each.filename):
        path = os.path.join(target, posixpath.normpath(info.filename))
        if info.is_dir():
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with opened.open(info) as content, open(path, "wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        os.chmod(path, 0o755 if (info.external_attr >> 16) & 0o111 else 0o644)


def _merge_versions(target: str, release: int) -> None:
    """Puts what META-INF/versions has for a release over the rest; a folder, unlike a jar, has no releases.

    Source: the jar file specification, "Multi-release JAR files".
    """
    versions = os.path.join(target, "META-INF", "versions")
    for number in (
        sorted(int(name) for name in os.listdir(versions) if name.isdigit()) if os.path.isdir(versions) else []
    ):
        if number > release:
            continue
        root = os.path.join(versions, str(number))
        for folder, _, files in os.walk(root):
            for name in files:
                into = os.path.normpath(os.path.join(target, os.path.relpath(folder, root), name))
                os.makedirs(os.path.dirname(into), exist_ok=True)
                os.replace(os.path.join(folder, name), into)
    shutil.rmtree(versions, ignore_errors=True)


def _class_path(archive: str, manifest: Mapping[str, str], target: str) -> list[str]:
    """Copies the jars of the manifest's Class-Path below lib/; their paths in its order. Absent ones are left out, as
    Java leaves them out."""
    found: list[str] = []
    home = os.path.dirname(archive)
    for entry in manifest.get("Class-Path", "").split():
        source = os.path.normpath(os.path.join(home, entry.removeprefix("file:")))
        if os.path.isfile(source):
            place = posixpath.join(_LIBRARIES, os.path.basename(source))
            os.makedirs(os.path.join(target, _LIBRARIES), exist_ok=True)
            shutil.copyfile(source, os.path.join(target, place))
            if place not in found:
                found.append(place)
    return found


def _library_slices(libraries: Sequence[str]) -> list[list[str]]:
    """Dependencies, then those whose version may change under one name."""
    snapshots = [path for path in libraries if "SNAPSHOT" in path]
    return [[path for path in libraries if path not in snapshots], snapshots]


def _indexed(path: str) -> list[list[str]]:
    """The layers of a layers.idx, without the last: what it has is the app's own, and the rest of the image.

    Source: Spring Boot reference, "Layering": YAML of one form, a list of names with a list of paths each.
    """
    layers: list[list[str]] = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            text = line.strip().removeprefix("-").strip()
            if line.startswith("- "):
                layers.append([])
            elif text and layers:
                layers[-1].append(_glob(text.strip('"').rstrip("/")))
    return layers[:-1]


def _split(target: str, main: str, own: Collection[str] | None, libraries: Sequence[str]) -> list[list[str]]:
    """Of a plain jar's files: classes of others, other files of others, the app's resources. Its classes remain."""
    package = "/".join(main.split(".")[:-1][:2])
    others: set[str] = set()
    resources: set[str] = set()
    for folder, _, files in os.walk(target):
        for name in files:
            path = posixpath.normpath(os.path.relpath(os.path.join(folder, name), target))
            # In META-INF only a folder of classes tells whose a file is; manifest and poms are of the build itself.
            if path in libraries or path.startswith(("META-INF/MANIFEST.MF", "META-INF/maven/")):
                continue
            if own is None and path.startswith("META-INF/"):
                continue
            mine = path in own if own is not None else not package or path.startswith(package + "/") or "/" not in path
            if not mine:
                others.add(path)
            elif not path.endswith(".class"):
                resources.add(path)
    return [_folded(target, others), _folded(target, resources)]


def _resources(target: str, folder: str) -> list[str]:
    """The files of an app's own folder that are no classes."""
    found: set[str] = set()
    for here, _, files in os.walk(os.path.join(target, folder)):
        found |= {
            posixpath.normpath(os.path.relpath(os.path.join(here, name), target))
            for name in files
            if not name.endswith(".class")
        }
    return _folded(target, found)


def _folded(target: str, files: set[str]) -> list[str]:
    """A set of files as globs: a folder that is wholly in the set stands for all below it."""
    found: list[str] = []

    def visit(folder: str) -> bool:
        whole, inside = True, []
        with os.scandir(os.path.join(target, folder)) as entries:
            children = sorted((each.name, each.is_dir(follow_symlinks=False)) for each in entries)
        for name, is_folder in children:
            path = posixpath.join(folder, name)
            mark = len(found)
            if visit(path) if is_folder else path in files:
                del found[mark:]
                inside.append(path)
            else:
                whole = False
        if not whole or not folder:
            found.extend(_glob(path) for path in inside)
        return whole and bool(children)

    visit("")
    return sorted(found)


def _glob(path: str) -> str:
    return "".join(f"\\{c}" if c in "*?[\\" else c for c in path)


def _count(opened: zipfile.ZipFile) -> int:
    """Class files in an archive and in the jars within it."""
    total = 0
    for name in opened.namelist():
        if name.endswith(".class"):
            total += 1
        elif name.endswith(".jar"):
            try:
                with opened.open(name) as inner, zipfile.ZipFile(inner) as jar:
                    total += sum(each.endswith(".class") for each in jar.namelist())
            except (zipfile.BadZipFile, OSError):
                continue
    return total
