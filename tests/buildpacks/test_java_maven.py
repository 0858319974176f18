"""Apps that Maven builds: what the image gets, what is kept, and how builds end that cannot succeed.

One build brings JDK, Maven and the plugins' artifacts; the others find them restored, as from a cache.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from java_apps import CLOCK, DEPENDENCY, POM, failed, pom_with
from workbench import Bench


def test_the_sources_go_and_the_classes_come(clock: Bench) -> None:
    assert (clock.app / "app/tides/Clock.class").is_file()
    assert (clock.app / "page.html").is_file()
    assert not (clock.app / "pom.xml").exists()
    assert not (clock.app / "src").exists()
    web = clock.processes("java")["web"]
    assert web["command"] == ["bash", "-c", "exec java $JAVA_OPTS -cp . app.tides.Clock"]
    assert web["default"]


def test_the_runtime_starts_the_app(clock: Bench) -> None:
    jre = clock.layer("java", "jre")
    ran = subprocess.run(
        [jre / "bin/java", "--list-modules"], capture_output=True, text=True, env={"JAVA_TOOL_OPTIONS": "-Xmx64m"}
    )
    assert "java.se@17" in ran.stdout
    assert "jdk.compiler" not in ran.stdout
    assert not (jre / "lib" / "libawt_xawt.so").exists()
    listing = subprocess.run(
        [jre / "bin/keytool", "-list", "-cacerts", "-storepass", "changeit"], capture_output=True, text=True
    )
    assert listing.stdout.count("trustedCertEntry") > 50, listing.stdout[:500]


def test_boms_name_what_the_runtime_is_made_of(clock: Bench) -> None:
    layers = clock.layers / "pylife_java"
    document = json.loads((layers / "jre.sbom.cdx.json").read_text())
    assert document["components"]
    assert json.loads((layers / "launch.sbom.spdx.json").read_text())["spdxVersion"] == "SPDX-2.3"


def test_an_unchanged_app_is_put_back_without_maven(fresh: Bench) -> None:
    first = fresh.build("java")
    assert first.code == 0, first.out + first.err
    assert "Maven 3.9.11 is kept from the last build." in first.out
    built = {path: path.read_bytes() for path in fresh.app.rglob("*") if path.is_file()}
    shutil.rmtree(fresh.app)
    shutil.copytree(CLOCK, fresh.app)
    again = fresh.build("java", PATH="/usr/bin:/bin")
    assert again.code == 0, again.err
    assert "Maven is not started" in again.out
    assert "[INFO]" not in again.out
    assert {path: path.read_bytes() for path in fresh.app.rglob("*") if path.is_file()} == built
    for name in ("jdk", "jre", "maven", "app", "start"):
        assert "cache = true" in (fresh.layers / f"pylife_java/{name}.toml").read_text(), name


def test_the_same_sources_give_the_same_bytes(fresh: Bench, clock: Bench) -> None:
    ran = fresh.build("java")
    assert ran.code == 0, ran.out + ran.err

    def files(bench: Bench) -> dict[str, bytes]:
        return {str(p.relative_to(bench.app)): p.read_bytes() for p in bench.app.rglob("*") if p.is_file()}

    assert files(fresh) == files(clock)


def test_a_target_folder_of_the_users_machine_is_left_out(fresh: Bench) -> None:
    fresh.write({"target/classes/Old.class": "old", "target/old-9.jar": "no jar"})
    ran = fresh.build("java")
    assert ran.code == 0, ran.out + ran.err
    assert "Left out, since the build makes it anew: target." in ran.out
    assert not (fresh.app / "Old.class").exists()


def test_a_procfile_that_starts_a_built_jar_keeps_it_where_it_is(fresh: Bench) -> None:
    fresh.write({"Procfile": "web: java -jar target/clock-1.0.jar\n"})
    ran = fresh.build("java")
    assert ran.code == 0, ran.out + ran.err
    assert (fresh.app / "target/clock-1.0.jar").is_file()
    assert (fresh.app / "Procfile").is_file()
    assert "web" not in fresh.processes("java")


def test_a_procfile_stays_and_so_does_what_is_to_be_included(fresh: Bench) -> None:
    fresh.write({"Procfile": "web: java -cp . app.tides.Clock\n", "docs/a.txt": "a", "docs/b.md": "b"})
    ran = fresh.build("java", BP_INCLUDE_FILES="docs/*.txt")
    assert ran.code == 0, ran.out + ran.err
    assert sorted(str(p.relative_to(fresh.app)) for p in fresh.app.rglob("*") if p.is_file())[-3:] == [
        "app/tides/Clock.class",
        "docs/a.txt",
        "page.html",
    ]


def test_dependencies_go_into_a_slice_and_into_the_bom(fresh: Bench) -> None:
    plugin = """<plugin><artifactId>maven-dependency-plugin</artifactId><version>3.6.1</version><executions><execution>
      <phase>package</phase><goals><goal>copy-dependencies</goal></goals>
      <configuration><outputDirectory>target/libs</outputDirectory></configuration></execution></executions></plugin>"""
    manifest = "<mainClass>app.tides.Clock</mainClass><addClasspath>true</addClasspath>"
    fresh.write(
        {
            "pom.xml": pom_with(
                (
                    "<build>",
                    f"<dependencies>{DEPENDENCY.format('org.slf4j', 'slf4j-api', '2.0.9')}</dependencies><build>",
                ),
                ("<plugins>", f"<plugins>{plugin}"),
                (
                    "<mainClass>app.tides.Clock</mainClass>",
                    f"{manifest}<classpathPrefix>libs/</classpathPrefix>",
                ),
            )
        }
    )
    ran = fresh.build("java")
    assert ran.code == 0, ran.out + ran.err
    assert ["lib/slf4j-api-2.0.9.jar"] in [entry["paths"] for entry in fresh.launch("java")["slices"]]
    assert ".:lib/slf4j-api-2.0.9.jar" in fresh.processes("java")["web"]["command"][2]
    bom = json.loads((fresh.layers / "pylife_java/launch.sbom.cdx.json").read_text())
    assert "pkg:maven/org.slf4j/slf4j-api@2.0.9" in [each["purl"] for each in bom["components"]]


def test_the_wrapper_names_the_maven(fresh: Bench) -> None:
    url = "https://maven.example/maven2/org/apache/maven/apache-maven/3.9.11/apache-maven-3.9.11-bin.zip"
    fresh.write({".mvn/wrapper/maven-wrapper.properties": f"distributionUrl={url}\n", "mvnw": "#!/bin/sh\nexit 9\n"})
    ran = fresh.build("java")
    assert ran.code == 0, ran.out + ran.err
    assert "Maven 3.9.11: the wrapper's, by .mvn/wrapper/maven-wrapper.properties:1" in ran.out


def test_a_maven_that_nobody_has_is_replaced_with_a_warning(fresh: Bench) -> None:
    ran = fresh.build("java", BP_MAVEN_VERSION="3.9.777")
    assert ran.code == 0, ran.out + ran.err
    assert "Maven 3.9.777 (BP_MAVEN_VERSION asks for 3.9.777) cannot be fetched" in ran.err
    assert "Building with Maven 3.8" in ran.err


def test_what_is_installed_does_not_stay_in_the_shared_repository(fresh: Bench) -> None:
    ran = fresh.build("java", MAVEN_CUSTOM_GOALS="install")
    assert ran.code == 0, ran.out + ran.err
    assert not list(Path(fresh.env["PYLIFE_SHARED_CACHE"]).glob("**/app/tides"))


@pytest.mark.parametrize(
    ("files", "env", "id", "words"),
    [
        pytest.param(
            {"src/main/java/app/tides/Clock.java": "package app.tides;\nclass Clock {\n  int x = y;\n}\n"},
            {},
            "java.compile-failed",
            ["src/main/java/app/tides/Clock.java:3", "cannot find symbol"],
            id="a class that does not compile",
        ),
        pytest.param(
            {},
            {"BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS": "-Dmaven.compiler.release=21"},
            "java.release-unsupported",
            ["Java 21", "17.0."],
            id="a release that the JDK does not know",
        ),
        pytest.param(
            {
                "pom.xml": pom_with(
                    (
                        "<build>",
                        (f"<dependencies>{DEPENDENCY.format('org.slf4j', 'slf4j-api', '99.0')}</dependencies><build>"),
                    )
                )
            },
            {},
            "java.artifact-not-found",
            ["org.slf4j:slf4j-api:jar:99.0"],
            id="a version of a dependency that nobody has",
        ),
        pytest.param(
            {"pom.xml": pom_with(("<version>3.4.2</version>", "<version>99.4.2</version>"))},
            {},
            "java.artifact-not-found",
            ["maven-jar-plugin", "99.4.2"],
            id="a plugin's version that nobody has",
        ),
        pytest.param(
            {
                "pom.xml": pom_with(
                    (
                        "<build>",
                        (
                            "<dependencies><dependency><groupId>org.slf4j</groupId><artifactId>"
                            "slf4j-api</artifactId></dependency></dependencies><build>"
                        ),
                    )
                )
            },
            {},
            "java.pom-invalid",
            ["pom.xml:11, column", "'dependencies.dependency.version'"],
            id="a dependency without a version",
        ),
        pytest.param(
            {"pom.xml": pom_with(("<build>", "<modules><module>web</module></modules><build>"))},
            {},
            "java.module-missing",
            ["web"],
            id="a module that is not there",
        ),
        pytest.param(
            {"pom.xml": pom_with(("<build>", "<biuld></biuld><build>"))},
            {},
            "java.pom-invalid",
            ["biuld"],
            id="an element that no pom has",
        ),
        pytest.param({}, {"MAVEN_CUSTOM_GOALS": "pakcage"}, "java.unknown-goal", ["pakcage"], id="a misspelt goal"),
        pytest.param(
            {}, {"BP_MAVEN_BUILD_ARGUMENTS": "-P 'x"}, "java.bad-arguments", [], id="quotes that do not close"
        ),
        pytest.param({}, {"BP_MAVEN_ACTIVE_PROFILES": "prod"}, "", [], id="a profile that is not there is a warning"),
        pytest.param(
            {}, {"MAVEN_OPTS": "-XX:+NoSuchFlag"}, "java.bad-arguments", ["NoSuchFlag"], id="a flag of Java's"
        ),
        pytest.param(
            {}, {"BP_MAVEN_BUILT_MODULE": "web"}, "java.module-missing", ["BP_MAVEN_BUILT_MODULE"], id="module"
        ),
        pytest.param(
            {}, {"BP_MAVEN_BUILT_ARTIFACT": "target/*.war"}, "java.no-artifact", ["target/*.war"], id="no such artifact"
        ),
        pytest.param(
            {"pom.xml": pom_with(("<mainClass>app.tides.Clock</mainClass>", ""))},
            {},
            "java.no-main-class",
            ["target/clock-1.0.jar", "<mainClass>"],
            id="a jar that says nothing to start",
        ),
        pytest.param(
            {
                "pom.xml": pom_with(
                    ("<build>", "<packaging>war</packaging><build>"),
                    ("<version>3.13.0</version>", "<version>3.13.0</version>"),
                ),
                "src/main/webapp/WEB-INF/web.xml": "<web-app/>",
            },
            {},
            "java.war-without-server",
            ["clock-1.0.war"],
            id="a war without a server",
        ),
        pytest.param(
            {}, {"BP_MAVEN_POM_FILE": "other.xml"}, "java.pom-missing", ["other.xml"], id="a pom named wrongly"
        ),
        pytest.param({}, {"BP_JVM_MODULES": "java.base,java.no"}, "java.unknown-module", ["java.no"], id="a module"),
        pytest.param({}, {"BP_MAVEN_VERSION": "latest"}, "java.maven-version-invalid", ["latest"], id="no exact Maven"),
        pytest.param({}, {"BP_JVM_VERSION": "21"}, "java.version-unavailable", ["BP_JVM_VERSION=21"], id="Java 21"),
        pytest.param(
            {"system.properties": "java.runtime.version=8\n"},
            {},
            "java.version-unavailable",
            ["system.properties:1", "17"],
            id="Java 8",
        ),
        pytest.param(
            {"settings.xml": "<settings><x></settings>"}, {}, "java.settings-invalid", ["line 1"], id="settings"
        ),
        pytest.param({}, {"MAVEN_SETTINGS_PATH": "ci/s.xml"}, "java.settings-missing", ["ci/s.xml"], id="no settings"),
    ],
)
def test_what_cannot_be_built_says_why(
    fresh: Bench, files: dict[str, str], env: dict[str, str], id: str, words: list[str]
) -> None:
    ran = fresh.write(files).build("java", **env)
    if id:
        failed(ran, id, *words)
    else:
        assert ran.code == 0, ran.out + ran.err


def test_tests_do_not_run_unless_asked(fresh: Bench) -> None:
    fresh.write({"src/test/java/ClockTest.java": "public class ClockTest { public void testIt() { assert false; } }\n"})
    ran = fresh.build("java")
    assert ran.code == 0, ran.out + ran.err
    assert "Tests are skipped" in ran.out


class Refusing(BaseHTTPRequestHandler):
    """A repository that answers everything with its server's status."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def settings_with(url: str) -> str:
    """Maven settings that add a repository with the id company."""
    repository = f"<repository><id>company</id><url>{url}</url></repository>"
    profile = f"<profile><id>ours</id><repositories>{repository}</repositories></profile>"
    active = "<activeProfiles><activeProfile>ours</activeProfile></activeProfiles>"
    return f"<settings><profiles>{profile}</profiles>{active}</settings>"


