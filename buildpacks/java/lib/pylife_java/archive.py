"""Jars and wars from the outside: manifest, whether one can be started, and which Java its classes need."""

from __future__ import annotations

import os
import zipfile

from pylife_sdk.output import fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "META-INF/MANIFEST.MF"
_NEVER_RUN = ("-sources.jar", "-javadoc.jar", "-tests.jar", "-test-sources.jar", ".original")


def is_archive(name: str) -> bool:
    """Whether a file name is that of a jar or war that could be an app."""
    return name.endswith((".jar", ".war")) and not name.endswith(_NEVER_RUN) and not name.startswith("original-")


def parse_manifest(text: str) -> dict[str, str]:
    """The main attributes of a manifest; a line that begins with a blank continues the one before.

    Source: the jar file specification, "JAR Manifest".
    """
    attributes: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if not line:
            if attributes:
                break
        elif line.startswith(" ") and name:
            attributes[name] += line[1:]
        elif ":" in line:
            name, _, value = line.partition(":")
            attributes[name] = value.lstrip(" ")
    return {key: value.strip() for key, value in attributes.items()}


def open_archive(path: str) -> zipfile.ZipFile:
    """The archive, open. Raises ``Failure`` java.not-a-jar for a file that is none."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        with open(path, "rb") as file:
            start = file.read(64)
        shown = os.path.relpath(path)
        fix = f"Make it again, check it with\nunzip -t {shown}\nand commit it as a binary file."
        if start.startswith(b"version https://git-lfs"):
            fix = "It is a pointer of Git LFS; fetch the file itself before the build:\ngit lfs pull"
        fail(
            "java.not-a-jar",
            f"{shown} is not a jar: it cannot be read as a zip file ({error}).",
            found=f"{os.path.getsize(path)} bytes, beginning with {start[:24]!r}",
            fix=fix,
        )


def manifest_of(archive: zipfile.ZipFile) -> dict[str, str]:
    """The manifest's main attributes; empty without a manifest."""
    try:
        return parse_manifest(archive.read(MANIFEST).decode("utf-8", errors="replace"))
    except KeyError:
        return {}


def read_manifest(path: str) -> dict[str, str] | None:
    """The manifest of an archive, None when the file is no readable archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return manifest_of(archive)
    except (zipfile.BadZipFile, OSError, ValueError):
        return None


def java_needed(archive: zipfile.ZipFile, manifest: Mapping[str, str]) -> int:
    """The Java release that the class which starts the app was compiled for; 8 when it is not to be found.

    Source: JVM specification, "The class File Format": release N has major version N + 44.
    """
    prefixes = ("", "BOOT-INF/classes/", "WEB-INF/classes/")
    names = [manifest[key].replace(".", "/") for key in ("Start-Class", "Main-Class") if manifest.get(key)]
    for name in names:
        for prefix in prefixes:
            try:
                with archive.open(f"{prefix}{name}.class") as file:
                    head = file.read(8)
            except KeyError:
                continue
            if head[:4] == b"\xca\xfe\xba\xbe":
                return max(int.from_bytes(head[6:8], "big") - 44, 8)
    return 8


def framework_of(manifest: Mapping[str, str], names: frozenset[str] | set[str]) -> str:
    """spring-boot, quarkus, micronaut, or nothing: whose variable names the port."""
    if manifest.get("Spring-Boot-Version") or manifest.get("Start-Class"):
        return "spring-boot"
    if "io/micronaut/runtime/Micronaut.class" in names:
        return "micronaut"
    if any(name.startswith("io/quarkus/runner/") for name in names):
        return "quarkus"
    return ""
