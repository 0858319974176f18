"""The parts of a Dockerfile build that stand alone: platforms, times, Dockerfiles found, builds remembered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lifecycle.app.dockerfile import memo
from lifecycle.app.dockerfile.epoch import BadEpoch, find_epoch
from lifecycle.app.dockerfile.failed import NoSuchFailure, failed_steps, forget_old, load_failed
from lifecycle.app.dockerfile.platforms import elf_header, parse_platforms, runs_here
from lifecycle.app.dockerfile.reading import DockerfileNotFound, find_dockerfile, read_texts
from lifecycle.app.dockerfile.request import DockerfileRequest
from lifecycle.app.ports import Ports
from lifecycle.app.settings import load_settings
from lifecycle.archive.filetree import HostTree
from lifecycle.dockerfile.ast import parse
from lifecycle.dockerfile.copying import CopySpec, select
from lifecycle.dockerfile.stages import read_dockerfile
from lifecycle.events import NullSink
from lifecycle.oci import Descriptor, Digest, Platform, Reference
from lifecycle.source.context import Context
from lifecycle.store.blobs import put_bytes

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
_QEMU = """\
enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: {flags}
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return Ports(load_settings({"home": str(tmp_path / "home")}), NullSink())


# -- platforms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flags", "runs"), [("POCF", True), ("OC", False)])
def test_an_emulator_counts_when_it_is_found_from_another_root(tmp_path: Path, flags: str, runs: bool) -> None:
    (tmp_path / "qemu-aarch64").write_text(_QEMU.format(flags=flags))
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "register").write_text("")
    assert runs_here(ARM64, AMD64, tmp_path) is runs
    assert not runs_here(Platform("linux", "s390x"), AMD64, tmp_path)


def test_a_host_runs_its_own_programs_without_an_emulator(tmp_path: Path) -> None:
    assert runs_here(AMD64, AMD64, tmp_path / "missing")
    assert runs_here(Platform("linux", "386"), AMD64, tmp_path / "missing")
    assert not runs_here(ARM64, AMD64, tmp_path / "missing")
    assert not runs_here(Platform("windows", "amd64"), AMD64, tmp_path / "missing")


def test_a_disabled_emulator_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "qemu-aarch64").write_text(_QEMU.format(flags="F").replace("enabled", "disabled"))
    assert not runs_here(ARM64, AMD64, tmp_path)


def test_headers_are_those_of_elf() -> None:
    assert elf_header("arm64")[:6] == b"\x7fELF\x02\x01"
    assert elf_header("s390x")[5] == 2
    assert elf_header("amd64")[16:20] == bytes((2, 0, 62, 0))


def test_platforms_are_named_once() -> None:
    assert parse_platforms(["linux/amd64", "linux/arm64/v8", "x86_64"]) == (AMD64, ARM64)


class Times:
    """Times of contexts and addresses, written down."""

    def time_of_context(self, name: str) -> int | None:
        return {"old": 11, "dir": None}[name]

    def time_of(self, address: str, checksum: str) -> int | None:
        assert address == "https://example.com/v2.tar"
        return 22


# -- times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "args", "text", "environment", "expected"),
    [
        (5, {"SOURCE_DATE_EPOCH": "6"}, "ARG SOURCE_DATE_EPOCH=7\n", {"SOURCE_DATE_EPOCH": "8"}, 5),
        (None, {"SOURCE_DATE_EPOCH": "6"}, "ARG SOURCE_DATE_EPOCH=7\n", {"SOURCE_DATE_EPOCH": "8"}, 6),
        (None, {}, "ARG SOURCE_DATE_EPOCH=7\n", {"SOURCE_DATE_EPOCH": "8"}, 7),
        (None, {}, "ARG SOURCE_DATE_EPOCH\n", {"SOURCE_DATE_EPOCH": "8"}, 8),
        (None, {}, "", {}, 315532801),
        (None, {"SOURCE_DATE_EPOCH": ""}, "", {"SOURCE_DATE_EPOCH": "8"}, 315532801),
        (None, {"SOURCE_DATE_EPOCH": "context"}, "", {}, 99),
    ],
)
def test_the_nearest_time_wins(
    given: int | None, args: dict[str, str], text: str, environment: dict[str, str], expected: int
) -> None:
    dockerfile = read_dockerfile(parse(f"{text}FROM scratch\n".encode()))
    context = Context(Path("."), "git", epoch=99)
    assert find_epoch(given, args, dockerfile, context, Times(), environment) == expected


