"""An app built by Gradle's wrapper in it: no registry has Gradle, only its distributions' server or a mirror."""

from __future__ import annotations

import os
import re
import shlex
import shutil

from pylife_sdk.cache import open_cache
from pylife_sdk.context import Build, write_file
from pylife_sdk.layer import open_layer
from pylife_sdk.output import column, fail, heading, note, warn
from pylife_sdk.process import run
from pylife_sdk.tree import SKIPPED, digest, tree_digest

from pylife_java.artifact import find_artifact
from pylife_java.explode import App, explode
from pylife_java.gradle_failures import MIRROR, explain
from pylife_java.jdk import Jdk, provide_jdk
from pylife_java.maven import surroundings
from pylife_java.network import online
from pylife_java.project import Project
from pylife_java.properties import read_properties
from pylife_java.settings import Settings
from pylife_java.version import choose, major
from pylife_java.workspace import came, copy_whole, recall, remember, replace, starts_built_files, whole_app

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

RECIPE = "2"
WRAPPER = "gradle/wrapper/gradle-wrapper.properties"
_APART = frozenset({*SKIPPED, ".gradle", "Procfile", "README.md", ".gitignore", "project.toml"})


def gradle_line(app: str, env: Mapping[str, str]) -> str:
    """The command as a user would type it: BP_GRADLE_BUILD_ARGUMENTS, GRADLE_TASK, a task `stage`, else `assemble`."""
    if words := env.get("BP_GRADLE_BUILD_ARGUMENTS") or env.get("GRADLE_TASK"):
        return f"./gradlew {words}"
    for name in ("build.gradle", "build.gradle.kts"):
        try:
            with open(os.path.join(app, name), encoding="utf-8", errors="replace") as file:
                if re.search(r"task\s*\(?\s*[\"']?stage\b|register\(\s*[\"']stage[\"']", file.read()):
                    return "./gradlew stage"
        except OSError:
            continue
    return "./gradlew --no-daemon assemble"


def build_gradle(context: Build, project: Project) -> tuple[App, Jdk]:
    """The app, in its folder, and the JDK that its runtime is to be made of."""
    url = _wrapper(context)
    staying = came(context)
    choice = choose(context.app, context.env)
    heading(f"Java {choice.wanted}: {choice.origin}")
    for text in choice.notes:
        warn(text)
    jdk = provide_jdk(context, choice)
    heading(f"Gradle: the app's wrapper ({url.rpartition('/')[2]})")
    layer = open_layer(context, "app", cache=True)
    user = context.user_env()
    line = gradle_line(context.app, context.env)
    key = {
        "the sources": tree_digest(context.app, skip=_APART)[:12],
        "the JDK": jdk.key,
        "the command": line,
        "the Procfile's way": "built files" if starts_built_files(context.app) else "exploded",
        "the variables": digest(each for name in user for each in (name.encode(), user[name]))[:12],
        "recipe": RECIPE,
    }
    os.chmod(os.path.join(context.app, "gradlew"), 0o755)
    reason = layer.stale(key)
    cache = open_cache(context, "gradle", {"layout": "1"})
    if reason is None and os.path.exists(os.path.join(layer.path, "app.json")):
        note(f"The app is as it was built last (sources {key['the sources']}): Gradle is not started.")
        app = recall(layer)
    else:
        note(f"Building (sources {key['the sources']}): {reason}.")
        if mirror := context.env.get(MIRROR):
            _point_to(context.app, mirror)
        with surroundings(context, jdk, Settings("", "", b"")) as around, cache.locked() as home:
            env = {**around.env, "GRADLE_USER_HOME": home}
            options = f"{around.env['MAVEN_OPTS']} -Dorg.gradle.daemon=false"
            env["GRADLE_OPTS"] = f"{options} {context.env.get('GRADLE_OPTS', '')}".strip()
            offline = [] if online() else ["--offline"]
            note(f"$ {line}")
            ran = run([*shlex.split(line), *offline, "--console=plain"], env=env, cwd=context.app)
            _remove_unfinished(home)
        if ran.code:
            explain(ran, context.app, url, jdk.version)
        tree = os.path.join(layer.empty(), "tree")
        os.makedirs(tree)
        app = _collect(context, tree, jdk)
        remember(layer, app)
    layer.commit(key)
    replace(context, os.path.join(layer.path, "tree"), staying)
    return app, jdk


def _collect(context: Build, tree: str, jdk: Jdk) -> App:
    if starts_built_files(context.app):
        note("The Procfile starts files where the build leaves them: the app's folder stays as it is.")
        copy_whole(context, tree)
        return whole_app(tree)
    plain = [
        os.path.join(folder, name)
        for folder, _, files in os.walk(context.app)
        for name in files
        if folder.endswith("build/libs") and name.endswith("-plain.jar")
    ]
    for path in plain:  # Spring Boot's plugin leaves it beside the one that can be started
        os.unlink(path)
    artifact = find_artifact(context.app, context.env, "libs", "BP_GRADLE")
    note(f"Built {os.path.relpath(artifact.path, context.app)}.")
    return explode(artifact.path, tree, None, major(jdk.version))


def _wrapper(context: Build) -> str:
    found = read_properties(os.path.join(context.app, WRAPPER)).get("distributionUrl")
    has_script = os.path.isfile(os.path.join(context.app, "gradlew"))
    has_jar = os.path.isfile(os.path.join(context.app, "gradle/wrapper/gradle-wrapper.jar"))
    if not has_script or found is None or not has_jar:
        missing = [
            name
            for name, there in (
                ("gradlew", has_script),
                (WRAPPER, found is not None),
                ("gradle/wrapper/gradle-wrapper.jar", has_jar),
            )
            if not there
        ]
        fail(
            "java.gradle-wrapper-missing",
            "A Gradle app is built by its own wrapper, which is not complete.",
            found=f"missing: {', '.join(missing)}\n{column(sorted(os.listdir(context.app)))}",
            fix="gradle wrapper && git add -f gradlew gradle/wrapper",
        )
    return context.env.get(MIRROR) or found[0]


def _remove_unfinished(home: str) -> None:
    """Removes distributions that the wrapper could not unpack or check: older wrappers would never fetch them again.

    Source: gradle's Install.java: a distribution is whole when there is a file NAME.zip.ok beside it.
    """
    base = os.path.join(home, "wrapper", "dists")
    for name in os.listdir(base) if os.path.isdir(base) else []:
        for folder in (each.path for each in os.scandir(os.path.join(base, name)) if each.is_dir()):
            if not any(each.endswith(".ok") for each in os.listdir(folder)):
                shutil.rmtree(folder, ignore_errors=True)


def _point_to(app: str, mirror: str) -> None:
    """Names another place in the wrapper's properties, for this build's copy of the app."""
    path = os.path.join(app, WRAPPER)
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith("distributionUrl")]
    escaped = mirror.replace(":", "\\:")
    write_file(path, "\n".join([*lines, f"distributionUrl={escaped}"]) + "\n")
    note(f"The wrapper fetches Gradle from the place that {MIRROR} names.")
