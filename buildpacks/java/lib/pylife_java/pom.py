"""The pom as a file: the few things that a build must know before Maven runs.

Maven itself judges the whole; here only what is written in plain words in the root's pom is read. Nothing is
inherited or interpolated beyond the pom's own properties.
"""

from __future__ import annotations

import os
from xml.etree import ElementTree

from pylife_sdk.output import fail

_RELEASES = ("maven.compiler.release", "java.version", "maven.compiler.source", "maven.compiler.target")


class Pom:
    """A pom that could be read: its text by line, properties, modules, packaging, and the release it compiles for."""

    __slots__ = ("lines", "modules", "name", "packaging", "properties", "release")

    def __init__(
        self, name: str, lines: list[str], properties: dict[str, str], modules: list[str], packaging: str
    ) -> None:
        self.name, self.lines, self.properties = name, lines, properties
        self.modules, self.packaging = modules, packaging
        self.release: tuple[str, str] | None = None

    def line_of(self, text: str) -> int:
        """The first line that has a text; 1 when none has it."""
        return next((number for number, line in enumerate(self.lines, 1) if text in line), 1)


def read_pom(app: str, name: str = "pom.xml") -> Pom | None:
    """The root's pom, None when there is none or when it is one of the polyglot kinds.

    Raises ``Failure`` java.pom-invalid with line and column for one that is not XML.
    """
    path = os.path.join(app, name)
    if not name.endswith(".xml") or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        content = file.read()
    lines = content.decode("utf-8", errors="replace").splitlines()
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        line, column = error.position
        fail(
            "java.pom-invalid",
            f"{name}:{line}, column {column + 1} is not well-formed XML: {str(error).split(':')[0]}.",
            found=_around(lines, line, name) or "(an empty file)",
            fix=_advice(lines, line, name),
        )
    properties = {_tag(each): (each.text or "").strip() for each in _all(root, "properties/*")}
    modules = [(each.text or "").strip() for each in _all(root, "modules/*")]
    packaging = next(((each.text or "").strip() for each in _all(root, "packaging")), "jar")
    pom = Pom(name, lines, properties, modules, packaging)
    pom.release = _release(root, properties)
    return pom


def _advice(lines: list[str], line: int, name: str) -> str:
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if any(each.startswith(("<<<<<<<", ">>>>>>>", "=======")) for each in lines):
        return "Finish the merge: keep one side and delete the lines with <<<<<<<, ======= and >>>>>>>."
    if "&" in text:
        return f"Write &amp; instead of & on {name}:{line}, and check with\nmvn validate"
    return f"Correct that place, and check with\nmvn -f {name} validate"


def _release(root: ElementTree.Element, properties: dict[str, str]) -> tuple[str, str] | None:
    """(release, where it is said): the compiler plugin's own configuration, else the usual properties."""
    for plugin in root.iter():
        if _tag(plugin) != "plugin" or not any((each.text or "").strip() == "maven-compiler-plugin" for each in plugin):
            continue
        for configuration in (each for each in plugin if _tag(each) == "configuration"):
            for key in ("release", "source", "target"):
                for each in configuration:
                    if _tag(each) == key and (value := _resolve((each.text or "").strip(), properties)):
                        return value, f"maven-compiler-plugin's <{key}>"
    for key in _RELEASES:
        if key in properties and (value := _resolve(properties[key], properties)):
            return value, f"<{key}>"
    return None


def _resolve(value: str, properties: dict[str, str]) -> str:
    for _ in range(5):
        if not value.startswith("${"):
            break
        value = properties.get(value[2:-1], "")
    return value


def _all(root: ElementTree.Element, path: str) -> list[ElementTree.Element]:
    """Elements below the root by their local names, whatever the namespace is."""
    found = [root]
    for step in path.split("/"):
        found = [each for parent in found for each in parent if step == "*" or _tag(each) == step]
    return [each for each in found if isinstance(each.tag, str)]


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _around(lines: list[str], number: int, name: str) -> str:
    first = max(number - 2, 1)
    return "\n".join(f"{name}:{n}: {text}" for n, text in enumerate(lines[first - 1 : number + 1], first))
