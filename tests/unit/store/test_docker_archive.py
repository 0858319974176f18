from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from lifecycle.events import NullSink
from lifecycle.image import Image, Ports, load, parse_place, save
from lifecycle.image.errors import AmbiguousImage, ImageNotFound
from lifecycle.image.validate import validate
from lifecycle.oci import BadDocument, Digest, DigestMismatch, ImageConfig, Platform, mediatypes
from lifecycle.store import BadArchive, LocalStore
from lifecycle.store.docker_archive import DockerArchive
from lifecycle.store.tarball import TarFile
from lifecycle.testing.images import tiny_image


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return Ports(LocalStore(tmp_path / "store"))


def a_layer(name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def a_config(*layers: bytes) -> bytes:
    config = ImageConfig.empty(Platform("linux", "amd64"))
    return config.with_layers([Digest.of(layer) for layer in layers], ()).raw


Members = list[tuple[str, "bytes | str"]]


def write(path: Path, members: Members, mode: str = "w") -> Path:
    """A tar file; text is the target of a symbolic link, or of a hard link when it begins with ``=``."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.type = tarfile.LNKTYPE if content.startswith("=") else tarfile.SYMTYPE
                member.linkname = content.removeprefix("=")
                archive.addfile(member)
    return path


ONE, TWO = a_layer("one"), a_layer("two")


def manifest(layers: list[str], tags: list[str] | None = None, config: str = "c.json") -> bytes:
    return json.dumps([{"Config": config, "RepoTags": tags, "Layers": layers}]).encode()


def read(path: Path, ports: Ports, name: str = "") -> Image:
    found = load(parse_place(f"docker-archive:{path}{name}"), ports)
    assert isinstance(found, Image)
    return found


def diff_ids(image: Image) -> list[Digest]:
    return [layer.diff_id for layer in image.layers]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_archive_as_docker_saves_it_is_read(tmp_path: Path, ports: Ports, mode: str, prefix: str) -> None:
    members: Members = [
        (f"{prefix}aa/layer.tar", ONE),
        (f"{prefix}aa/VERSION", b"1.0"),
        (f"{prefix}bb/layer.tar", TWO),
        (f"{prefix}c.json", a_config(ONE, TWO)),
        (f"{prefix}manifest.json", manifest(["aa/layer.tar", "bb/layer.tar"], ["demo:1"])),
        (f"{prefix}repositories", b"{}"),
    ]
    image = read(write(tmp_path / "a.tar", members, mode), ports)
    assert diff_ids(image) == [Digest.of(ONE), Digest.of(TWO)]
    assert validate(image) == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "store"]


def test_layers_behind_links_are_found(tmp_path: Path, ports: Ports) -> None:
    members: Members = [
        ("x.tar", ONE),
        ("aa/layer.tar", "../x.tar"),
        ("bb/layer.tar", "=aa/layer.tar"),
        ("c.json", a_config(ONE, ONE)),
        ("manifest.json", manifest(["aa/layer.tar", "bb/layer.tar"])),
    ]
    assert validate(read(write(tmp_path / "a.tar", members), ports)) == ()


def test_compressed_layers_are_taken_as_they_are(tmp_path: Path, ports: Ports) -> None:
    packed = gzip.compress(ONE, mtime=0)
    members: Members = [("l", packed), ("c.json", a_config(ONE)), ("manifest.json", manifest(["l"]))]
    image = read(write(tmp_path / "a.tar", members), ports)
    assert image.layers[0].descriptor.media_type == mediatypes.DOCKER_LAYER_GZIP
    assert image.layers[0].descriptor.digest == Digest.of(packed)
    assert validate(image) == ()


def test_image_is_chosen_by_name_in_any_spelling(tmp_path: Path, ports: Ports) -> None:
    two = json.loads(manifest(["1"], ["<none>:<none>", "docker.io/library/demo:1", "other:2"], "1.json"))
    two += json.loads(manifest(["2"], ["reg.example/x:latest"], "2.json"))
    members: Members = [
        *(("1", ONE), ("2", TWO), ("1.json", a_config(ONE)), ("2.json", a_config(TWO))),
        ("manifest.json", json.dumps(two).encode()),
    ]
    path = write(tmp_path / "a.tar", members)
    assert diff_ids(read(path, ports, ":demo:1")) == [Digest.of(ONE)]
    assert diff_ids(read(path, ports, ":reg.example/x")) == [Digest.of(TWO)]
    with pytest.raises(AmbiguousImage, match="other:2"):
        read(path, ports)
    with pytest.raises(ImageNotFound, match=r"reg\.example/x:latest"):
        read(path, ports, ":demo:2")


def test_layer_that_is_not_what_the_config_says_is_refused(tmp_path: Path, ports: Ports) -> None:
    members: Members = [("l", TWO), ("c.json", a_config(ONE)), ("manifest.json", manifest(["l"]))]
    image = read(write(tmp_path / "a.tar", members), ports)
    with pytest.raises(DigestMismatch), image.layers[0].uncompressed() as stream:
        stream.read()
    assert [item.where for item in validate(image)] == ["layer 1"]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", "[{}]", '[{"Config":1,"Layers":[]}]', '[{"Config":"c.json","Layers":[1]}]', "[" * 50_000],
)
def test_manifest_that_cannot_be_understood_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.tar", [("manifest.json", text.encode())])
    with pytest.raises(BadArchive):
        DockerArchive(path)


@pytest.mark.parametrize("missing", ["c.json", "l"])
def test_archive_that_lacks_a_file_is_refused(tmp_path: Path, ports: Ports, missing: str) -> None:
    members: Members = [("l", ONE), ("c.json", a_config(ONE)), ("manifest.json", manifest(["l"]))]
    path = write(tmp_path / "a.tar", [item for item in members if item[0] != missing])
    with pytest.raises(BadArchive, match="incomplete"):
        read(path, ports)


def test_config_with_another_number_of_layers_is_refused(tmp_path: Path, ports: Ports) -> None:
    members: Members = [("l", ONE), ("c.json", a_config(ONE, TWO)), ("manifest.json", manifest(["l"]))]
    with pytest.raises(BadDocument, match="2 layers"):
        read(write(tmp_path / "a.tar", members), ports)


def test_archive_cut_short_is_refused(tmp_path: Path, ports: Ports) -> None:
    path = tmp_path / "a.tar"
    save(tiny_image(ports.store, {"big": bytes(100_000)}), parse_place(f"docker-archive:{path}"), ports, NullSink())
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(BadArchive):
        read(path, ports)


def test_links_that_go_round_or_out_lead_nowhere(tmp_path: Path) -> None:
    members: Members = [("a", "b"), ("b", "a"), ("c", "../../../etc/passwd"), ("d", "/etc/passwd"), ("real", b"1")]
    tar = TarFile(write(tmp_path / "a.tar", members))
    assert not any(tar.has(name) for name in "abcd")
    assert tar.names() == ["real"]
    with pytest.raises(BadArchive):
        tar.open("a")


def test_last_of_two_members_of_one_name_counts(tmp_path: Path) -> None:
    tar = TarFile(write(tmp_path / "a.tar", [("a", b"first"), ("a", b"last")]))
    assert tar.document("a") == b"last"


def test_layer_that_occurs_twice_is_written_once(tmp_path: Path, ports: Ports) -> None:
    path = tmp_path / "a.tar"
    same = {"a": b"1"}
    image = tiny_image(ports.store, same, {"b": b"2"}, same)
    save(image, parse_place(f"docker-archive:{path}:demo"), ports, NullSink())
    with tarfile.open(path) as archive:
        assert len([name for name in archive.getnames() if name.endswith(".tar")]) == 2
    assert diff_ids(read(path, ports)) == diff_ids(image)
    assert validate(read(path, ports)) == ()
