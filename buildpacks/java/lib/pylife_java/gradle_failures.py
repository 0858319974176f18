"""What a failed build means: the words of Gradle and its wrapper turned into an id, the evidence and a next step."""

from __future__ import annotations

import re
from typing import NoReturn

from pylife_sdk.network_failures import UNREACHED, UNTRUSTED
from pylife_sdk.output import fail
from pylife_sdk.process import Ran

from pylife_java.failures import TRUST, fail_full

MIRROR = "BP_GRADLE_DISTRIBUTION_URL"
_UNFETCHED = re.compile(
    r"FileNotFoundException: https?:|Server returned HTTP response code|Unable to tunnel|SocketException|timed out|"
    r"failed: timeout"
)
_DISTRIBUTION = re.compile(
    r"ZipException|FileNotFoundException: /|does not (?:appear to )?contain|Could not find or load main class "
    r"org\.gradle\.launcher\.GradleMain"
)
_CHECKSUM = re.compile(r"Verification of Gradle distribution failed")
_ABSENT = re.compile(
    r"Could not find (?:\S+ \()?([\w.\-]+:[\w.\-]+:[\w.\-]+)|Plugin (\[id: '[^']+'[^\]]*\]) was not found"
)
_OFFLINE = re.compile(r"No cached version (?:listing )?(?:of|for) (\S+) available for offline mode")
_GET = re.compile(r"Could not (?:GET|HEAD) '([^']+)'(?:\. Received status code (\d+))?")
_RESOLVE = re.compile(r"Could not resolve ([\w.\-]+:[\w.\-]+:[\w.\-+]+)")
_SOURCE = re.compile(r"^(?:e: )?(?:file://)?(\S+\.(?:java|kt|groovy|scala)):(\d+):? (?:\d+:? )?(?:error: )?(.*)$", re.M)
_SCRIPT = re.compile(r"^(?:Build|Settings|Initialization|Script) ?(?:file|script)? '([^']+)' line: (\d+)", re.M)
_RELEASE = re.compile(r"invalid (?:source|target) release: (\S+)|release version (\d+) not supported")
_TOOLCHAIN = re.compile(r"No matching toolchains found|Cannot find a Java installation|No compatible toolchains found")


def explain(ran: Ran, app: str, url: str, java: str) -> NoReturn:
    """Raises the ``Failure`` that fits what the wrapper or Gradle printed. ``url`` is where the wrapper looks."""
    # With a plain console Gradle leaves the line of a task open, and the compiler's words follow in it.
    output = re.sub(rf"(?<=\w){re.escape(app)}/", "\n", ran.output).replace(f"{app}/", "")
    fail_full(output)
    if "* What went wrong:" not in output and ("org.gradle.wrapper" in output or _CHECKSUM.search(output)):
        _about_distribution(output, url)
    wrong = output.partition("* What went wrong:")[2].partition("* Try:")[0].strip() or ran.tail
    _about_sources(output, wrong, java)
    _about_repositories(wrong)
    unsupported = "Unsupported class file major version" in output or "Could not determine java version" in output
    script = _SCRIPT.search(output)
    if unsupported:
        fail(
            "java.gradle-too-old",
            f"This Gradle ({url.rpartition('/')[2]}) does not know Java {java}.",
            found=wrong,
            fix="Take a newer Gradle into the wrapper: ./gradlew wrapper --gradle-version 8.14\nor ask for an older "
            "Java in system.properties, if there is one.",
        )
    if script:
        fail(
            "java.gradle-script",
            f"{script[1].rpartition('/')[2]}:{script[2]} cannot be carried out.",
            found=wrong,
            fix="Correct that place, and check with\n./gradlew help",
        )
    fail(
        "java.build-failed",
        f"Gradle could not build the app (exit code {ran.code}).",
        found=wrong,
        fix="See what it says, and try the same here:\n./gradlew assemble",
    )


