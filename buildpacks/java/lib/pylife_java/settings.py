"""Maven's settings: those of a binding, of MAVEN_SETTINGS_PATH, or the app's own settings.xml."""

from __future__ import annotations

import os
from xml.etree import ElementTree

from pylife_sdk.bindings import bindings
from pylife_sdk.context import Build, read_bytes
from pylife_sdk.output import fail


class Settings:
    """The settings file to use ("" for none), where it is from, and its content for keys."""

    __slots__ = ("content", "origin", "path", "security")

    def __init__(self, path: str, origin: str, content: bytes, security: str = "") -> None:
        self.path, self.origin, self.content, self.security = path, origin, content, security


def choose_settings(build: Build) -> Settings:
    """The settings, in this order. Raises ``Failure`` for a file that is named and not there, or is not XML."""
    for binding in bindings(build.platform, build.env, "maven"):
        if "settings.xml" in binding.keys:
            security = binding.file("settings-security.xml") if "settings-security.xml" in binding.keys else ""
            return _read(binding.file("settings.xml"), f"the binding {binding.name}", security)
        fail(
            "java.settings-missing",
            f"The binding {binding.name} of the type maven has no settings.xml.",
            found=f"its files: {', '.join(binding.keys) or 'none'}",
            fix="Name the file settings.xml in the binding.",
        )
    if named := build.env.get("MAVEN_SETTINGS_PATH", ""):
        path = os.path.join(build.app, named)
        if not os.path.isfile(path):
            fail(
                "java.settings-missing",
                f"MAVEN_SETTINGS_PATH names a file that is not there: {named}.",
                found=f"in the app's root: {', '.join(sorted(os.listdir(build.app))[:20])}",
                fix="Name it relative to the app's root and commit it, or give it as a binding of the type maven.",
            )
        return _read(path, f"MAVEN_SETTINGS_PATH ({named})")
    if build.env.get("MAVEN_SETTINGS_URL"):
        fail(
            "java.settings-missing",
            "MAVEN_SETTINGS_URL is not supported: settings with secrets are not fetched from somewhere.",
            found="MAVEN_SETTINGS_URL is set",
            fix="Give the file as a binding of the type maven, or commit it and name it in MAVEN_SETTINGS_PATH.",
        )
    path = os.path.join(build.app, "settings.xml")
    if os.path.isfile(path) and _is_settings(path):
        return _read(path, "settings.xml of the app")
    return Settings("", "", b"")


def _is_settings(path: str) -> bool:
    return b"<settings" in read_bytes(path)


def _read(path: str, origin: str, security: str = "") -> Settings:
    content = read_bytes(path)
    try:
        ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        line, column = error.position
        # The line itself is not shown: settings hold passwords.
        fail(
            "java.settings-invalid",
            f"Maven's settings ({origin}) are not well-formed XML at line {line}, column {column + 1}.",
            found=str(error),
            fix="Correct that place; check with\nmvn -s settings.xml help:effective-settings",
        )
    return Settings(path, origin, content, security)
