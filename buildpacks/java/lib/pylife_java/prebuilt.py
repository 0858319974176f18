"""Apps that come as they are to be run: an archive with a Main-Class, or one that was unpacked."""

from __future__ import annotations

import os

from pylife_sdk.output import column, fail

from pylife_java.archive import java_needed, manifest_of, open_archive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pylife_java.project import Project


class Prebuilt:
    """An archive that can be started, and the Java release that its classes need."""

    __slots__ = ("needed", "path")

    def __init__(self, path: str, needed: int) -> None:
        self.path, self.needed = path, needed


def choose_archive(app: str, project: Project) -> Prebuilt:
    """The one archive to run. Raises ``Failure`` for none, several, and for what is no archive."""
    if len(project.archives) > 1:
        fail(
            "java.several-artifacts",
            f"There are {len(project.archives)} archives that could be the app.",
            found=column(project.archives),
            fix="Keep the one to run, or say in a Procfile which one that is:\n"
            f"echo 'web: java -jar {project.archives[0]}' > Procfile",
        )
    name = project.archives[0]
    path = os.path.join(app, name)
    with open_archive(path) as archive:
        manifest = manifest_of(archive)
        require_main(name, manifest, archive.namelist())
        return Prebuilt(path, java_needed(archive, manifest))


def require_main(name: str, manifest: dict[str, str], names: list[str]) -> None:
    """Raises ``Failure`` when an archive says nothing that could be started."""
    if manifest.get("Main-Class"):
        return
    if name.endswith(".war") or any(entry.startswith("WEB-INF/") for entry in names):
        fail(
            "java.war-without-server",
            f"{name} is a war without a server of its own: its manifest has no Main-Class.",
            found=f"Main attributes: {', '.join(sorted(manifest)) or 'no manifest'}",
            fix="With Spring Boot, add spring-boot-maven-plugin with the goal repackage: it puts its server in.\n"
            "Else put a server beside it and start that in a Procfile, as in\n"
            f"web: java -jar webapp-runner.jar --port $PORT {name}",
        )
    fail(
        "java.no-main-class",
        f"{name} does not say what to start: its manifest has no Main-Class.",
        found=f"Main attributes: {', '.join(sorted(manifest)) or 'no manifest'}",
        fix="Name the class in the pom, below build/plugins:\n"
        "<plugin>\n  <artifactId>maven-jar-plugin</artifactId>\n  <configuration><archive><manifest>\n"
        "    <mainClass>com.example.Main</mainClass>\n  </manifest></archive></configuration>\n</plugin>\n"
        "or say in a Procfile how it is started:\nweb: java -cp target/app.jar com.example.Main",
    )
