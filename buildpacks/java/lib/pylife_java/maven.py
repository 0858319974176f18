"""Maven: fetched by Maven itself, and run with the certificates, proxies and settings of this build."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from pylife_sdk.cache import Cache, open_cache
from pylife_sdk.context import Build, read_bytes
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import fail, note, warn
from pylife_sdk.process import Ran, run

from pylife_java.jdk import Jdk
from pylife_java.maven_version import MavenChoice
from pylife_java.network import global_settings, online
from pylife_java.settings import Settings
from pylife_java.truststore import certificates, host_certificates, jks

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


class Maven:
    """A Maven that can be run. ``version`` may differ from what was asked for when that could not be fetched."""

    __slots__ = ("cache", "command", "version")

    def __init__(self, command: str, version: str, cache: Cache) -> None:
        self.command, self.version, self.cache = command, version, cache


class Surroundings:
    """What each run of Maven gets: a directory of files that vanish with it, and the environment."""

    __slots__ = ("env", "options")

    def __init__(self, env: dict[str, str], options: list[str]) -> None:
        self.env, self.options = env, options


@contextmanager
def surroundings(build: Build, jdk: Jdk, settings: Settings) -> Iterator[Surroundings]:
    """The truststore (authorities of the host and of bindings), proxies and settings, for as long as Maven runs."""
    from pylife_sdk.bindings import bindings

    trusted = host_certificates(dict(build.env))
    for binding in bindings(build.platform, build.env, "ca-certificates"):
        for key in binding.keys:
            trusted += certificates(binding.read(key) or b"")
    folder = tempfile.mkdtemp(prefix="java-")
    try:
        store, general = os.path.join(folder, "truststore"), os.path.join(folder, "settings.xml")
        with open(store, "wb") as file:
            file.write(jks(trusted))
        with open(os.open(general, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as text:
            text.write(global_settings(build.env))
        env = jdk.env({name: value for name, value in build.env.items() if name != "MAVEN_ARGS"})
        java = [f"-Djavax.net.ssl.trustStore={store}"] if trusted else []
        java += [build.env.get("MAVEN_OPTS", ""), build.env.get("MAVEN_JAVA_OPTS", "")]
        env["MAVEN_OPTS"] = " ".join(part for part in java if part)
        options = ["-gs", general, "-Dstyle.color=never"]
        options += ["-s", settings.path] if settings.path else []
        options += [f"-Dsettings.security={settings.security}"] if settings.security else []
        yield Surroundings(env, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def provide_maven(build: Build, choice: MavenChoice, jdk: Jdk, around: Surroundings) -> Maven:
    """Maven's layer, made or kept. Where the version asked for cannot be fetched, Debian's is taken with a warning."""
    cache = open_cache(build, "maven-repository", {"layout": "2"})
    if choice.custom:
        _require_wrapper(build, choice)
        return Maven(os.path.join(build.app, "mvnw"), choice.version, cache)
    layer = open_layer(build, "maven", cache=True)
    key = {"Maven": choice.version, "checksum": choice.checksum or "none"}
    reason = layer.stale(key)
    if reason is None:
        note(f"Maven {choice.version} is kept from the last build.")
        layer.commit(key)
        return Maven(_command(layer), choice.version, cache)
    packed = os.path.join(
        cache.path, f"org/apache/maven/apache-maven/{choice.version}/apache-maven-{choice.version}-bin.zip"
    )
    if not zipfile.is_zipfile(packed):
        note(f"Fetching Maven {choice.version}: {reason}.")
        if (other := _fetch(build, choice, cache, around)) is not None:
            return other
    _check(packed, choice)
    note(f"Unpacking Maven {choice.version}.")
    _unzip(packed, layer.empty())
    layer.commit(key)
    return Maven(_command(layer), choice.version, cache)


def _require_wrapper(build: Build, choice: MavenChoice) -> None:
    script = os.path.join(build.app, "mvnw")
    if not os.path.isfile(script):
        fail(
            "java.wrapper-unreachable",
            "The wrapper names a Maven that no repository has by its name, and there is no mvnw to fetch it.",
            found=f"{choice.origin}: {choice.custom.rpartition('/')[2]}",
            fix="Commit mvnw, or make the wrapper anew:\nmvn wrapper:wrapper",
        )
    os.chmod(script, 0o755)


def run_maven(build: Build, maven: Maven, arguments: list[str], around: Surroundings) -> Ran:
    """Runs the app's build. Its local repository is the shared cache; without a network nothing is asked for."""
    options = [*around.options, f"-Dmaven.repo.local={maven.cache.path}"]
    if not online() and not {"-o", "--offline"} & set(arguments):
        note("There is no network: Maven runs offline, with what the cache has.")
        options.append("-o")
    # From 3.9 on Maven's own locks let several builds use one repository; and what `install` puts there would be seen
    # by other apps, so such a build has it alone and takes its artifacts out again.
    installs = any(word in ("install", "deploy") for word in arguments)
    shares = _locks(maven.version) and not installs
    if shares:
        options += ["-Daether.syncContext.named.factory=file-lock", "-Daether.syncContext.named.nameMapper=file-gav"]
    with nullcontext() if shares else maven.cache.locked():
        ran = run([maven.command, *options, *arguments], env=around.env, cwd=build.app, show=_worth_showing)
        if installs:
            _remove_installed(maven.cache.path)
    if ran.code:
        _forget_failures(maven.cache.path)
    return ran