def test_a_directory_has_no_time_of_its_own() -> None:
    dockerfile = read_dockerfile(parse(b"FROM scratch\n"))
    args = {"SOURCE_DATE_EPOCH": "context"}
    assert find_epoch(None, args, dockerfile, Context(Path("."), "."), Times(), {}) == 315532801


_SOURCE = b"FROM scratch AS Source\nARG V=1\nADD https://example.com/v$V.tar /\nFROM scratch\n"


@pytest.mark.parametrize(("text", "expected"), [("old", 11), ("dir", 315532801), ("source", 22)])
def test_a_time_may_be_that_of_a_context_or_a_stage(text: str, expected: int) -> None:
    dockerfile = read_dockerfile(parse(_SOURCE))
    args = {"SOURCE_DATE_EPOCH": text, "V": "2"}
    assert find_epoch(None, args, dockerfile, Context(Path("."), "."), Times(), {}) == expected


@pytest.mark.parametrize(
    "body", ["RUN x", "COPY a /", "ADD a /", "ADD https://a/b https://a/c /d/", "ARG X", "ADD https://a/b /\nRUN x"]
)
def test_a_stage_of_anything_else_has_no_time(body: str) -> None:
    dockerfile = read_dockerfile(parse(f"FROM scratch AS source\n{body}\n".encode()))
    with pytest.raises(BadEpoch, match="source has no time"):
        find_epoch(None, {"SOURCE_DATE_EPOCH": "source"}, dockerfile, Context(Path("."), "."), Times(), {})


@pytest.mark.parametrize("text", ["soon", "-1", "1.5", "99999999999999"])
def test_what_is_no_time_is_refused(text: str) -> None:
    dockerfile = read_dockerfile(parse(b"FROM scratch\n"))
    with pytest.raises(BadEpoch):
        find_epoch(None, {"SOURCE_DATE_EPOCH": text}, dockerfile, Context(Path("."), "."), Times(), {})


# -- Dockerfiles -------------------------------------------------------------------------------------------------


def test_a_dockerfile_is_looked_for_here_then_in_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tmp_path / "context"
    context.mkdir()
    monkeypatch.chdir(tmp_path)
    (context / "Containerfile").write_text("FROM c\n")
    assert find_dockerfile("Dockerfile", context) == context / "Containerfile"
    (context / "dockerfile").write_text("FROM b\n")
    assert find_dockerfile("Dockerfile", context) == context / "dockerfile"
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    assert find_dockerfile("Dockerfile", context) == Path("Dockerfile")
    with pytest.raises(DockerfileNotFound):
        find_dockerfile("Other", context)


def test_several_dockerfiles_are_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("FROM a")
    (tmp_path / "two").write_text("RUN b\n")
    assert read_texts([str(tmp_path / "one"), str(tmp_path / "two")], tmp_path).data == b"FROM a\nRUN b\n"


# -- builds remembered -------------------------------------------------------------------------------------------


def _remembered(request: DockerfileRequest, witnesses: list[memo.Witness], ports: Ports) -> Digest:
    digest = _stored("demo", b"image", ports)
    facts = {"digest": str(digest), "names": ["demo:latest"]}
    memo.remember(request, memo.Memo(tuple(witnesses), (("careful", "warning"),), facts), ports)
    return digest


def _stored(name: str, raw: bytes, ports: Ports) -> Digest:
    """Have the store know ``raw`` under a name: what it is does not matter here."""
    digest = put_bytes(ports.store.blobs, raw)
    top = Descriptor("application/vnd.oci.image.manifest.v1+json", digest, len(raw))
    ports.store.put(Reference.parse(name).with_default_tag(), top)
    return digest


def test_a_build_is_found_while_its_files_are_as_they_were(tmp_path: Path, ports: Ports) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM scratch\n")
    request = DockerfileRequest(names=("demo",))
    _remembered(request, [memo.file_witness(file), memo.file_witness(tmp_path / "absent")], ports)
    found = memo.find_unchanged(request, ports)
    assert found is not None
    assert found.messages == (("careful", "warning"),)
    (tmp_path / "absent").write_text("")
    assert memo.find_unchanged(request, ports) is None
    (tmp_path / "absent").unlink()
    assert memo.find_unchanged(request, ports) is not None
    file.write_text("FROM other\n")
    assert memo.find_unchanged(request, ports) is None


