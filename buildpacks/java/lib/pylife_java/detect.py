"""Is this a Java app? Says what it found, which Java it would take, and what the build would run."""

from __future__ import annotations

import os

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions
from pylife_sdk.output import Failure

from pylife_java.project import EXPLODED, GRADLE_KIND, JAR, MAVEN, Project, look


def detect(context: Detect) -> int:
    """Passes for a pom, a Maven wrapper, a Gradle build, or an archive that can be started."""
    project = look(context.app)
    if project is None:
        print("No Java app: looked for pom.xml, mvnw, build.gradle, gradlew, META-INF/MANIFEST.MF with a Main-Class,")
        print("and for a .jar or .war with a Main-Class in its root, target/ and build/libs/.")
        present = sorted(os.listdir(context.app))
        print(f"Found in its root: {', '.join(present[:20]) or 'nothing'}.")
        return NO_MATCH
    print(f"A Java app, because there is {', '.join(project.signs)}.")
    decisions = Decisions()
    decisions.read(*project.signs)
    try:
        _decide(context, project, decisions)
    except Failure as failure:
        print(f"The build will stop: {failure.what} [{failure.id}]")
        decisions.problem(failure.id, failure.what)
    return context.pass_with(["java"], [{"name": "java", "metadata": {"build": True, "launch": True}}], decisions)


def _decide(context: Detect, project: Project, decisions: Decisions) -> None:
    from pylife_java.version import choose

    pom, needed = None, 0
    if project.kind == MAVEN and "pom.xml" in project.signs:
        from pylife_java.pom import read_pom

        pom = read_pom(context.app)
    if project.kind == JAR:
        from pylife_java.prebuilt import choose_archive

        needed = choose_archive(context.app, project).needed
    choice = choose(context.app, context.env, pom, needed)
    print(f"Java {choice.wanted}{' or newer' if choice.at_least else ''}: {choice.origin}.")
    decisions.version("java", choice.wanted, choice.origin)
    for name in ("system.properties", ".java-version", ".sdkmanrc"):
        if name in choice.origin:
            decisions.read(name)
    decisions.layer("jre", "the Java runtime that starts the app")
    if project.kind == MAVEN:
        from pylife_java.command import maven_line
        from pylife_java.maven_version import choose_maven

        maven = choose_maven(context.app, context.env)
        print(f"Maven {maven.version}: {maven.origin}.")
        decisions.version("maven", maven.version, maven.origin)
        decisions.layer("jdk", "the JDK that builds the app (not in the image)")
        decisions.layer("maven", "Maven (not in the image)")
        decisions.layer("app", "what the build made of the sources (in the cache)")
        decisions.command(maven_line(context.env))
        print(f"Builds with: {maven_line(context.env)}")
    if project.kind == GRADLE_KIND:
        from pylife_java.gradle import gradle_line

        decisions.layer("jdk", "the JDK that builds the app (not in the image)")
        decisions.command(gradle_line(context.app, context.env))
        print(f"Builds with: {gradle_line(context.app, context.env)}")
    decisions.layer("start", "programs that set Java's memory and the app's port when it starts")
    if os.path.isfile(os.path.join(context.app, "Procfile")):
        print("Processes: those of the Procfile.")
    elif project.kind in (JAR, EXPLODED):
        decisions.process("web", "java, with the archive's Main-Class", f"{project.signs[0]} names one")
    else:
        decisions.process("web", "java, with the Main-Class of what is built", "there is no Procfile")
