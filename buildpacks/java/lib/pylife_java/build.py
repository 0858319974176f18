"""Makes the layers of a Java app: JDK, build, JRE, and what is computed at its start."""

from __future__ import annotations

import os
import shutil

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.launch import Process, shell, write_launch
from pylife_sdk.layer import open_layer
from pylife_sdk.output import heading, note, warn
from pylife_sdk.sbom import cyclonedx, spdx

from pylife_java.archive import framework_of, parse_manifest
from pylife_java.components import jar_components
from pylife_java.explode import App, explode
from pylife_java.jdk import provide_jdk, provide_jre, provide_ready_jre
from pylife_java.prebuilt import choose_archive
from pylife_java.project import GRADLE_KIND, JAR, MAVEN, look
from pylife_java.start import provide_start
from pylife_java.version import DEFAULT, Choice, choose, major
from pylife_java.workspace import came, replace

_PORT_FALLBACK = "8080"


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for what the user can mend."""
    project = look(context.app)
    if project is None:
        note("There is nothing of Java here any more.")
        return
    if project.kind == MAVEN:
        from pylife_java.maven_build import build_maven

        app, jdk = build_maven(context, project)
        provide_jre(context, jdk)
    elif project.kind == GRADLE_KIND:
        from pylife_java.gradle import build_gradle

        app, jdk = build_gradle(context, project)
        provide_jre(context, jdk)
    elif project.kind == JAR:
        app = _archive(context)
    else:
        app = _exploded(context)
    _finish(context, app)


def _archive(context: Build) -> App:
    project = look(context.app)
    assert project is not None
    chosen = choose_archive(context.app, project)
    choice = choose(context.app, context.env, None, chosen.needed)
    _runtime(context, choice)
    heading(f"App: {os.path.relpath(chosen.path, context.app)}")
    layer = open_layer(context, "unpacked")
    tree = layer.empty()
    app = explode(chosen.path, tree, None, max(major(choice.wanted), chosen.needed))
    if not os.path.exists(os.path.join(context.app, "Procfile")):
        replace(context, tree, came(context) - {os.path.relpath(chosen.path, context.app)})
    shutil.rmtree(layer.path)
    return app


def _exploded(context: Build) -> App:
    manifest = parse_manifest(
        read_bytes(os.path.join(context.app, "META-INF", "MANIFEST.MF")).decode("utf-8", errors="replace")
    )
    _runtime(context, choose(context.app, context.env))
    heading("App: an archive that is unpacked already")
    names = set()
    for folder, _, files in os.walk(context.app):
        names |= {os.path.relpath(os.path.join(folder, name), context.app) for name in files}
    jars = sorted(name for name in names if name.endswith(".jar"))
    classes = sum(name.endswith(".class") for name in names) + 150 * len(jars)
    path = ":".join([".", *manifest.get("Class-Path", "").split()])
    return App(["-cp", path, manifest["Main-Class"]], [jars], classes, framework_of(manifest, names))


def _runtime(context: Build, choice: Choice) -> None:
    heading(f"Java {choice.wanted}: {choice.origin}")
    for text in choice.notes:
        warn(text)
    if major(choice.wanted) == major(DEFAULT) and not choice.at_least:
        provide_jre(context, provide_jdk(context, choice))
    else:
        provide_ready_jre(context, choice)


def _finish(context: Build, app: App) -> None:
    for text in app.notes:
        note(text)
    provide_start(context, app.classes, app.framework, app.threads)
    processes = []
    if app.arguments:
        line = " ".join(_quoted(word) for word in app.arguments)
        command = f"exec java $JAVA_OPTS {line}"
        if os.path.exists(os.path.join(context.app, "Procfile")):
            note("Processes: those of the Procfile.")
        else:
            note(f"web: {command}")
        processes = [Process("web", shell(command), default=True)]
    write_launch(context, processes, app.slices)
    components = jar_components(context.app)
    for extension, document in (("cdx", cyclonedx), ("spdx", spdx)):
        path = os.path.join(context.layers, f"launch.sbom.{extension}.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(document("java-app", components))


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