def _about_distribution(output: str, url: str) -> None:
    """The wrapper failed before Gradle itself ran."""
    name = url.rpartition("/")[2]
    lines = "\n".join(line.strip() for line in output.splitlines() if "Exception" in line or "checksum:" in line)[:1500]
    if _CHECKSUM.search(output):
        fail(
            "java.wrapper-checksum",
            f"{name} is not the file that the wrapper names by its checksum.",
            found=lines,
            fix="Correct or remove distributionSha256Sum in gradle/wrapper/gradle-wrapper.properties, when the place\n"
            "that it is fetched from has the right file.",
        )
    if UNTRUSTED.search(output):
        fail(
            "java.tls",
            f"The certificate of the place that has {name} is not trusted here.",
            found=lines,
            fix=TRUST,
        )
    if _UNFETCHED.search(output) or UNREACHED.search(output):
        fail(
            "java.gradle-unreachable",
            "The wrapper cannot fetch Gradle.",
            found=lines,
            fix="Put the distribution where this build can reach it, and name that place:\n"
            f"--env {MIRROR}=https://mirror.example/{name}\n"
            "Or build the jar elsewhere (./gradlew build) and give pylife the jar:\n"
            "pylife build --app build/libs ...",
        )
    if _DISTRIBUTION.search(output):
        fail(
            "java.gradle-distribution",
            f"What the wrapper fetched as {name} is no Gradle distribution.",
            found=lines,
            fix="See what that address gives: a page of a proxy perhaps, or half a file. A distribution is a zip with\n"
            f"one folder, as {name} from Gradle itself. The next build fetches it again.",
        )


def _about_sources(output: str, wrong: str, java: str) -> None:
    major = java.split(".")[0]
    if (match := _RELEASE.search(output)) or _TOOLCHAIN.search(wrong):
        asked = (match[1] or match[2]).rstrip(".") if match else "another version"
        fail(
            "java.release-unsupported",
            f"The build asks for Java {asked}, which this JDK ({java}) is not and does not know.",
            found=wrong,
            fix=f"Compile for Java {major}: sourceCompatibility = {major}, or languageVersion {major} of the\n"
            "toolchain, or ask for another JDK in system.properties: java.runtime.version=…",
        )
    found = _SOURCE.findall(output)
    if found and "ompil" in wrong:
        fail(
            "java.compile-failed",
            f"{found[0][0]}:{found[0][1]} does not compile.",
            found="\n".join(f"{name}:{line}: {what}" for name, line, what in found[:15]),
            fix="Mend the sources; the same compiler runs with\n./gradlew classes",
        )


def _about_repositories(wrong: str) -> None:
    get, resolve = _GET.search(wrong), _RESOLVE.search(wrong)
    what = resolve[1].rstrip(".") if resolve else "what the build needs"
    if match := _OFFLINE.search(wrong):
        fail(
            "java.offline",
            f"There is no network, and the cache does not have {match[1].rstrip('.')}.",
            found=wrong,
            fix="Build once with a network, so that the cache has it: leave out --network none",
        )
    host = get[1].split("/")[2] if get and "://" in get[1] else ""
    if host and UNTRUSTED.search(wrong):
        fail(
            "java.tls",
            f"The certificate of {host} is not trusted here.",
            found=wrong,
            fix=TRUST,
        )
    if get and (code := get[2] or "") in ("401", "403", "407"):
        fail(
            "java.repository-refused",
            f"{host} refused {what} (status {code}).",
            found=wrong,
            fix="Give the build a name and password for it: credentials { } of that repository in the build script,\n"
            "read from variables: --env ORG_GRADLE_PROJECT_repositoryUser=… --env "
            "ORG_GRADLE_PROJECT_repositoryPassword=…",
        )
    if absent := _ABSENT.search(wrong):
        fail(
            "java.artifact-not-found",
            f"No repository of the build has {(absent[1] or absent[2]).rstrip('.')}.",
            found=wrong,
            fix="Correct its name and version, or name the repository that has it (repositories { } in the build\n"
            "script, pluginManagement { repositories { } } in settings.gradle for plugins).",
        )
    if host and resolve:
        fail(
            "java.network",
            f"{host} cannot be reached for {what}." if not get or not get[2] else f"{host} failed (status {get[2]}).",
            found=wrong,
            fix="Check the network and HTTPS_PROXY, or name a mirror in the build script's repositories { }.",
        )