def _fetch(build: Build, choice: MavenChoice, cache: Cache, around: Surroundings) -> Maven | None:
    """Brings a Maven into the cache, with Debian's Maven; or returns that one when the version is not to be had."""
    bootstrap = _bootstrap(build)
    with tempfile.TemporaryDirectory(prefix="maven-") as folder, cache.locked():
        wanted = f"org.apache.maven:apache-maven:{choice.version}:zip:bin"
        command = [bootstrap, "-B", "-ntp", *around.options, f"-Dmaven.repo.local={cache.path}", _COPY]
        command += [] if online() else ["-o"]
        ran = run(
            [*command, f"-Dartifact={wanted}", f"-DoutputDirectory={folder}"], env=around.env, cwd=folder, show=None
        )
    if not ran.code:
        return None
    _forget_failures(cache.path)
    from pylife_java.failures import first_error

    version = _own_version(bootstrap)
    warn(f"Maven {choice.version} ({choice.origin}) cannot be fetched:")
    warn(first_error(ran.output))
    warn(
        f"Building with Maven {version} of the Debian packages instead. If it should be exactly Maven {choice.version},"
    )
    warn("see that Maven's repository has it, and build again.")
    return Maven(bootstrap, version, cache)


def _bootstrap(build: Build) -> str:
    """The mvn of Debian's package, for this build alone: with the right Maven in the repository, it is not needed."""
    from pylife_sdk.debian import open_apt, unpack

    layer = open_layer(build, "maven-debian")
    apt = open_apt(build)
    packages = apt.fetch(["maven"])
    # Its own jars and those that it needs; Java is there already.
    unpack([package for package in packages if package.name.endswith(("maven", "-java"))], layer.empty())
    apt.spare(packages)
    return os.path.join(layer.path, "usr", "share", "maven", "bin", "mvn")


def _own_version(command: str) -> str:
    library = os.path.join(os.path.dirname(os.path.dirname(command)), "lib")
    for name in sorted(os.listdir(library)):
        if name.startswith("maven-core-"):
            with zipfile.ZipFile(os.path.join(library, name)) as jar:
                text = jar.read("META-INF/maven/org.apache.maven/maven-core/pom.properties").decode()
            return next((line[8:].strip() for line in text.splitlines() if line.startswith("version=")), "3")
    return "3"


def _check(packed: str, choice: MavenChoice) -> None:
    if choice.checksum and (found := hashlib.sha256(read_bytes(packed)).hexdigest()) != choice.checksum:
        os.unlink(packed)
        fail(
            "java.wrapper-checksum",
            f"Maven {choice.version} is not the file that the wrapper names by its checksum.",
            found=f"distributionSha256Sum={choice.checksum}\nsha256 of the file: {found}",
            fix="Correct or remove distributionSha256Sum in .mvn/wrapper/maven-wrapper.properties.",
        )


def _unzip(packed: str, target: str) -> None:
    with zipfile.ZipFile(packed) as archive:
        for info in archive.infolist():
            path = os.path.join(target, *info.filename.split("/")[1:])
            if info.is_dir():
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(info) as content, open(path, "wb") as file:
                shutil.copyfileobj(content, file)
            os.chmod(path, 0o755 if (info.external_attr >> 16) & 0o111 else 0o644)


def _command(layer: Layer) -> str:
    return os.path.join(layer.path, "bin", "mvn")


def _locks(version: str) -> bool:
    numbers = [int(part) for part in version.split("-")[0].split(".") if part.isdigit()]
    return numbers[:2] >= [3, 9]


def _worth_showing(line: str) -> bool:
    return not line.startswith(("[INFO] Download", "Download", "Progress"))


def _forget_failures(repository: str) -> None:
    """Removes the marks of artifacts that could not be fetched: the next build is to ask again."""
    for folder, _, files in os.walk(repository):
        for name in files:
            if name.endswith(".lastUpdated"):
                os.unlink(os.path.join(folder, name))


def _remove_installed(repository: str) -> None:
    for folder, folders, files in os.walk(repository):
        if "maven-metadata-local.xml" in files:
            folders.clear()
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # one that has something else in it stays
                os.removedirs(os.path.dirname(folder))
