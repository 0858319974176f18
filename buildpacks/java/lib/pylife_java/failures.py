"""What a failed build means: Maven's (or Gradle's) words turned into an id, the evidence and a next step."""

from __future__ import annotations

import re
from typing import NoReturn

from pylife_sdk.network_failures import UNCACHED, UNREACHED, UNTRUSTED, refusal
from pylife_sdk.output import fail
from pylife_sdk.process import Ran

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_POM = re.compile(r"^\[(?:ERROR|FATAL)\] (?!\s*\[Help)(.*?@?.*?(?:, line |@ line )(\d+), column (\d+).*)$", re.M)
_UNPARSED = re.compile(r"Non-parseable POM (\S+?):? (.*?)(?:\(position: .*?)? ?@ ?line (\d+), column (\d+)", re.S)
_NOT_FOUND = re.compile(
    r"(?:Could not find artifact|Failure to find|The following artifacts could not be resolved:) "
    r"([\w.\-]+:[\w.\-]+:[\w.\-:]+?)(?: \((?:absent|present)[^)]*\))?(?: in ([\w.\-]+) \(([^)]*)\)|[:,;\s])"
)
_PLUGIN = re.compile(
    r"Plugin ([\w.\-]+:[\w.\-]+(?::[\w.\-]+)?) (?:or one of its dependencies could not be resolved|not found)"
)
_TRANSFER = re.compile(r"Could not transfer (?:artifact|metadata) (\S+) from/to (\S+) \(([^)]*)\)")
_SOURCE = re.compile(r"^\[ERROR\] (\S+\.(?:java|kt|groovy|scala)):\[(\d+),(\d+)\] (.*)$", re.M)
_KOTLIN = re.compile(r"^\[ERROR\] (\S+\.kt): ?\((\d+), ?(\d+)\) (.*)$", re.M)
_RELEASE = re.compile(r"(?:release version|invalid target release:|invalid source release:) ?(\d+(?:\.\d+)?)")
_SPACE = re.compile(r"No space left on device|Disk quota exceeded")
_MEMORY = re.compile(r"OutOfMemoryError|insufficient memory for the Java Runtime|GC overhead limit")
_TESTS = re.compile(r"There are test failures|Failed to execute goal \S*(?:surefire|failsafe)-plugin\S*")
_GOAL = re.compile(
    r"(Unknown lifecycle phase \"[^\"]*\"|No plugin found for prefix '[^']*'|Could not find goal '[^']*')"
)
_MODULE = re.compile(r"Child module (\S+) of (\S+) does not exist")
_RULE = re.compile(r"Rule \d+: (\S+) failed with message:\s*(.*)")
_OPTION = re.compile(r"Unrecognized (?:VM )?option:? '?([^\s']+)|Unable to parse command line options: (.*)")
_CHECKSUM = re.compile(r"Checksum validation failed[^\n]*")
_PROFILE = re.compile(
    r"The requested profile \"([^\"]+)\" could not be activated|Could not find the selected profile: (\S+)"
)
TRUST = (
    "Give the build the certificate of the authority that signed it, as a binding of the type ca-certificates:\n"
    "mkdir company-ca && echo ca-certificates > company-ca/type && cp CA.pem company-ca/\n"
    "pylife build --binding company-ca ...\n"
    "or, when all that this machine builds is to trust it: pylife build --ca-file CA.pem ...\n"
    "Where the build is a container of its own, mount a bundle that has it and set SSL_CERT_FILE to its path."
)


def first_error(output: str) -> str:
    """The first line that Maven marks as an error, without what comes before its words."""
    for line in _ANSI.sub("", output).splitlines():
        if line.startswith("[ERROR] ") and line[8:].strip():
            return line[8:].split(" -> [Help")[0]
    return output.strip().splitlines()[-1] if output.strip() else "it printed nothing"


