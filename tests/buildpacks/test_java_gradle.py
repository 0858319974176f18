"""Apps that Gradle's wrapper builds. Wrappers here are scripts: the real one would fetch a distribution of 100 MB.

What they print when they fail is what the real wrapper and Gradle 4.4.1 printed for such an app.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from java_apps import CLOCK, failed
from workbench import Bench

GRADLEW = """#!/bin/sh
set -e
test "$1" = --no-daemon && test "$2" = assemble && test -n "$GRADLE_USER_HOME"
mkdir -p build/classes build/libs
javac -d build/classes $(find src -name '*.java')
cp -r src/main/resources/. build/classes
printf 'Main-Class: app.tides.Clock\\n' > build/manifest
jar cfm build/libs/clock.jar build/manifest -C build/classes .
cp build/libs/clock.jar build/libs/clock-plain.jar
"""
DISTRIBUTION = "distributionUrl=https\\://gradle.example/gradle-8.10-bin.zip\n"


def gradle(fresh: Bench, script: str) -> Bench:
    """The sample as a Gradle app whose wrapper is a script: what it does is the app's own affair."""
    (fresh.app / "pom.xml").unlink()
    return fresh.write(
        {
            "build.gradle": "plugins { id 'java' }\n",
            "gradlew": script,
            "gradle/wrapper/gradle-wrapper.jar": b"",
            "gradle/wrapper/gradle-wrapper.properties": DISTRIBUTION,
        }
    )


def test_a_gradle_app_is_built_by_its_wrapper_and_kept(fresh: Bench) -> None:
    ran = gradle(fresh, GRADLEW).build("java")
    assert ran.code == 0, ran.out + ran.err
    assert "Built build/libs/clock.jar." in ran.out
    assert (fresh.app / "app/tides/Clock.class").is_file()
    assert not (fresh.app / "build.gradle").exists()
    shutil.rmtree(fresh.app)
    shutil.copytree(CLOCK, fresh.app)
    again = gradle(fresh, GRADLEW).build("java")
    assert "Gradle is not started" in again.out, again.out + again.err