def test_a_build_is_found_while_its_selection_is_as_it_was(tmp_path: Path, ports: Ports) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "a").write_text("a")
    spec = CopySpec(("a",), "/")
    digest = str(select(HostTree(tmp_path / "context"), spec).digest)
    witness = memo.tree_witness(tmp_path / "context", tmp_path / "context" / "Dockerfile", "", spec, digest)
    request = DockerfileRequest(names=("demo",))
    _remembered(request, [json.loads(json.dumps(witness))], ports)
    assert memo.find_unchanged(request, ports) is not None
    (tmp_path / "context" / "b").write_text("b")
    assert memo.find_unchanged(request, ports) is not None
    (tmp_path / "context" / "a").write_text("changed")
    assert memo.find_unchanged(request, ports) is None
    (tmp_path / "context" / "a").unlink()
    assert memo.find_unchanged(request, ports) is None


def test_a_build_is_found_while_its_base_and_its_own_name_are_as_they_were(ports: Ports) -> None:
    base = _stored("base", b"base", ports)
    request = DockerfileRequest(names=("demo",))
    _remembered(request, [["image", "base", str(base)]], ports)
    assert memo.find_unchanged(request, ports) is not None
    _stored("base", b"newer", ports)
    assert memo.find_unchanged(request, ports) is None
    _stored("base", b"base", ports)
    assert memo.find_unchanged(request, ports) is not None
    ports.store.remove(Reference.parse("demo").with_default_tag())
    assert memo.find_unchanged(request, ports) is None


@pytest.mark.parametrize(
    "other",
    [
        DockerfileRequest(names=("demo",), build_args={"A": "1"}),
        DockerfileRequest(names=("demo",), target="x"),
        DockerfileRequest(names=("demo",), labels={"a": "b"}),
        DockerfileRequest(names=("demo",), created=1),
        DockerfileRequest(names=("demo",), no_cache=True),
        DockerfileRequest(names=("demo",), pull=True),
        DockerfileRequest(names=("demo",), outputs=("dir",)),
        DockerfileRequest(names=("demo",), files=("-",)),
    ],
    ids=lambda request: str([name for name in ("build_args", "target", "labels") if getattr(request, name)]),
)
def test_another_request_is_another_build(ports: Ports, other: DockerfileRequest) -> None:
    request = DockerfileRequest(names=("demo",))
    _remembered(request, [], ports)
    assert memo.find_unchanged(request, ports) is not None
    assert memo.find_unchanged(other, ports) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"witnesses": []}', b"\xff"])
def test_a_damaged_memory_is_none(ports: Ports, damage: bytes) -> None:
    request = DockerfileRequest(names=("demo",))
    _remembered(request, [], ports)
    [path] = (ports.caches / "builds").iterdir()
    path.write_bytes(damage)
    assert memo.find_unchanged(request, ports) is None


def test_builds_that_nobody_repeats_are_forgotten(ports: Ports) -> None:
    _remembered(DockerfileRequest(names=("demo",)), [], ports)
    [path] = (ports.caches / "builds").iterdir()
    assert memo.forget_old(ports) == 0
    os.utime(path, (1, 1))
    assert memo.forget_old(ports) == 1


# -- failed steps ------------------------------------------------------------------------------------------------


def test_failed_steps_are_kept_for_some_days(ports: Ports) -> None:
    for name, made in (("new", 2_000_000), ("old", 1_000_000)):
        place = ports.home / "failed" / name
        place.mkdir(parents=True)
        data = {"layers": [], "argv": ["/bin/ash", "-c", "x"], "env": {}, "cwd": "/", "user": "", "network": "default"}
        (place / "step.json").write_text(json.dumps({**data, "made": made}))
    assert [step.id for step in failed_steps(ports)] == ["old", "new"]
    assert load_failed("new", ports).shell == ("/bin/ash",)
    assert forget_old(ports, now=2_000_001) == 1
    with pytest.raises(NoSuchFailure, match="old"):
        load_failed("old", ports)


@pytest.mark.parametrize("name", ["../x", ".", "", "a/b"])
def test_an_id_leads_nowhere_else(ports: Ports, name: str) -> None:
    with pytest.raises(NoSuchFailure):
        load_failed(name, ports)
