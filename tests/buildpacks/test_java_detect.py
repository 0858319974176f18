"""Which apps are Java's, which Java they get, and what becomes of archives that are built already."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from workbench import BUILDPACKS, ROOT, Bench

sys.path.insert(0, str(BUILDPACKS / "java" / "lib"))

from pylife_java.explode import App, explode
from pylife_java.maven_build import _remove_outputs
from pylife_java.truststore import certificates, jks

POM = (ROOT / "samples" / "java-jar" / "pom.xml").read_text()


def make_jar(files: Mapping[str, str | bytes], manifest: str = "Main-Class: com.acme.Main\n") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\n{manifest}\n")
        for name, content in files.items():
            jar.writestr(name, content)
    return buffer.getvalue()


def class_file(release: int) -> bytes:
    return b"\xca\xfe\xba\xbe\0\0" + (release + 44).to_bytes(2, "big") + b"rest"


APP = make_jar({"com/acme/Main.class": class_file(17)})


def decisions(plan: dict[str, object]) -> dict[str, object]:
    return plan["requires"][0]["metadata"]["pylife"]  # type: ignore[index,no-any-return]


@pytest.mark.parametrize(
    ("files", "passes"),
    [
        ({"pom.xml": POM}, True),
        ({"pom.yaml": "x"}, True),
        ({"mvnw": "x"}, True),
        ({"build.gradle.kts": ""}, True),
        ({"gradlew": ""}, True),
        ({"META-INF/MANIFEST.MF": "Main-Class: a.Main\n"}, True),
        ({"META-INF/MANIFEST.MF": "Built-By: me\n"}, False),
        ({"app.jar": APP}, True),
        ({"target/app.war": APP, "README": ""}, True),
        ({"build/libs/app.jar": APP, "x.py": ""}, True),
        ({"app-sources.jar": APP, "x.py": ""}, False),
        ({"lib.jar": make_jar({}, ""), "app.py": ""}, False),
        ({"lib.jar": make_jar({}, "")}, True),
        ({"app.jar": "no zip", "app.py": ""}, True),
        ({"src/Main.java": "class Main {}"}, False),
        ({}, False),
    ],
)
def test_detection_takes_what_a_build_can_use_or_explain(bench: Bench, files: dict[str, str], passes: bool) -> None:
    ran, plan = bench.write(files).detect("java")
    assert ran.code == (0 if passes else 100), ran.out + ran.err
    assert ran.err == ""
    assert ("A Java app, because there is" if passes else "No Java app: looked for pom.xml") in ran.out
    assert bool(plan) is passes


def test_decisions_travel_in_the_plan(bench: Bench) -> None:
    bench.write({"pom.xml": POM, "system.properties": "java.runtime.version=17\nmaven.version=3.9.9\n"})
    ran, plan = bench.detect("java")
    said = decisions(plan)
    assert said["files"] == ["pom.xml", "system.properties"]
    assert [(each["name"], each["version"]) for each in said["versions"]] == [("java", "17"), ("maven", "3.9.9")]  # type: ignore[attr-defined]
    assert said["commands"] == ["mvn -B -ntp -DskipTests package"]
    assert "Maven 3.9.9: asked for by system.properties:2." in ran.out


def test_a_problem_is_known_before_the_build(bench: Bench) -> None:
    ran, plan = bench.write({"pom.xml": "<project>\n  <a></b>\n</project>"}).detect("java")
    assert ran.code == 0
    assert decisions(plan)["problems"] == [
        {"id": "java.pom-invalid", "what": "pom.xml:2, column 8 is not well-formed XML: mismatched tag."}
    ]
    assert "[java.pom-invalid]" in ran.out


@pytest.mark.parametrize(
    ("files", "env", "said"),
    [
        ({}, {}, "Java 17: Java 17 compiles for release 17, asked for by <maven.compiler.release> at pom.xml:8"),
        ({".java-version": "17.0\n"}, {}, "Java 17.0: .java-version:1"),
        ({".java-version": "# ours\nzulu-17.0.9\n"}, {}, "Java 17.0.9: .java-version:2"),
        ({".sdkmanrc": "java=17.0.9-tem\n"}, {}, "Java 17.0.9: .sdkmanrc:1"),
        ({"system.properties": "java.runtime.version=openjdk-1.8\n"}, {}, "Java 8: system.properties:1"),
        (
            {"system.properties": "a=b\njava.runtime.version: 21\n", ".java-version": "17"},
            {},
            "Java 21: system.properties:2",
        ),
        ({".java-version": "11"}, {"BP_JVM_VERSION": "17.*"}, "Java 17: BP_JVM_VERSION"),
        ({".java-version": "latest"}, {}, "The build will stop: .java-version:1 does not name a Java version."),
        ({".java-version": "17..1"}, {}, "The build will stop: .java-version:1 does not name a Java version."),
        ({"pom.xml": POM.replace(">17<", ">1.8<")}, {}, "Java 17: Java 17 compiles for release 8"),
        ({"pom.xml": POM.replace(">17<", ">21<")}, {}, "Java 21: <maven.compiler.release> at pom.xml:8"),
        ({"pom.xml": POM.replace(">17<", ">${j}<").replace("<properties>", "<properties><j>11</j>")}, {}, "release 11"),
    ],
)
def test_the_java_version_and_where_it_is_said(
    bench: Bench, files: dict[str, str], env: dict[str, str], said: str
) -> None:
    bench.env = env
    ran, _ = bench.write({"pom.xml": POM, **files}).detect("java")
    assert ran.code == 0
    assert said in ran.out, ran.out


def test_what_is_not_followed_is_said(bench: Bench) -> None:
    from pylife_java.version import choose

    bench.write({"system.properties": "java.runtime.version=17\n", ".java-version": "11\n"})
    assert choose(str(bench.app), {}).notes == (
        ".java-version:1 asks for Java 11 and is not followed: system.properties:1 comes first",
    )


@pytest.mark.parametrize(
    ("files", "id"),
    [
        pytest.param({"app.jar": "<html>404</html>"}, "java.not-a-jar", id="a page instead of a jar"),
        pytest.param({"app.jar": APP[: len(APP) // 2]}, "java.not-a-jar", id="a jar that was cut short"),
        pytest.param({"app.jar": "version https://git-lfs.example/spec/v1\n"}, "java.not-a-jar", id="a pointer of LFS"),
        pytest.param({"a.jar": APP, "b.jar": APP}, "java.several-artifacts", id="two jars"),
        pytest.param({"lib.jar": make_jar({}, "")}, "java.no-main-class", id="a library"),
        pytest.param({"x.war": make_jar({"WEB-INF/web.xml": ""}, "")}, "java.war-without-server", id="a war"),
        pytest.param({"mvnw": "#!/bin/sh\n"}, "java.pom-missing", id="a wrapper without a pom"),
        pytest.param({"build.gradle": ""}, "java.gradle-wrapper-missing", id="Gradle without its wrapper"),
        pytest.param({"pom.xml": "<project>&nbsp;</project>"}, "java.pom-invalid", id="an entity of HTML"),
        pytest.param({"pom.xml": ""}, "java.pom-invalid", id="an empty pom"),
        pytest.param({"pom.xml": f"<<<<<<< HEAD\n{POM}"}, "java.pom-invalid", id="an unfinished merge"),
        pytest.param({"app.jar": APP, ".java-version": "x"}, "java.version-invalid", id="no version"),
    ],
)
def test_what_stops_a_build_before_anything_is_fetched(bench: Bench, files: dict[str, str], id: str) -> None:
    ran = bench.write(files).build("java", BP_RUNTIME_SOURCES="folder:nothing")
    assert (ran.code, ran.failure) == (1, id), ran.out + ran.err
    assert (ROOT / "docs" / "errors" / f"{id}.md").exists()


def test_a_version_nobody_has_lists_what_there_is(bench: Bench) -> None:
    for version in ("17.0.9", "25.0.1"):
        (bench.root / "runtimes" / "jdk" / version / "bin").mkdir(parents=True)
    bench.write({"pom.xml": POM, ".java-version": "21\n"})
    ran = bench.build("java", BP_RUNTIME_SOURCES=f"folder:{bench.root}/runtimes")
    assert (ran.code, ran.failure) == (1, "java.version-unavailable")
    assert ".java-version:1" in ran.err
    assert "17.0.9" in ran.err
    assert "25.0.1" in ran.err


def blow(tmp_path: Path, jar: bytes, own: set[str] | None = None, release: int = 17) -> tuple[App, Path]:
    (tmp_path / "app.jar").write_bytes(jar)
    tree = tmp_path / "tree"
    tree.mkdir()
    return explode(str(tmp_path / "app.jar"), str(tree), own, release), tree


def test_spring_boot_is_divided_by_its_index(tmp_path: Path) -> None:
    index = """- "dependencies":
  - "BOOT-INF/lib/a-1.jar"
