"""What Java gets at its start: the memory calculator, the port, the database, certificates of bindings."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from workbench import BUILDPACKS, Bench

sys.path.insert(0, str(BUILDPACKS / "java" / "lib"))

M = 1 << 20


class Started:
    """What the start program set, and what it said."""

    def __init__(self, variables: dict[str, str], said: str) -> None:
        self.variables, self.said = variables, said

    @property
    def options(self) -> list[str]:
        return self.variables.get("JAVA_TOOL_OPTIONS", "").split()

    def size(self, prefix: str) -> int:
        """The last value of an option, in KiB as the program writes it."""
        values = [word.removeprefix(prefix) for word in self.options if word.startswith(prefix)]
        return int(values[-1].removesuffix("k"))


class Starter:
    """The program in its layer, run as a launcher runs it."""

    def __init__(self, bench: Bench, classes: int, framework: str) -> None:
        from pylife_java.start import provide_start
        from pylife_sdk.context import Build

        layers = bench.layers / "pylife_java"
        layers.mkdir(exist_ok=True)
        build = Build(str(bench.app), str(layers), str(bench.root / "platform"), "", bench.env)
        provide_start(build, classes, framework)
        self.program = layers / "start" / "exec.d" / "java"
        self.root = bench.root / "limits"

    def limit(self, size: int | None, version: int = 2) -> Starter:
        if version == 2:
            folder, name = self.root / "sys/fs/cgroup", "memory.max"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cgroup.controllers").write_text("memory")
        else:
            folder, name = self.root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{size if size is not None else 'max'}\n")
        return self

    def run(self, **env: str) -> Started:
        script = f"exec 3>&1; exec {shlex.quote(str(self.program))} >/dev/null"
        usual = {"PATH": "/usr/bin:/bin", "PYLIFE_LIMITS_ROOT": str(self.root)}
        ran = subprocess.run(["sh", "-c", script], env=usual | env, capture_output=True, text=True, timeout=30)
        assert ran.returncode == 0, ran.stderr
        return Started(tomllib.loads(ran.stdout), ran.stderr)


@pytest.fixture
def starter(bench: Bench) -> Starter:
    """The program of a Spring Boot app of 12,000 classes."""
    return Starter(bench, 12_000, "spring-boot")


def test_a_gigabyte_is_divided_by_the_formula(starter: Starter) -> None:
    ran = starter.limit(1024 * M).run()
    classes = (12_000 + 20_000) * 35 // 100
    metaspace = 14_000_000 + 5_800 * classes
    heap = 1024 * M - 10 * M - metaspace - 240 * M - 250 * M
    assert ran.size("-Xmx") == heap // 1024
    assert ran.size("-XX:MaxMetaspaceSize=") == metaspace // 1024
    assert ran.size("-XX:ReservedCodeCacheSize=") == 240 * 1024
    assert ran.size("-Xss") == 1024
    assert "1024M = heap" in ran.said
    assert "250 stacks" in ran.said


def test_version_1_of_control_groups_gives_the_same(starter: Starter, tmp_path: Path) -> None:
    second = starter.limit(768 * M).run()
    shutil.rmtree(starter.root)
    assert starter.limit(768 * M, version=1).run().options == second.options


@pytest.mark.parametrize("size", [96, 128, 200, 256, 300, 512, 640, 1000, 4096])
def test_regions_never_exceed_the_limit_without_a_word(starter: Starter, size: int) -> None:
    ran = starter.limit(size * M).run()
    threads = int(ran.said.rpartition(" stacks")[0].rpartition(" ")[2])
    total = ran.size("-Xmx") + ran.size("-XX:ReservedCodeCacheSize=") + ran.size("-Xss") * threads
    total += 10 * 1024 + (ran.size("-XX:MaxMetaspaceSize=") if "(no cap)" not in ran.said else 0)
    assert ran.size("-Xmx") >= size * 1024 // 3 - 1024
    assert total <= size * 1024 or "is little for this app" in ran.said


def test_a_small_container_degrades_with_a_word_instead_of_failing(starter: Starter) -> None:
    ran = starter.limit(512 * M).run()
    assert ran.size("-Xmx") > 0
    assert "512M is less than this app's usual regions need" in ran.said
    tiny = starter.limit(96 * M).run()
    assert tiny.size("-Xmx") == 32 * 1024
    assert "Give it" in tiny.said
    assert not [word for word in tiny.options if word.startswith("-XX:MaxMetaspaceSize")]


def test_without_a_limit_java_decides(starter: Starter) -> None:
    ran = starter.limit(None).run()
    assert "JAVA_TOOL_OPTIONS" not in ran.variables
    assert "no memory limit" in ran.said


def test_options_of_the_user_stay_and_are_counted(starter: Starter) -> None:
    ran = starter.limit(1024 * M).run(JAVA_TOOL_OPTIONS='-Xmx300m -Dname="a b"')
    assert ran.variables["JAVA_TOOL_OPTIONS"].endswith('-Xmx300m -Dname="a b"')
    assert [word for word in ran.options if word.startswith("-Xmx")] == ["-Xmx300m"]
    assert "heap 300M" in ran.said
    ran = starter.run(JAVA_OPTS="-XX:ReservedCodeCacheSize=64m -Xss512k -XX:MaxMetaspaceSize=100M")
    assert not any(word.startswith(("-Xss", "-XX:ReservedCodeCacheSize", "-XX:MaxMeta")) for word in ran.options)
    assert ran.size("-Xmx") == (1024 - 10 - 100 - 64 - 125) * 1024


def test_a_share_of_memory_that_the_user_gave_is_left_to_java(starter: Starter) -> None:
    ran = starter.limit(1024 * M).run(JAVA_TOOL_OPTIONS="-XX:MaxRAMPercentage=70.0")
    assert "JAVA_TOOL_OPTIONS" not in ran.variables
    assert "70% of it" in ran.said


def test_a_heap_beyond_the_limit_is_said(starter: Starter) -> None:
    ran = starter.limit(512 * M).run(JAVA_TOOL_OPTIONS="-Xmx2g")
    assert "more than the 512M here" in ran.said
    assert ran.options[-1] == "-Xmx2g"


def test_variables_of_the_calculator_are_followed(starter: Starter) -> None:
    usual = starter.limit(2048 * M).run().size("-Xmx")
    ran = starter.run(BPL_JVM_HEAD_ROOM="10", BPL_JVM_THREAD_COUNT="50", BPL_JVM_LOADED_CLASS_COUNT="1000")
    classes = (12_000 + 20_000) * 35 // 100
    gained = 200 * 1024 + 5_800 * (classes - 1000) // 1024 - 2048 * 1024 // 10
    assert abs(ran.size("-Xmx") - usual - gained) < 1024
    assert "50 stacks" in ran.said
    assert "head room 205M" in ran.said
    assert starter.run(BPL_JVM_QUIET="1").said == ""
    wrong = starter.run(BPL_JVM_HEAD_ROOM="much", BPL_JVM_THREAD_COUNT="-3")
    assert "BPL_JVM_HEAD_ROOM=much is not a number" in wrong.said
    assert wrong.size("-Xmx") == usual


@pytest.mark.parametrize("size", [64, 256, 512, 1024])
def test_java_starts_with_what_was_computed(starter: Starter, size: int) -> None:
    java = shutil.which("java")
    if java is None:
        pytest.skip("no java on this machine")
    options = starter.limit(size * M).run().variables["JAVA_TOOL_OPTIONS"]
    ran = subprocess.run([java, "-version"], env={"JAVA_TOOL_OPTIONS": options}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_port_reaches_the_framework(starter: Starter, bench: Bench) -> None:
    assert starter.limit(None).run(PORT="5000").variables == {"SERVER_PORT": "5000"}
    assert starter.run(PORT="5000", SERVER_PORT="7000").variables == {}
    assert starter.run().variables == {}
    quarkus = Starter(bench, 100, "quarkus").run(PORT="5000").variables
    assert quarkus == {"QUARKUS_HTTP_PORT": "5000", "QUARKUS_HTTP_HOST": "0.0.0.0"}
    assert Starter(bench, 100, "").run(PORT="5000").variables == {}


def test_a_database_url_is_told_in_the_words_of_jdbc_and_spring(starter: Starter) -> None:
    url = "postgres://us%40er:p%25a%2Fss%22@db.example:5432/shop?sslmode=require"
    ran = starter.limit(None).run(DATABASE_URL=url)
    jdbc = "jdbc:postgresql://db.example:5432/shop?sslmode=require"
    assert ran.variables == {
        "JDBC_DATABASE_URL": jdbc,
        "JDBC_DATABASE_USERNAME": "us@er",
        "JDBC_DATABASE_PASSWORD": 'p%a/ss"',
        "SPRING_DATASOURCE_URL": jdbc,
        "SPRING_DATASOURCE_USERNAME": "us@er",
        "SPRING_DATASOURCE_PASSWORD": 'p%a/ss"',
    }
    less = starter.run(DATABASE_URL="mysql://a:b@h/d", DISABLE_SPRING_DATASOURCE_URL="true").variables
    assert less["JDBC_DATABASE_URL"] == "jdbc:mysql://h/d"
    assert not [name for name in less if name.startswith("SPRING")]
    own = starter.run(DATABASE_URL="mysql://a:b@h/d", SPRING_DATASOURCE_URL="jdbc:h2:mem:x").variables
    assert "SPRING_DATASOURCE_URL" not in own
    assert starter.run(DATABASE_URL="mongodb://a:b@h/d").variables == {}


def test_certificates_of_bindings_are_trusted_at_the_start(starter: Starter, tmp_path: Path) -> None:
    keytool = shutil.which("keytool")
    openssl = shutil.which("openssl")
    if keytool is None or openssl is None:
        pytest.skip("no keytool or openssl on this machine")
    from pylife_java.truststore import jks

    java_home = tmp_path / "jre"
    (java_home / "bin").mkdir(parents=True)
    (java_home / "bin" / "keytool").symlink_to(os.path.realpath(keytool))
    (java_home / "lib" / "security").mkdir(parents=True)
    (java_home / "lib" / "security" / "cacerts").write_bytes(jks([]))
    binding = tmp_path / "bindings" / "company"
    binding.mkdir(parents=True)
    (binding / "type").write_text("ca-certificates\n")
    for name in ("one", "two"):
        subject = ["-subj", f"/CN={name}", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / f"{name}.pem")]
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject], check=True, capture_output=True
        )
    both = (tmp_path / "one.pem").read_text() + (tmp_path / "two.pem").read_text()
    (binding / "ca.pem").write_text(both)
    starter.limit(None)
    ran = starter.run(JAVA_HOME=str(java_home), SERVICE_BINDING_ROOT=str(tmp_path / "bindings"))
    assert "2 certificates of bindings are trusted" in ran.said
    store = next(word for word in ran.options if "trustStore=" in word).partition("=")[2]
    listing = subprocess.run(
        [keytool, "-list", "-keystore", store, "-storepass", "changeit"], capture_output=True, text=True
    )
    assert listing.stdout.count("trustedCertEntry") == 2, listing.stdout
    assert "JAVA_TOOL_OPTIONS" not in starter.run(JAVA_HOME=str(java_home)).variables
