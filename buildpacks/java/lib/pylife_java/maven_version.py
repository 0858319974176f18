"""Which Maven: what the app asks for, and by which of its files."""

from __future__ import annotations

import os

from pylife_java.properties import read_properties

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "3.9.11"
WRAPPER = ".mvn/wrapper/maven-wrapper.properties"


class MavenChoice:
    """The Maven to use. ``checksum`` is the wrapper's sha256 of the zip; ``custom`` a distribution that no repository
    has by its coordinates, which only the app's own mvnw can fetch; ``notes`` are things worth saying."""

    __slots__ = ("checksum", "custom", "notes", "origin", "version")

    def __init__(
        self, version: str, origin: str, checksum: str = "", custom: str = "", notes: tuple[str, ...] = ()
    ) -> None:
        self.version, self.origin, self.checksum, self.custom, self.notes = version, origin, checksum, custom, notes


def choose_maven(app: str, env: Mapping[str, str]) -> MavenChoice:
    """The Maven for the app: BP_MAVEN_VERSION, system.properties' maven.version, the wrapper's, else a fixed one."""
    if version := env.get("BP_MAVEN_VERSION", "").strip():
        return MavenChoice(_exact(version), f"BP_MAVEN_VERSION asks for {version}")
    asked = read_properties(os.path.join(app, "system.properties")).get("maven.version")
    if asked:
        return MavenChoice(_exact(asked[0]), f"asked for by system.properties:{asked[1]}")
    wrapper = read_properties(os.path.join(app, WRAPPER))
    if url := wrapper.get("distributionUrl"):
        name = url[0].rpartition("/")[2]
        checksum = wrapper.get("distributionSha256Sum", ("", 0))[0].lower()
        if name.startswith("apache-maven-") and name.endswith("-bin.zip"):
            version = name.removeprefix("apache-maven-").removesuffix("-bin.zip")
            return MavenChoice(version, f"the wrapper's, by {WRAPPER}:{url[1]}", checksum)
        return MavenChoice("of the wrapper", f"mvnw, with {WRAPPER}:{url[1]}", checksum, custom=url[0])
    notes: tuple[str, ...] = ()
    if os.path.exists(os.path.join(app, "mvnw")):
        notes = (f"mvnw is not used: it needs {WRAPPER} with a distributionUrl. Make both anew: mvn wrapper:wrapper",)
    return MavenChoice(
        DEFAULT, "nothing asks for another (BP_MAVEN_VERSION, system.properties, a wrapper)", notes=notes
    )


def _exact(version: str) -> str:
    from pylife_sdk.output import fail

    if version.count(".") != 2 or not version[0].isdigit() or not version.replace(".", "").replace("-", "").isalnum():
        fail(
            "java.maven-version-invalid",
            f"{version!r} is not an exact Maven version.",
            found=version or "(nothing)",
            fix=f"Name one such as {DEFAULT}.",
        )
    return version