def explain(ran: Ran, app: str, java: str) -> NoReturn:
    """Raises the ``Failure`` that fits what Maven printed."""
    output = _ANSI.sub("", ran.output).replace(f"{app}/", "")
    errors = _errors(output)
    fail_full(output)
    _about_pom(output, errors)
    _about_sources(output, java)
    _about_repositories(output, errors)
    if match := _GOAL.search(output):
        fail(
            "java.unknown-goal",
            f"Maven does not know what it is to do: {match[1]}.",
            found=errors,
            fix="Correct MAVEN_CUSTOM_GOALS or BP_MAVEN_BUILD_ARGUMENTS; without them it is `-DskipTests package`.",
        )
    if match := _OPTION.search(output):
        fail(
            "java.bad-arguments",
            f"Java or Maven does not know an option: {match[1] or match[2]}.",
            found=errors,
            fix="Look into MAVEN_OPTS, MAVEN_CUSTOM_OPTS, BP_MAVEN_BUILD_ARGUMENTS, .mvn/maven.config and "
            ".mvn/jvm.config.",
        )
    if match := _RULE.search(output):
        fail(
            "java.rule-violated",
            f"The build's own rule {match[1].rpartition('.')[2]} forbids it (maven-enforcer-plugin).",
            found=errors,
            fix=f"Meet the rule: this is Java {java}. A Maven version is chosen by BP_MAVEN_VERSION, a Java by\n"
            "system.properties. Or leave rules out: --env BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS=-Denforcer.skip",
        )
    if _TESTS.search(output):
        fail(
            "java.tests-failed",
            "Tests of the app failed, and this build runs them.",
            found=errors,
            fix="Mend them: mvn test\nBy itself a build runs no tests; MAVEN_CUSTOM_OPTS=-DskipTests leaves them out.",
        )
    if _MEMORY.search(output) or ran.code in (-9, 137):
        fail(
            "java.build-out-of-memory",
            "The build needs more memory than it has.",
            found=_lines_with(output, _MEMORY) or f"Maven was ended by signal {-ran.code}",
            fix="Give it more: pylife build --memory 4g ...\nor a larger heap: --env MAVEN_OPTS=-Xmx1g",
        )
    fail(
        "java.build-failed",
        f"Maven could not build the app (exit code {ran.code}).",
        found=errors or "\n".join(output.strip().splitlines()[-30:]),
        fix="See what it says, and try the same here:\nmvn -DskipTests package",
    )


def fail_full(output: str) -> None:
    """Raises ``Failure`` java.disk-full if an output tells of it."""
    if _SPACE.search(output):
        fail(
            "java.disk-full",
            "There is no space left where the build writes.",
            found=_lines_with(output, _SPACE),
            fix="Free some space where pylife builds, then build again:\npylife gc",
        )


def _about_pom(output: str, errors: str) -> None:
    if match := _UNPARSED.search(output):
        fail(
            "java.pom-invalid",
            f"{match[1]}:{match[3]}, column {match[4]} cannot be read as a pom.",
            found=errors,
            fix=f"Correct that place, and check with\nmvn -f {match[1].rstrip(':')} validate",
        )
    if match := _MODULE.search(output):
        fail(
            "java.module-missing",
            f"{match[2].rpartition('/')[2]} names a module that is not there: {match[1].rpartition('/')[2]}.",
            found=errors,
            fix="Correct <modules>, or commit the module's folder.",
        )
    if (match := _PROFILE.search(output)) and "could not be activated because" in output:
        fail(
            "java.unknown-profile",
            f"There is no Maven profile {match[1] or match[2]}.",
            found=_lines_with(output, _PROFILE),
            fix="Correct BP_MAVEN_ACTIVE_PROFILES (or -P). See those there are: mvn help:all-profiles",
        )
    broken = "problems were encountered while processing the POMs" in output or "Invalid POM" in output
    if broken and not _NOT_FOUND.search(output) and not _TRANSFER.search(output) and not UNCACHED.search(output):
        match = re.search(r"^\[ERROR\] (.*?) ?@ ?(?:.*?, (\S+), )?line (\d+), column (\d+)", output, re.M)
        where = f"{match[2] or 'pom.xml'}:{match[3]}, column {match[4]}" if match else "The pom"
        fail(
            "java.pom-invalid",
            f"{where} is not what Maven can build from{': ' + match[1] if match else ''}.",
            found=errors,
            fix="Correct that place, and check with\nmvn validate",
        )


