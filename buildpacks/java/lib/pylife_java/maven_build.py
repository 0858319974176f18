"""An app built by Maven: run when its sources or what they are built with changed, else put back as it was."""

from __future__ import annotations

import os
import shlex
import shutil

from pylife_sdk.context import Build
from pylife_sdk.layer import open_layer
from pylife_sdk.output import column, fail, heading, note, warn
from pylife_sdk.tree import SKIPPED, digest, tree_digest

from pylife_java.artifact import find_artifact
from pylife_java.command import maven_arguments, maven_line
from pylife_java.explode import App, explode
from pylife_java.failures import explain
from pylife_java.jdk import Jdk, provide_jdk
from pylife_java.maven import provide_maven, run_maven, surroundings
from pylife_java.maven_version import choose_maven
from pylife_java.pom import read_pom
from pylife_java.project import Project
from pylife_java.settings import choose_settings
from pylife_java.version import choose, major
from pylife_java.workspace import came, copy_whole, recall, remember, replace, starts_built_files, whole_app

RECIPE = "3"
# What says nothing about what the build makes: documentation, and the Procfile, which a later buildpack reads.
_APART = frozenset({*SKIPPED, "Procfile", "README.md", ".gitignore", "project.toml"})


def build_maven(context: Build, project: Project) -> tuple[App, Jdk]:
    """The app, in its folder, and the JDK that its runtime is to be made of."""
    _check(context, project)
    _remove_outputs(context.app)
    staying = came(context)
    choice = choose(context.app, context.env, read_pom(context.app, context.env.get("BP_MAVEN_POM_FILE") or "pom.xml"))
    maven_choice = choose_maven(context.app, context.env)
    settings = choose_settings(context)
    heading(f"Java {choice.wanted}: {choice.origin}")
    for text in (*choice.notes, *maven_choice.notes):
        warn(text)
    jdk = provide_jdk(context, choice)
    heading(f"Maven {maven_choice.version}: {maven_choice.origin}")
    layer = open_layer(context, "app", cache=True)
    user = context.user_env()
    key = {
        "the sources": tree_digest(context.app, skip=_APART)[:12],
        "the JDK": jdk.key,
        "Maven": maven_choice.version,
        "the command": maven_line(context.env),
        "the Procfile's way": "built files" if starts_built_files(context.app) else "exploded",
        "the settings": digest([settings.content])[:12],
        "the variables": digest(each for name in user for each in (name.encode(), user[name]))[:12],
        "recipe": RECIPE,
    }
    reason = layer.stale(key)
    if reason is None and os.path.exists(os.path.join(layer.path, "app.json")):
        note(f"The app is as it was built last (sources {key['the sources']}): Maven is not started.")
        _keep(context, "maven", "maven-repository")
        app = recall(layer)
    else:
        note(f"Building (sources {key['the sources']}): {reason}.")
        if settings.path:
            note(f"Settings: {settings.origin}.")
        with surroundings(context, jdk, settings) as around:
            maven = provide_maven(context, maven_choice, jdk, around)
            arguments = maven_arguments(context.env)
            arguments += _stamp(context)
            note(f"$ {shlex.join(['mvn', *arguments])}")
            ran = run_maven(context, maven, arguments, around)
        if ran.code and maven_choice.custom and "[INFO]" not in ran.output and "[ERROR]" not in ran.output:
            fail(
                "java.wrapper-unreachable",
                "The app's wrapper did not bring Maven to run.",
                found=ran.tail or f"mvnw ended with {ran.code}",
                fix="Name a Maven that its repositories have in distributionUrl (apache-maven-VERSION-bin.zip), then\n"
                "it is fetched from there; or let the build reach the place that distributionUrl names.",
            )
        if ran.code:
            explain(ran, context.app, jdk.version)
        app = _collect(context, layer.empty(), jdk)
        remember(layer, app)
    layer.commit(key)
    replace(context, os.path.join(layer.path, "tree"), staying)
    return app, jdk


def _collect(context: Build, place: str, jdk: Jdk) -> App:
    tree = os.path.join(place, "tree")
    os.makedirs(tree)
    if starts_built_files(context.app):
        note("The Procfile starts files where the build leaves them: the app's folder stays as it is.")
        copy_whole(context, tree)
        return whole_app(tree)
    artifact = find_artifact(context.app, context.env)
    shown = os.path.relpath(artifact.path, context.app)
    note(f"Built {shown}.")
    if artifact.quarkus:
        return _quarkus(os.path.dirname(artifact.path), tree)
    return explode(artifact.path, tree, artifact.own(), major(jdk.version))


def _quarkus(folder: str, tree: str) -> App:
    """Quarkus' own layout: its dependencies below lib/, what it generated in quarkus/, the app's classes in app/."""
    shutil.copytree(folder, tree, dirs_exist_ok=True)
    jars = sum(name.endswith(".jar") for _, _, files in os.walk(tree) for name in files)
    return App(["-jar", "quarkus-run.jar"], [["lib"], ["quarkus", "quarkus-run.jar"]], 150 * jars, "quarkus")


def _stamp(context: Build) -> list[str]:
    """A fixed time for what the plugins write, unless the app sets one: the same sources give the same bytes."""
    pom = read_pom(context.app, context.env.get("BP_MAVEN_POM_FILE") or "pom.xml")
    if pom is not None and "project.build.outputTimestamp" in pom.properties:
        return []
    return ["-Dproject.build.outputTimestamp=1980-01-01T00:00:02Z"]


def _check(context: Build, project: Project) -> None:
    named = context.env.get("BP_MAVEN_POM_FILE", "")
    if named and not os.path.isfile(os.path.join(context.app, named)):
        fail(
            "java.pom-missing",
            f"BP_MAVEN_POM_FILE names a file that is not there: {named}.",
            found=column(sorted(os.listdir(context.app))),
            fix="Name the pom relative to the app's root.",
        )
    if not named and tuple(project.signs) == ("mvnw",):
        fail(
            "java.pom-missing",
            "There is mvnw, and no pom.xml beside it.",
            found=column(sorted(os.listdir(context.app))),
            fix="Commit the pom (git add pom.xml), or build the folder that has it: pylife build --app FOLDER",
        )


def _remove_outputs(app: str) -> None:
    """Removes what an earlier build on the user's machine left: it is not the source's, and old classes would stay."""
    removed = []
    for folder, folders, files in os.walk(app):
        folders[:] = [name for name in folders if name not in (*SKIPPED, "node_modules", "src")]
        if "target" in folders and "pom.xml" in files:
            shutil.rmtree(os.path.join(folder, "target"), ignore_errors=True)
            folders.remove("target")
            removed.append(os.path.relpath(os.path.join(folder, "target"), app))
    if removed:
        note(f"Left out, since the build makes it anew: {', '.join(sorted(removed))}.")


def _keep(context: Build, *names: str) -> None:
    """Keeps layers in the cache that this build does not need."""
    for name in names:
        layer = open_layer(context, name, cache=True)
        if layer.remembered is not None:
            layer.commit(layer.remembered)