@pytest.fixture
def repository() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "id"),
    [
        (401, "java.repository-refused"),
        (403, "java.repository-refused"),
        (404, "java.artifact-not-found"),
        (503, "java.network"),
    ],
)
def test_a_repository_that_refuses_is_named(
    fresh: Bench, repository: ThreadingHTTPServer, status: int, id: str
) -> None:
    repository.status = status  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{repository.server_port}/m2"
    binding = fresh.root / "platform" / "bindings" / "repo"
    binding.mkdir(parents=True)
    (binding / "type").write_text("maven")
    (binding / "settings.xml").write_text(settings_with(url))
    dependency = DEPENDENCY.format("com.acme", f"secret{status}", "1.0")
    fresh.write({"pom.xml": pom_with(("<build>", f"<dependencies>{dependency}</dependencies><build>"))})
    ran = fresh.build("java")
    failed(ran, id, "company", f"com.acme:secret{status}")
    assert "Settings: the binding repo." in ran.out
    # The next build asks again: the refusal is not kept in the shared cache.
    left = Path(fresh.env["PYLIFE_SHARED_CACHE"]).glob(f"**/secret{status}/**/*.lastUpdated")
    assert not list(left)


def test_a_repository_that_nobody_serves_is_a_network_failure(fresh: Bench) -> None:
    dependency = DEPENDENCY.format("com.acme", "absent", "1.0")
    fresh.write(
        {
            "settings.xml": settings_with("http://127.0.0.1:9/m2"),
            "pom.xml": pom_with(("<build>", f"<dependencies>{dependency}</dependencies><build>")),
        }
    )
    failed(fresh.build("java"), "java.network", "company")


