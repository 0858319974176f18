"""The sample that Maven builds: finished once, and restored as from a cache for the tests that change it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import pytest
from workbench import ROOT, Bench, Ran, make_bench

CLOCK = ROOT / "samples" / "java-jar"
POM = (CLOCK / "pom.xml").read_text()
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The sample without dependencies, built: proof that a first build works, and the origin of restored layers."""
    bench = make_bench(tmp_path_factory.mktemp("java") / "bench")
    shared = bench.root / "shared"
    shared.mkdir()
    bench.env = {"PYLIFE_SHARED_CACHE": str(shared)}
    shutil.copytree(CLOCK, bench.app, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target"))
    ran = bench.build("java")
    assert ran.code == 0, ran.out + ran.err
    return bench


def restored(bench: Bench, clock: Bench, files: Mapping[str, str | bytes]) -> Bench:
    """A workbench with the tools' layers restored and the shared cache, and an app."""
    target = bench.layers / "pylife_java"
    target.mkdir()
    for name in ("jdk", "jre", "maven"):
        shutil.copytree(clock.layer("java", name), target / name, symlinks=True, copy_function=os.link)
        for beside in clock.layer("java", name).parent.glob(f"{name}.*"):
            shutil.copy(beside, target)
    bench.env = dict(clock.env)
    return bench.write(files)


@pytest.fixture
def fresh(bench: Bench, clock: Bench) -> Bench:
    """The sample's sources, with JDK, JRE and Maven restored."""
    files = {str(path.relative_to(CLOCK)): path.read_bytes() for path in CLOCK.rglob("*") if path.is_file()}
    return restored(bench, clock, {name: text for name, text in files.items() if not name.startswith("target/")})


def pom_with(*changes: tuple[str, str]) -> str:
    text = POM
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def failed(ran: Ran, id: str, *words: str) -> None:
    assert (ran.code, ran.failure) == (1, id), ran.out[-2000:] + ran.err
    for word in words:
        assert word in ran.err, ran.err