- "spring-boot-loader":
  - "org/"
- "snapshot-dependencies":
  - "BOOT-INF/lib/b-1-SNAPSHOT.jar"
- "application":
  - "BOOT-INF/classes/"
  - "META-INF/"
"""
    files = {
        "org/springframework/boot/loader/launch/JarLauncher.class": class_file(17),
        "BOOT-INF/lib/a-1.jar": make_jar({"x.class": "x", "y.class": "y"}),
        "BOOT-INF/lib/b-1-SNAPSHOT.jar": "broken",
        "BOOT-INF/classes/com/Main.class": class_file(17),
        "BOOT-INF/classes/static/a.css": "",
        "BOOT-INF/classes/application.yml": "",
        "BOOT-INF/layers.idx": index,
    }
    manifest = "Main-Class: org.springframework.boot.loader.launch.JarLauncher\nStart-Class: com.Main\n"
    app, tree = blow(tmp_path, make_jar(files, manifest))
    assert app.slices == [
        ["BOOT-INF/lib/a-1.jar"],
        ["org"],
        ["BOOT-INF/lib/b-1-SNAPSHOT.jar"],
        ["BOOT-INF/classes/application.yml", "BOOT-INF/classes/static"],
    ]
    assert (app.framework, app.classes) == ("spring-boot", 4)
    assert app.arguments == ["-cp", ".", "org.springframework.boot.loader.launch.JarLauncher"]
    assert (tree / "BOOT-INF/classes/com/Main.class").is_file()


def test_a_shaded_jar_is_divided_into_others_and_ones_own(tmp_path: Path) -> None:
    files = {
        "com/acme/Main.class": class_file(17),
        "com/acme/page.html": "",
        "com/other/X.class": class_file(8),
        "org/y/Y.class": class_file(8),
        "org/y/y.txt": "",
    }
    app, _ = blow(tmp_path, make_jar(files))
    assert app.slices == [["com/other", "org"], ["com/acme/page.html"]]


def test_the_folder_of_classes_tells_what_is_ones_own(tmp_path: Path) -> None:
    files = {
        "com/acme/Main.class": class_file(17),
        "com/acme/lib/X.class": class_file(8),
        "a[1].txt": "",
        "META-INF/native/lib.so": "of a dependency",
        "META-INF/services/com.acme.Mine": "",
        "META-INF/maven/com.acme/app/pom.xml": "",
    }
    app, _ = blow(tmp_path, make_jar(files), own={"com/acme/Main.class", "a[1].txt", "META-INF/services/com.acme.Mine"})
    others = ["META-INF/native", "com/acme/lib"]
    assert app.slices == [others, ["META-INF/services", "a\\[1].txt"]]


def test_a_multi_release_jar_gets_the_classes_of_its_java(tmp_path: Path) -> None:
    files = {
        "com/acme/Main.class": class_file(8) + b"old",
        "META-INF/versions/11/com/acme/Main.class": class_file(11) + b"11",
        "META-INF/versions/17/com/acme/New.class": class_file(17),
        "META-INF/versions/21/com/acme/Main.class": class_file(21) + b"21",
    }
    _, tree = blow(tmp_path, make_jar(files, "Main-Class: com.acme.Main\nMulti-Release: true\n"))
    assert (tree / "com/acme/Main.class").read_bytes().endswith(b"11")
    assert (tree / "com/acme/New.class").is_file()
    assert not (tree / "META-INF/versions").exists()


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"META-INF/KEY.SF": "", "META-INF/KEY.RSA": ""}, "it is signed"),
        ({"../evil.class": ""}, "it has an entry '../evil.class'"),
        ({"/etc/passwd": ""}, "it has an entry '/etc/passwd'"),
        ({"a": "", "a/b": ""}, "a is a file and a folder in it"),
    ],
)
def test_what_cannot_be_taken_apart_stays_in_one_piece(tmp_path: Path, files: dict[str, str], why: str) -> None:
    app, tree = blow(tmp_path, make_jar(files))
    assert app.notes == [f"app.jar stays in one piece: {why}."]
    assert app.arguments == ["-jar", "app.jar"]
    assert os.listdir(tree) == ["app.jar"]
    assert not (tmp_path / "evil.class").exists()


def test_the_class_path_of_a_manifest_comes_along(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("a-1.jar", "b-2-SNAPSHOT.jar"):
        (tmp_path / "lib" / name).write_bytes(make_jar({}, ""))
    manifest = "Main-Class: com.acme.Main\nClass-Path: lib/a-1.jar lib/b-2-SN\n APSHOT.jar lib/absent.jar\n"
    app, tree = blow(tmp_path, make_jar({"com/acme/Main.class": class_file(17)}, manifest))
    assert app.arguments == ["-cp", ".:lib/a-1.jar:lib/b-2-SNAPSHOT.jar", "com.acme.Main"]
    assert app.slices[:2] == [["lib/a-1.jar"], ["lib/b-2-SNAPSHOT.jar"]]
    assert (tree / "lib" / "a-1.jar").is_file()


def test_components_are_known_by_what_lies_in_the_jars(tmp_path: Path) -> None:
    from pylife_java.components import jar_components

    described = "groupId=org.acme\nartifactId=tool\nversion=1.2\n"
    shaded = described.replace("tool", "inner")
    inside = "META-INF/maven/org.acme/{}/pom.properties"
    (tmp_path / "tool-1.2.jar").write_bytes(
        make_jar({inside.format("tool"): described, inside.format("inner"): shaded})
    )
    (tmp_path / "unknown-3.0.1-jre.jar").write_bytes(make_jar({}))
    (tmp_path / "broken.jar").write_bytes(b"x")
    assert [each.purl for each in jar_components(str(tmp_path))] == [
        "pkg:generic/broken",
        "pkg:maven/org.acme/tool@1.2",
        "pkg:generic/unknown@3.0.1-jre",
    ]


def test_a_truststore_is_the_same_for_the_same_certificates() -> None:
    one, two = b"\x30\x03\x02\x01\x01", b"\x30\x03\x02\x01\x02"
    assert jks([one, two]) == jks([two, one, two])
    assert jks([one]) != jks([two])
    pem = b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"
    assert certificates(b"# a comment\n" + pem + pem.replace(b"MAMC", b"!!!!")) == [one]


def test_outputs_are_removed_from_the_source_and_not_from_what_a_classic_build_keeps(tmp_path: Path) -> None:
    """A slug build has its layers in the app: a whole app in one of them has a pom and a target of its own."""
    kept = tmp_path / ".heroku/java/app/tree"
    for folder in (tmp_path, tmp_path / "part", kept):
        (folder / "target").mkdir(parents=True)
        (folder / "target/app.jar").write_bytes(b"")
        (folder / "pom.xml").write_text("<project/>")
    _remove_outputs(str(tmp_path))
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.jar")] == [
        (kept / "target/app.jar").relative_to(tmp_path)
    ]