FETCHING = "Downloading https://gradle.example/gradle-8.10-bin.zip"
WRAPPER = "\tat org.gradle.wrapper.GradleWrapperMain.main(GradleWrapperMain.java:61)"
MAIN = 'Exception in thread "main" java'
RESOLVING = """
FAILURE: Build failed with an exception.

* What went wrong:
Could not resolve all files for configuration ':compileClasspath'.
> Could not resolve org.slf4j:slf4j-api:2.0.9.
   > Could not get resource 'https://maven.example/org/slf4j/slf4j-api/2.0.9/slf4j-api-2.0.9.pom'.
      > Could not GET 'https://maven.example/org/slf4j/slf4j-api/2.0.9/slf4j-api-2.0.9.pom'.{}

* Try:
Run with --stacktrace option to get the stack trace.
"""
WRONG = (
    "FAILURE: Build failed with an exception.\n\n* Where:\n{}\n\n* What went wrong:\n{}\n\n* Try:\nRun with --info\n"
)
ABSENT = "Could not resolve all files for configuration ':compileClasspath'.\n> Could not find {}.\n"
CASES = {
    "a host that nobody knows": (
        f"{FETCHING}\n{MAIN}.net.UnknownHostException: gradle.example\n{WRAPPER}",
        "java.gradle-unreachable",
        ["UnknownHostException", "--env BP_GRADLE_DISTRIBUTION_URL"],
    ),
    "a distribution that is not there": (
        f"{FETCHING}\n{MAIN}.io.FileNotFoundException: https://gradle.example/gradle-8.10-bin.zip\n{WRAPPER}",
        "java.gradle-unreachable",
        ["FileNotFoundException"],
    ),
    "an authority that nobody knows": (
        f"{FETCHING}\n{MAIN}x.net.ssl.SSLHandshakeException: PKIX path building failed\n{WRAPPER}",
        "java.tls",
        ["gradle-8.10-bin.zip", "ca-certificates"],
    ),
    "a page instead of a zip": (
        f"{FETCHING}\n{MAIN}.util.zip.ZipException: zip END header not found\n{WRAPPER}",
        "java.gradle-distribution",
        ["zip END header not found"],
    ),
    "another checksum": (
        (
            f"{FETCHING}\nVerification of Gradle distribution failed!\n\nExpected checksum: '{'0' * 64}'\n"
            f"  Actual checksum: '{'1' * 64}'\n"
        ),
        "java.wrapper-checksum",
        ["0" * 64, "1" * 64],
    ),
    "a dependency that nobody has": (
        WRONG.format("", ABSENT.format("com.acme:nothing:1.0")),
        "java.artifact-not-found",
        ["has com.acme:nothing:1.0."],
    ),
    "a dependency without its jar": (
        WRONG.format("", ABSENT.format("nothing.jar (com.acme:nothing:1.0)")),
        "java.artifact-not-found",
        ["has com.acme:nothing:1.0."],
    ),
    "a plugin that nobody has": (
        WRONG.format(
            "Build file 'build.gradle' line: 1",
            "Plugin [id: 'com.acme.none', version: '1.0'] was not found in any of the following sources:",
        ),
        "java.artifact-not-found",
        ["com.acme.none"],
    ),
    "a repository that refuses": (
        RESOLVING.format(" Received status code 401 from server: Unauthorized"),
        "java.repository-refused",
        ["maven.example refused org.slf4j:slf4j-api:2.0.9 (status 401)", "credentials"],
    ),
    "a repository of an unknown authority": (
        RESOLVING.format("\n         > PKIX path building failed: unable to find valid certification path"),
        "java.tls",
        ["maven.example", "--binding"],
    ),
    "a repository that nobody serves": (
        RESOLVING.format("\n         > Connect to maven.example:443 failed: Connection refused"),
        "java.network",
        ["maven.example", "org.slf4j:slf4j-api:2.0.9"],
    ),
    "no network": (
        WRONG.format("", "> No cached version of org.slf4j:slf4j-api:2.0.9 available for offline mode."),
        "java.offline",
        ["org.slf4j:slf4j-api:2.0.9"],
    ),
    "a line that is no Groovy": (
        WRONG.format("Build file '/workspace/build.gradle' line: 4", "Could not compile build file 'build.gradle'."),
        "java.gradle-script",
        ["build.gradle:4"],
    ),
    "a Java that this Gradle does not know": (
        WRONG.format("", "Could not determine java version from '17.0.15'."),
        "java.gradle-too-old",
        ["gradle-8.10-bin.zip", "--gradle-version"],
    ),
    "something else": (WRONG.format("", "Execution failed for task ':test'."), "java.build-failed", ["':test'"]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_gradle_cannot_do_says_why(fresh: Bench, case: str) -> None:
    output, id, words = CASES[case]
    script = "#!/bin/sh\ncat gradle/output >&2\nexit 1\n"
    ran = gradle(fresh, script).write({"gradle/output": output}).build("java")
    failed(ran, id, *words)


def test_a_source_that_does_not_compile_is_named(fresh: Bench) -> None:
    # A task's line stays open in Gradle's plain output, and the compiler goes on in it.
    printed = "printf ':compileJava'; echo \"$PWD/src/main/java/app/tides/Clock.java:8: error: cannot find symbol\""
    wrong = (
        "Execution failed for task ':compileJava'.\n> Compilation failed; see the compiler error output for details."
    )
    script = f"#!/bin/sh\n{printed}\ncat gradle/output\nexit 1\n"
    ran = gradle(fresh, script).write({"gradle/output": WRONG.format("", wrong)}).build("java")
    failed(ran, "java.compile-failed", "Error: src/main/java/app/tides/Clock.java:8 does not compile")


def test_a_mirror_of_distributions_is_where_the_wrapper_looks(fresh: Bench) -> None:
    script = "#!/bin/sh\ncat gradle/wrapper/gradle-wrapper.properties\nexit 1\n"
    ran = gradle(fresh, script).build("java", BP_GRADLE_DISTRIBUTION_URL="https://mirror.example/gradle-8.10-bin.zip")
    assert "distributionUrl=https\\://mirror.example/gradle-8.10-bin.zip" in ran.out
    assert "gradle.example" not in ran.out


def test_a_distribution_that_was_not_unpacked_is_not_kept(fresh: Bench) -> None:
    home = "$GRADLE_USER_HOME/wrapper/dists"
    script = (
        f"#!/bin/sh\nmkdir -p {home}/gradle-8-bin/whole {home}/gradle-8-bin/half\n"
        f"touch {home}/gradle-8-bin/whole/gradle-8-bin.zip.ok {home}/gradle-8-bin/half/gradle-8-bin.zip\nexit 1\n"
    )
    gradle(fresh, script).build("java")
    (dists,) = Path(fresh.env["PYLIFE_SHARED_CACHE"]).glob("gradle-*/wrapper/dists/gradle-8-bin")
    assert [path.name for path in dists.iterdir()] == ["whole"]
