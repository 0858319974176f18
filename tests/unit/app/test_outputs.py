"""Outputs: what --output may say, and what is written."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import Case, load_cases

from lifecycle.app.output_spec import Annotation
from lifecycle.app.outputs import BadOutput, Output, OutputFailed, parse_output, write_outputs
from lifecycle.app.ports import Ports, open_ports
from lifecycle.app.settings import load_settings
from lifecycle.archive.entry import Entry, Kind
from lifecycle.events import Message, RecordingSink
from lifecycle.image import Image, ImageIndex, load, load_image, parse_place
from lifecycle.image.source import index_of
from lifecycle.image.validate import validate, validate_place
from lifecycle.oci import Dialect, mediatypes
from lifecycle.registry.server import RegistryServer
from lifecycle.testing.images import AMD64, ARM64, tiny_image


@pytest.mark.parametrize("case", load_cases("dockerfile/output"), ids=str)
def test_output(case: Case) -> None:
    given = case.sections
    if "error" in given:
        with pytest.raises(BadOutput) as caught:
            parse_output(given["text"])
        assert str(caught.value) == given["error"]
        assert given.get("fix", caught.value.fix) == caught.value.fix
        return
    assert shown(parse_output(given["text"])) == given["expect"]


def shown(found: Output) -> str:
    def note(item: Annotation) -> str:
        return f"{item.level}{f'[{item.platform}]' if item.platform else ''}:{item.key}={item.value}"

    parts = [found.kind, f"dest={found.destination}" if found.destination else ""]
    parts += [f"name={ref.familiar if ref.tag else ref.familiar.removesuffix(':latest')}" for ref in found.names]
    parts += [f"push={found.push}" if found.push is not None else "", "by-digest" if found.by_digest else ""]
    parts += [found.profile.name if found.profile else "", "force" if found.force_compression else ""]
    parts += [found.dialect.value if found.dialect else "", "" if found.packed else "unpacked"]
    parts += [f"split={found.platform_split}" if found.platform_split is not None else ""]
    parts += ["delete" if found.delete else "", *map(note, found.annotations)]
    return " ".join(part for part in parts if part)


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def ports(tmp_path: Path, sink: RecordingSink) -> Iterator[Ports]:
    with open_ports(load_settings(environ={"PYLIFE_HOME": str(tmp_path / "home")}), sink) as opened:
        yield opened


@pytest.fixture
def image(ports: Ports) -> Image:
    """Two layers: the second removes a file, changes one, and links to one."""
    below = {
        "bin": None,
        "bin/tool": Entry(b"bin/tool", Kind.FILE, 0o4755, 0, 0),
        "gone.txt": b"x",
        "data.txt": b"old",
        "link": "data.txt",
    }
    above = {".wh.gone.txt": b"", "data.txt": b"new", "hard": Entry(b"hard", Kind.HARDLINK, linkname=b"data.txt")}
    return tiny_image(ports.store, below, above)


@pytest.fixture
def index(ports: Ports, image: Image) -> ImageIndex:
    return index_of([image, tiny_image(ports.store, {"arm.txt": b"arm"}, platform=ARM64)])


def write(result: Image | ImageIndex, text: str, ports: Ports, **options: object) -> None:
    write_outputs(result, [parse_output(text)], ports, **options)  # type: ignore[arg-type]


def tree(top: Path) -> dict[str, str]:
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            kind = f"-> {os.readlink(path)}"
        else:
            kind = "directory" if path.is_dir() else path.read_text()
        found[str(path.relative_to(top))] = kind
    return found


MERGED = {"bin": "directory", "bin/tool": "", "data.txt": "new", "hard": "new", "link": "-> data.txt"}


def test_local_is_the_merged_filesystem(ports: Ports, image: Image, tmp_path: Path) -> None:
    write(image, f"type=local,dest={tmp_path}/out", ports)
    out = tmp_path / "out"
    assert tree(out) == MERGED
    assert (out / "hard").stat().st_ino == (out / "data.txt").stat().st_ino
    assert stat.S_IMODE((out / "bin/tool").stat().st_mode) == 0o4755
    assert (out / "data.txt").stat().st_mtime == 315532801


def test_local_overwrites_and_leaves_the_rest(ports: Ports, image: Image, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "bin").mkdir(parents=True, mode=0o700)
    (out / "bin/mine").write_text("mine")
    (out / "data.txt").mkdir()
    (out / "gone.txt").write_text("stays: the image does not speak of it")
    mode = stat.S_IMODE(out.stat().st_mode)
    write(image, str(out), ports)
    assert tree(out) == {**MERGED, "bin/mine": "mine", "gone.txt": "stays: the image does not speak of it"}
    assert stat.S_IMODE(out.stat().st_mode) == mode


def test_local_with_delete_removes_what_is_no_part(ports: Ports, image: Image, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "old/deep").mkdir(parents=True)
    (out / "old/deep/file").write_text("x")
    (out / "bin").mkdir()
    (out / "bin/mine").write_text("mine")
    (out / "away").symlink_to("/etc")
    write(image, f"type=local,dest={out},mode=delete", ports)
    assert tree(out) == MERGED
    assert Path("/etc/passwd").exists()


def test_local_with_delete_spares_the_home(ports: Ports, image: Image, isolated_environment: Path) -> None:
    (isolated_environment / "letter").write_text("dear")
    with pytest.raises(BadOutput, match="would be emptied"):
        write(image, f"type=local,dest={isolated_environment},mode=delete", ports)
    assert (isolated_environment / "letter").exists()


def test_local_stays_in_its_directory(ports: Ports, image: Image, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "bin").symlink_to(elsewhere)
    (out / "data.txt").symlink_to(elsewhere / "data.txt")
    write(image, str(out), ports)
    assert list(elsewhere.iterdir()) == []


def test_local_of_several_platforms_has_a_folder_for_each(ports: Ports, index: ImageIndex, tmp_path: Path) -> None:
    write(index, f"type=local,dest={tmp_path}/out", ports)
    assert sorted(os.listdir(tmp_path / "out")) == ["linux_amd64", "linux_arm64"]
    assert tree(tmp_path / "out/linux_amd64") == MERGED
    assert (tmp_path / "out/linux_amd64/hard").stat().st_nlink == 2


def test_platforms_in_one_tree(ports: Ports, index: ImageIndex, image: Image, tmp_path: Path) -> None:
    write(index, f"type=local,dest={tmp_path}/out,platform-split=false", ports)
    assert tree(tmp_path / "out") == {**MERGED, "arm.txt": "arm"}
    twice = index_of([image, tiny_image(ports.store, {"data.txt": b"arm"}, platform=ARM64)])
    with pytest.raises(BadOutput, match="do not fit into one tree"):
        write(twice, f"type=local,dest={tmp_path}/out2,platform-split=false", ports)


def test_a_folder_for_the_only_platform_on_request(ports: Ports, image: Image, tmp_path: Path) -> None:
    write(image, f"type=local,dest={tmp_path}/out,platform-split=true", ports)
    assert os.listdir(tmp_path / "out") == ["linux_amd64"]


def test_local_where_nothing_may_be_written(ports: Ports, image: Image) -> None:
    with pytest.raises(OutputFailed):
        write(image, "type=local,dest=/proc/nothing/here", ports)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root may give files away")
def test_root_keeps_owners(ports: Ports, tmp_path: Path) -> None:
    owned = tiny_image(ports.store, {"f": Entry(b"f", Kind.FILE, 0o640, 1234, 5678)})
    write(owned, str(tmp_path / "out"), ports)
    status = (tmp_path / "out/f").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 5678, 0o640)


def test_tar_is_the_merged_filesystem_and_always_the_same(ports: Ports, image: Image, tmp_path: Path) -> None:
    write(image, f"type=tar,dest={tmp_path}/sub/a.tar", ports)
    out = io.BytesIO()
    write(image, "-", ports, stdout=out)
    assert (tmp_path / "sub/a.tar").read_bytes() == out.getvalue()
    with tarfile.open(tmp_path / "sub/a.tar") as archive:
        assert sorted(archive.getnames()) == sorted(MERGED)
        assert os.listdir(tmp_path / "sub") == ["a.tar"]


def test_tar_of_several_platforms(ports: Ports, index: ImageIndex, tmp_path: Path) -> None:
    write(index, f"type=tar,dest={tmp_path}/a.tar", ports)
    with tarfile.open(tmp_path / "a.tar") as archive:
        names = archive.getnames()
        assert {"linux_amd64/data.txt", "linux_arm64/arm.txt"} <= set(names)
        assert archive.getmember("linux_amd64/hard").linkname == "linux_amd64/data.txt"


@pytest.mark.parametrize("kind", ["tar", "oci", "docker"])
def test_nothing_is_written_to_a_terminal(ports: Ports, image: Image, kind: str) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    with pytest.raises(BadOutput, match="terminal"):
        write(image, f"type={kind},dest=-", ports, stdout=out)
    assert out.getvalue() == b""


def test_oci_archive_under_the_name_s_tag(ports: Ports, image: Image, tmp_path: Path) -> None:
    write(image, f"type=oci,dest={tmp_path}/a.tar", ports, names=["reg.example/app:v1"])
    place = parse_place(f"oci-archive:{tmp_path}/a.tar:v1")
    assert validate_place(place, ports.images(offline=True)) == ()
    assert load_image(place, ports.images(offline=True), AMD64).digest == image.digest
    out = io.BytesIO()
    write(image, "type=oci", ports, names=["reg.example/app:v1"], stdout=out)
    assert out.getvalue() == (tmp_path / "a.tar").read_bytes()


def test_oci_directory_under_every_tag(ports: Ports, image: Image, tmp_path: Path) -> None:
    names = ["app", "app:v1", "reg.example/app:v1"]
    write(image, f"type=oci,dest={tmp_path}/layout,tar=false", ports, names=names)
    listed = json.loads((tmp_path / "layout/index.json").read_bytes())["manifests"]
    assert [item["annotations"]["org.opencontainers.image.ref.name"] for item in listed] == ["latest", "v1"]


def test_oci_has_oci_media_types(ports: Ports, tmp_path: Path) -> None:
    docker = tiny_image(ports.store, dialect=Dialect.DOCKER)
    write(docker, f"type=oci,dest={tmp_path}/layout,tar=false", ports)
    found = load_image(parse_place(f"oci:{tmp_path}/layout"), ports.images(offline=True), AMD64)
    assert found.dialect is Dialect.OCI
    assert validate(found) == ()


def test_docker_archive_with_all_names(ports: Ports, image: Image, tmp_path: Path) -> None:
    names = ["app", "localhost:5000/app:v1"]
    write(image, f"type=docker,dest={tmp_path}/a.tar", ports, names=names)
    with tarfile.open(tmp_path / "a.tar") as archive:
        file = archive.extractfile("manifest.json")
        assert file is not None
        assert json.load(file)[0]["RepoTags"] == ["app:latest", "localhost:5000/app:v1"]
    out = io.BytesIO()
    write(image, "type=docker,dest=-", ports, names=names, stdout=out)
    assert out.getvalue() == (tmp_path / "a.tar").read_bytes()
    place = parse_place(f"docker-archive:{tmp_path}/a.tar:app")
    assert load_image(place, ports.images(offline=True), AMD64).config.digest == image.config.digest


def test_docker_archive_of_several_platforms_is_refused(ports: Ports, index: ImageIndex, tmp_path: Path) -> None:
    with pytest.raises(BadOutput, match="holds one platform"):
        write(index, f"type=docker,dest={tmp_path}/a.tar", ports)


def test_image_is_kept_in_the_store(ports: Ports, index: ImageIndex) -> None:
    write(index, "type=image,name=app:v2", ports, names=["other"])
    found = load(parse_place("app:v2"), ports.images(offline=True))
    assert isinstance(found, ImageIndex)
    assert found.digest == index.digest
    assert validate(found) == ()


def test_registry_gets_every_name(ports: Ports, index: ImageIndex, tmp_path: Path) -> None:
    with RegistryServer(tmp_path / "registry") as server:
        host = server.address
        write(index, "type=registry", ports, names=[f"{host}/app:v1", f"{host}/other"])
        for name in (f"{host}/app:v1", f"{host}/other:latest"):
            found = load(parse_place(name), ports.images())
            assert found.digest == index.digest
        assert validate(found) == ()


def test_registry_by_digest_leaves_no_tag(ports: Ports, image: Image, tmp_path: Path) -> None:
    with RegistryServer(tmp_path / "registry") as server:
        host = server.address
        (written,) = write_outputs(
            image, [parse_output(f"type=image,name={host}/app,push=true,push-by-digest=true")], ports
        )
        assert written.where == f"{host}/app@{image.digest}"
        assert load(parse_place(written.where), ports.images()).digest == image.digest
        assert not list((tmp_path / "registry").rglob("*latest*"))


def test_compression_holds_for_the_layers_of_the_build(ports: Ports, image: Image, tmp_path: Path) -> None:
    new = {image.layers[1].diff_id}
    write(image, f"type=oci,dest={tmp_path}/a,tar=false,compression=zstd", ports, new=new)
    found = load_image(parse_place(f"oci:{tmp_path}/a"), ports.images(offline=True), AMD64)
    codecs = [mediatypes.layer_codec(layer.descriptor.media_type) for layer in found.layers]
    assert codecs == ["gzip", "zstd"]
    assert validate(found) == ()
    forced = f"type=oci,dest={tmp_path}/b,tar=false,compression=zstd,force-compression=true"
    write(image, forced, ports, new=new)
    found = load_image(parse_place(f"oci:{tmp_path}/b"), ports.images(offline=True), AMD64)
    assert [mediatypes.layer_codec(layer.descriptor.media_type) for layer in found.layers] == ["zstd", "zstd"]
    assert found.config.digest == image.config.digest


def test_annotations_of_every_level(ports: Ports, index: ImageIndex, tmp_path: Path) -> None:
    text = (
        f"type=oci,dest={tmp_path}/a,tar=false,annotation.all=1,annotation[linux/arm64].arm=2,"
        "annotation-index.top=3,annotation-manifest-descriptor[linux/amd64].edge=4"
    )
    write(index, text, ports)
    found = load(parse_place(f"oci:{tmp_path}/a"), ports.images(offline=True))
    assert isinstance(found, ImageIndex)
    assert found.index.annotations == {"top": "3"}
    assert [dict(item.annotations) for item in found.index.manifests] == [{"edge": "4"}, {}]
    assert [str(item) for item in found.platforms] == ["linux/amd64", "linux/arm64"]
    images = [load_image(parse_place(f"oci:{tmp_path}/a"), ports.images(offline=True), one) for one in (AMD64, ARM64)]
    assert [dict(item.annotations) for item in images] == [{"all": "1"}, {"all": "1", "arm": "2"}]
    assert validate(found) == ()


def test_an_index_annotation_needs_an_index(ports: Ports, image: Image) -> None:
    with pytest.raises(BadOutput, match="no index"):
        write(image, "type=image,name=app,annotation-index.a=b", ports)


def test_several_outputs_at_once(ports: Ports, image: Image, tmp_path: Path) -> None:
    texts = [f"{tmp_path}/out", f"type=oci,dest={tmp_path}/a.tar", "type=image,name=app", "type=cacheonly"]
    done = write_outputs(image, [parse_output(text) for text in texts], ports)
    assert [item.where for item in done] == [f"{tmp_path}/out", f"oci-archive:{tmp_path}/a.tar", "app:latest"]


@pytest.mark.parametrize("texts", [["-", "type=oci"], ["type=tar,dest=x.tar", "type=oci,dest=x.tar"]])
def test_two_outputs_to_one_place(ports: Ports, image: Image, texts: list[str]) -> None:
    with pytest.raises(BadOutput, match="Two outputs go to"):
        write_outputs(image, [parse_output(text) for text in texts], ports, stdout=io.BytesIO())


def test_an_image_needs_a_name(ports: Ports, image: Image) -> None:
    with pytest.raises(BadOutput, match="needs a name"):
        write(image, "type=image", ports)


def test_what_could_not_be_made_is_told(ports: Ports, sink: RecordingSink, tmp_path: Path) -> None:
    odd = tiny_image(ports.store, {"f": Entry(b"f", Kind.FILE, xattrs=((b"security.ima", b"x"),))})
    write(odd, str(tmp_path / "out"), ports)
    told = [event.text for event in sink.events if isinstance(event, Message)]
    assert any("security.ima" in text for text in told)