def _about_sources(output: str, java: str) -> None:
    if match := _RELEASE.search(output):
        major = java.split(".")[0]
        fail(
            "java.release-unsupported",
            f"The pom asks the compiler for Java {match[1]}, which this JDK ({java}) does not know.",
            found=_lines_with(output, _RELEASE),
            fix=f"Compile for Java {major}: <maven.compiler.release>{major}</maven.compiler.release> "
            f"(with Spring Boot <java.version>{major}</java.version>)\nor ask for a newer JDK in system.properties: "
            f"java.runtime.version={match[1]}",
        )
    found = [*_SOURCE.findall(output), *_KOTLIN.findall(output)]
    if found and ("COMPILATION ERROR" in output or "Compilation failure" in output or _KOTLIN.search(output)):
        lines = list(dict.fromkeys(f"{name}:{line}:{column}: {what}" for name, line, column, what in found))
        first = found[0]
        fail(
            "java.compile-failed",
            f"{first[0]}:{first[1]} does not compile ({len(lines)} error{'s' if len(lines) > 1 else ''}).",
            found="\n".join(lines[:15]),
            fix="Mend the sources; the same compiler runs with\nmvn compile",
        )


def _about_repositories(output: str, errors: str) -> None:
    transfer, absent = _TRANSFER.search(output), _NOT_FOUND.search(output)
    what = transfer[1] if transfer else absent[1] if absent else "an artifact"
    repository = transfer[2] if transfer else (absent[2] if absent and absent[2] else "Maven's repository")
    what = what.rstrip(":")
    if UNCACHED.search(output):
        fail(
            "java.offline",
            f"There is no network, and the cache does not have {what if transfer or absent else 'all it needs'}.",
            found=errors,
            fix="Build once with a network, so that the cache has it: leave out --network none",
        )
    if transfer and UNTRUSTED.search(output):
        fail(
            "java.tls",
            f"The certificate of the repository {repository} is not trusted here.",
            found=errors,
            fix=TRUST,
        )
    if transfer and (code := refusal(output)):
        proxy = code == "407"
        fail(
            "java.repository-refused",
            f"{'The proxy' if proxy else f'The repository {repository}'} refused {what} (status {code}).",
            found=errors,
            fix="Put name and password into HTTPS_PROXY: http://name:password@host:port"
            if proxy
            else f"Give a settings.xml with a <server> whose <id> is {repository}, as a binding of the type maven:\n"
            "pylife build --binding maven=FOLDER ...",
        )
    if transfer and (failing := re.search(r"status code:? ?(5\d\d)", output)):
        fail(
            "java.network",
            f"The repository {repository} failed when it was asked for {what} (status {failing[1]}).",
            found=errors,
            fix="Build again later, or name a mirror in a settings.xml (binding of the type maven).",
        )
    if absent and not (transfer and UNREACHED.search(output)):
        fail(
            "java.artifact-not-found",
            f"{repository} has no {what}.",
            found=errors,
            fix="Correct its name and version in the pom. If it lies in another repository, name that one in the pom\n"
            "(<repositories>) or in a settings.xml (binding of the type maven).",
        )
    if UNREACHED.search(output):
        fail(
            "java.network",
            f"The repository {repository} cannot be reached for {what}.",
            found=errors,
            fix="Check the network and HTTPS_PROXY, or name a mirror in a settings.xml (binding of the type maven).",
        )
    if match := _CHECKSUM.search(output):
        fail(
            "java.checksum",
            f"What {repository} sent is not what its checksum says.",
            found=match[0],
            fix="Build again. If it stays so, the repository or a proxy before it has a broken file.",
        )
    if match := _PLUGIN.search(output):
        fail(
            "java.artifact-not-found",
            f"The plugin {match[1]} could not be fetched.",
            found=errors,
            fix="Correct its name and version in the pom, or name the repository that has it.",
        )


def _errors(output: str) -> str:
    lines = []
    for line in output.splitlines():
        if line.startswith(("[ERROR]", "[FATAL]")):
            text = line.partition("] ")[2].split(" -> [Help")[0].rstrip()
            noise = ("Re-run Maven", "To see the full stack", "For more information", "[Help", "After correcting")
            if text.strip() and not text.startswith(noise) and text not in lines:
                lines.append(text)
    return "\n".join(lines[:15])


def _lines_with(output: str, pattern: re.Pattern[str]) -> str:
    lines = list(dict.fromkeys(line.strip() for line in output.splitlines() if pattern.search(line)))
    return "\n".join(lines[:6])