def test_offline_with_something_missing_says_so(fresh: Bench) -> None:
    dependency = DEPENDENCY.format("org.slf4j", "slf4j-api", "1.7.1")
    fresh.write({"pom.xml": pom_with(("<build>", f"<dependencies>{dependency}</dependencies><build>"))})
    failed(fresh.build("java", BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS="-o"), "java.offline", "org.slf4j:slf4j-api")


def test_a_maven_that_is_not_the_wrappers_file_is_refused(fresh: Bench) -> None:
    url = "https://maven.example/org/apache/maven/apache-maven/3.9.11/apache-maven-3.9.11-bin.zip"
    fresh.write({".mvn/wrapper/maven-wrapper.properties": f"distributionUrl={url}\ndistributionSha256Sum={'0' * 64}\n"})
    failed(fresh.build("java"), "java.wrapper-checksum", "0" * 64)


def test_two_apps_in_one_reactor_must_be_chosen_from(fresh: Bench) -> None:
    for name in ("one", "two"):
        parent = "<parent><groupId>app.tides</groupId><artifactId>all</artifactId><version>1.0</version></parent>"
        module = POM.replace("<artifactId>clock</artifactId>", f"{parent}<artifactId>{name}</artifactId>")
        sources = (CLOCK / "src/main/java/app/tides/Clock.java").read_text()
        fresh.write({f"{name}/pom.xml": module, f"{name}/src/main/java/app/tides/Clock.java": sources})
    pom = "<project><modelVersion>4.0.0</modelVersion><groupId>app.tides</groupId><artifactId>all</artifactId>"
    modules = "<modules><module>one</module><module>two</module></modules>"
    fresh.write({"pom.xml": f"{pom}<version>1.0</version><packaging>pom</packaging>{modules}</project>"})
    failed(fresh.build("java"), "java.several-artifacts", "one/target/one-1.0.jar", "BP_MAVEN_BUILT_MODULE=one")
    shutil.rmtree(fresh.app / "src")
    ran = fresh.build("java", BP_MAVEN_BUILT_MODULE="two")
    assert ran.code == 0, ran.out + ran.err
    assert "Built two/target/two-1.0.jar." in ran.out


@pytest.mark.parametrize("script", ["", "#!/bin/sh\necho 'mvnw: cannot fetch company-maven-1.zip' >&2\nexit 1\n"])
def test_a_wrapper_that_does_not_bring_its_maven_is_named(fresh: Bench, script: str) -> None:
    fresh.write(
        {".mvn/wrapper/maven-wrapper.properties": "distributionUrl=https://maven.example/company-maven-1.zip\n"}
    )
    if script:
        fresh.write({"mvnw": script})
    failed(fresh.build("java"), "java.wrapper-unreachable", "company-maven-1.zip")
