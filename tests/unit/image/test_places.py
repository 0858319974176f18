from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lifecycle.archive.compress import Profile
from lifecycle.errors import PylifeError
from lifecycle.events import NullSink, RecordingSink, StepEnded, StepProgress, StepStarted
from lifecycle.image import (
    DirPlace,
    DockerArchivePlace,
    Image,
    ImageIndex,
    OciArchivePlace,
    OciPlace,
    Place,
    Ports,
    RegistryPlace,
    StorePlace,
    copy,
    index_of,
    load,
    load_image,
    locate,
    parse_place,
    save,
    send,
)
from lifecycle.image.errors import (
    AmbiguousImage,
    BadPlace,
    ImageNotFound,
    NoDaemon,
    NoPlatform,
    NoRegistry,
    NotAnImage,
)
from lifecycle.image.validate import validate
from lifecycle.oci import BadReference, Descriptor, Dialect, Digest, DigestMismatch, Manifest, Reference, mediatypes
from lifecycle.store import BadArchive, Layout, LocalStore, MissingBlob, NotALayout, put_bytes
from lifecycle.testing.images import AMD64, ARM64, random_image, tiny_image

SINK = NullSink()
SHA = "sha256:" + "a" * 64


def ref(text: str) -> Reference:
    return Reference.parse(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("demo", StorePlace(ref("demo:latest"))),
        ("team/demo:1", StorePlace(ref("team/demo:1"))),
        ("localhost:5000/app", RegistryPlace(ref("localhost:5000/app:latest"))),
        (f"reg.example/app@{SHA}", RegistryPlace(ref(f"reg.example/app@{SHA}"))),
        ("docker://demo", RegistryPlace(ref("demo:latest"))),
        ("docker://reg.example/a:1", RegistryPlace(ref("reg.example/a:1"))),
        ("oci:out", OciPlace(Path("out"))),
        ("oci:/a/b:latest", OciPlace(Path("/a/b"), "latest")),
        ("oci:out:localhost:5000/app:1", OciPlace(Path("out"), "localhost:5000/app:1")),
        ("oci-archive:a.tar", OciArchivePlace(Path("a.tar"))),
        ("oci-archive:/x/a.tar:v1", OciArchivePlace(Path("/x/a.tar"), "v1")),
        ("docker-archive:a.tar", DockerArchivePlace(Path("a.tar"))),
        ("docker-archive:a.tar:demo:1", DockerArchivePlace(Path("a.tar"), ref("demo:1"))),
        ("docker-archive:a.tar:localhost:5000/x", DockerArchivePlace(Path("a.tar"), ref("localhost:5000/x:latest"))),
        ("dir:out", DirPlace(Path("out"))),
        ("dir:/a:b", DirPlace(Path("/a:b"))),
        ("oci", StorePlace(ref("oci:latest"))),
        ("docker:27", StorePlace(ref("docker:27"))),
    ],
)
def test_text_names_a_place(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("oci:", BadPlace),
        ("oci::tag", BadPlace),
        ("dir:", BadPlace),
        ("docker-archive:", BadPlace),
        ("containers-storage:demo", BadPlace),
        ("docker-daemon:demo:latest", NoDaemon),
        ("docker-archive:a.tar:NOT A NAME", BadReference),
        ("Demo", BadReference),
        ("", BadReference),
    ],
)
def test_text_that_names_no_place_is_a_usage_error(text: str, error: type[PylifeError]) -> None:
    with pytest.raises(error) as caught:
        parse_place(text)
    assert caught.value.exit_code == 2


def test_daemon_error_says_what_to_use_instead() -> None:
    with pytest.raises(NoDaemon) as caught:
        parse_place("docker-daemon:demo")
    assert "docker-archive:" in caught.value.fix


def test_local_image_is_preferred_to_the_registry(ports: Ports) -> None:
    name = "reg.example/app:1"
    assert locate(name, ports) == RegistryPlace(ref(name))
    save(tiny_image(ports.store), StorePlace(ref(name)), ports, SINK)
    assert locate(name, ports) == StorePlace(ref(name))
    assert locate(f"docker://{name}", ports) == RegistryPlace(ref(name))
    assert locate("bare", ports) == RegistryPlace(ref("bare:latest"))


def places(root: Path) -> list[Place]:
    texts = ["copy:1", f"oci:{root}/l:t", f"oci:{root}/m", f"oci-archive:{root}/a.tar:t", f"oci-archive:{root}/b.tar"]
    return [parse_place(text) for text in (*texts, f"dir:{root}/d")]


@pytest.mark.parametrize("dialect", list(Dialect))
def test_image_goes_through_every_place_byte_for_byte(ports: Ports, tmp_path: Path, dialect: Dialect) -> None:
    image = random_image(ports.store, dialect=dialect)
    before: Place = StorePlace(ref("start"))
    save(image, before, ports, SINK)
    for place in places(tmp_path):
        moved = copy(before, place, ports, SINK)
        assert moved.descriptor.digest == image.digest
        loaded = load(place, ports)
        assert isinstance(loaded, Image)
        assert loaded.manifest.raw == image.manifest.raw
        assert loaded.config.raw == image.config.raw
        assert validate(loaded) == ()
        before = place


def test_index_goes_through_every_place_with_all_its_platforms(ports: Ports, tmp_path: Path) -> None:
    images = [random_image(ports.store, seed=n, platform=p) for n, p in enumerate((AMD64, ARM64))]
    before: Place = StorePlace(ref("multi"))
    save(index_of(images), before, ports, SINK)
    digest = index_of(images).digest
    for place in places(tmp_path):
        copy(before, place, ports, SINK)
        loaded = load(place, ports)
        assert isinstance(loaded, ImageIndex)
        assert loaded.digest == digest
        assert validate(loaded) == ()
        assert load_image(place, ports, ARM64).digest == images[1].digest
        before = place


def test_one_platform_of_an_index_is_copied_alone(ports: Ports, tmp_path: Path) -> None:
    images = [random_image(ports.store, seed=n, platform=p) for n, p in enumerate((AMD64, ARM64))]
    save(index_of(images), StorePlace(ref("multi")), ports, SINK)
    place = parse_place(f"oci:{tmp_path}/out:one")
    copy(StorePlace(ref("multi")), place, ports, SINK, ARM64)
    assert load(place, ports).digest == images[1].digest
    assert len(Layout.open(tmp_path / "out").blobs.digests()) == 5


def test_artifact_is_copied_as_it_is_and_is_no_image(ports: Ports, tmp_path: Path) -> None:
    blobs = ports.store.blobs
    empty = Descriptor(mediatypes.OCI_EMPTY, put_bytes(blobs, b"{}"), 2)
    data = Descriptor("application/x-sbom", put_bytes(blobs, b"sbom"), 4)
    manifest = Manifest.build(Dialect.OCI, empty, [data], artifact_type="application/x-sbom")
    put_bytes(blobs, manifest.raw)
    ports.store.put(ref("sbom"), manifest.descriptor)
    for place in places(tmp_path):
        assert copy(StorePlace(ref("sbom")), place, ports, SINK).descriptor.digest == manifest.digest
        with pytest.raises(NotAnImage, match="application/x-sbom"):
            load(place, ports)


def test_docker_archive_holds_the_same_layers(ports: Ports, tmp_path: Path) -> None:
    image = random_image(ports.store)
    place = parse_place(f"docker-archive:{tmp_path}/a.tar:demo:1")
    save(image, place, ports, SINK)
    loaded = load(place, ports)
    assert isinstance(loaded, Image)
    assert loaded.config.raw == image.config.raw
    assert [layer.diff_id for layer in loaded.layers] == [layer.diff_id for layer in image.layers]
    assert validate(loaded) == ()


def test_layers_of_a_docker_archive_are_compressed_on_their_way_out(ports: Ports, tmp_path: Path) -> None:
    image = random_image(ports.store, dialect=Dialect.DOCKER)
    archive, out = parse_place(f"docker-archive:{tmp_path}/a.tar"), parse_place(f"oci:{tmp_path}/out")
    save(image, archive, ports, SINK)
    copy(archive, out, ports, SINK)
    assert load(out, ports).digest == image.digest
    fresh = Ports(LocalStore(tmp_path / "fresh"), profile=Profile.ZSTD)
    copy(archive, parse_place("zstd"), fresh, SINK)
    layers = load_image(parse_place("zstd"), fresh).manifest.layers
    assert {layer.media_type for layer in layers} == {mediatypes.DOCKER_LAYER_ZSTD}


def test_docker_archive_takes_one_platform_only(ports: Ports, tmp_path: Path) -> None:
    images = [random_image(ports.store, seed=n, platform=p) for n, p in enumerate((AMD64, ARM64))]
    save(index_of(images), StorePlace(ref("multi")), ports, SINK)
    place = parse_place(f"docker-archive:{tmp_path}/a.tar:demo:1")
    with pytest.raises(NoPlatform, match="linux/amd64, linux/arm64"):
        copy(StorePlace(ref("multi")), place, ports, SINK)
    assert list(tmp_path.glob("*a.tar*")) == []
    copy(StorePlace(ref("multi")), place, ports, SINK, ARM64)
    assert load_image(place, ports).platform == ARM64


@pytest.mark.parametrize("form", ["oci-archive:{}/a.tar:t", "docker-archive:{}/a.tar:demo:1"])
def test_archives_of_one_image_are_equal(ports: Ports, tmp_path: Path, form: str) -> None:
    image = random_image(ports.store)
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save(image, parse_place(form.format(tmp_path / name)), ports, SINK)
        found.append((tmp_path / name / "a.tar").read_bytes())
    assert found[0] == found[1]


def test_second_save_sends_nothing(ports: Ports, tmp_path: Path) -> None:
    image = random_image(ports.store)
    place = parse_place(f"oci:{tmp_path}/out")
    assert len(send(image, place, ports, SINK).sent) == 4
    again = send(image, place, ports, SINK)
    assert (len(again.sent), len(again.present), again.bytes_sent) == (0, 4, 0)


def test_only_missing_blobs_are_copied(ports: Ports, tmp_path: Path) -> None:
    place = parse_place(f"oci:{tmp_path}/out:a")
    shared = {"shared": b"s" * 5000}
    save(tiny_image(ports.store, shared, {"a": b"1"}), place, ports, SINK)
    done = send(tiny_image(ports.store, shared, {"b": b"2"}), parse_place(f"oci:{tmp_path}/out:b"), ports, SINK)
    assert len(done.present) == 1
    assert len(done.sent) == 2


def test_truncated_blob_at_the_destination_is_replaced(ports: Ports, tmp_path: Path) -> None:
    image = random_image(ports.store)
    place = parse_place(f"oci:{tmp_path}/out")
    save(image, place, ports, SINK)
    path = Layout.open(tmp_path / "out").blobs.path(image.layers[1].descriptor.digest)
    path.write_bytes(path.read_bytes()[:100])
    assert len(send(image, place, ports, SINK).sent) == 1
    assert validate(load(place, ports)) == ()


def test_damaged_source_leaves_no_image_at_the_destination(ports: Ports, tmp_path: Path) -> None:
    image = random_image(ports.store, size=200_000)
    save(image, StorePlace(ref("demo")), ports, SINK)
    path = ports.store.blobs.path(image.layers[1].descriptor.digest)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    for text in (f"oci:{tmp_path}/out:t", f"oci-archive:{tmp_path}/a.tar:t", f"dir:{tmp_path}/d"):
        place = parse_place(text)
        with pytest.raises(DigestMismatch):
            copy(StorePlace(ref("demo")), place, ports, SINK)
        with pytest.raises(PylifeError):
            load(place, ports)
    with pytest.raises(PylifeError):
        copy(StorePlace(ref("demo")), parse_place(f"docker-archive:{tmp_path}/b.tar"), ports, SINK)
    assert not list(tmp_path.rglob(".pylife-partial-*"))
    assert not (tmp_path / "a.tar").exists()
    assert not (tmp_path / "b.tar").exists()


def test_failing_save_over_an_archive_keeps_the_old_one(ports: Ports, tmp_path: Path) -> None:
    place = parse_place(f"oci-archive:{tmp_path}/a.tar")
    good, bad = tiny_image(ports.store), tiny_image(ports.store, {"other": b"x"})
    save(good, place, ports, SINK)
    ports.store.blobs.delete(bad.layers[0].descriptor.digest)
    with pytest.raises(MissingBlob):
        save(bad, place, ports, SINK)
    assert load(place, ports).digest == good.digest


def test_partial_index_says_which_platform_is_missing(ports: Ports, tmp_path: Path) -> None:
    images = [random_image(ports.store, seed=n, platform=p) for n, p in enumerate((AMD64, ARM64))]
    save(index_of(images), StorePlace(ref("multi")), ports, SINK)
    ports.store.blobs.delete(images[1].digest)
    with pytest.raises(NoPlatform, match="linux/arm64"):
        copy(StorePlace(ref("multi")), parse_place(f"oci:{tmp_path}/out"), ports, SINK)
    copy(StorePlace(ref("multi")), parse_place(f"oci:{tmp_path}/out"), ports, SINK, AMD64)


def test_missing_things_are_said_plainly(ports: Ports, tmp_path: Path) -> None:
    with pytest.raises(ImageNotFound, match="demo:latest"):
        load(parse_place("demo"), ports)
    with pytest.raises(NotALayout):
        load(parse_place(f"oci:{tmp_path}/absent"), ports)
    with pytest.raises(PylifeError, match="No such file"):
        load(parse_place(f"docker-archive:{tmp_path}/absent.tar"), ports)
    with pytest.raises(NotALayout):
        load(parse_place(f"dir:{tmp_path}/absent"), ports)
    with pytest.raises(NoRegistry):
        load(parse_place("reg.example/app"), ports)
    with pytest.raises(NoRegistry):
        save(tiny_image(ports.store), parse_place("reg.example/app"), ports, SINK)
    with pytest.raises(PylifeError, match="No such file"):
        save(tiny_image(ports.store), parse_place(f"oci-archive:{tmp_path}/absent/a.tar"), ports, SINK)


def test_layout_with_several_images_needs_a_tag(ports: Ports, tmp_path: Path) -> None:
    for tag in ("a", "b"):
        save(tiny_image(ports.store, {tag: b""}), parse_place(f"oci:{tmp_path}/out:{tag}"), ports, SINK)
    with pytest.raises(AmbiguousImage, match="a, b"):
        load(parse_place(f"oci:{tmp_path}/out"), ports)
    with pytest.raises(ImageNotFound, match="a, b"):
        load(parse_place(f"oci:{tmp_path}/out:c"), ports)
    load(parse_place(f"oci:{tmp_path}/out:a"), ports)


def test_directory_with_something_else_in_it_is_not_overwritten(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/precious").write_text("x")
    with pytest.raises(NotALayout, match="not empty"):
        save(tiny_image(ports.store), parse_place(f"dir:{tmp_path}/d"), ports, SINK)
    assert os.listdir(tmp_path / "d") == ["precious"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x1f\x8bnonsense", bytes(10240)])
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_file_that_is_no_archive_is_refused(ports: Ports, tmp_path: Path, content: bytes, transport: str) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(PylifeError) as caught:
        load(parse_place(f"{transport}:{tmp_path}/a.tar"), ports)
    assert caught.value.code in ("store.bad-archive", "store.not-a-layout", "layer.bad-compression")
    assert os.listdir(tmp_path) == ["a.tar"] or sorted(os.listdir(tmp_path)) == ["a.tar", "store"]


def test_archive_of_the_other_kind_is_named(ports: Ports, tmp_path: Path) -> None:
    image = tiny_image(ports.store)
    save(image, parse_place(f"oci-archive:{tmp_path}/o.tar"), ports, SINK)
    save(image, parse_place(f"docker-archive:{tmp_path}/d.tar"), ports, SINK)
    with pytest.raises(BadArchive, match="use oci-archive:"):
        load(parse_place(f"docker-archive:{tmp_path}/o.tar"), ports)
    with pytest.raises(NotALayout):
        load(parse_place(f"oci-archive:{tmp_path}/d.tar"), ports)


def test_manifest_larger_than_announced_is_refused(ports: Ports, tmp_path: Path) -> None:
    image = tiny_image(ports.store)
    place = parse_place(f"oci:{tmp_path}/out")
    save(image, place, ports, SINK)
    index = json.loads((tmp_path / "out/index.json").read_text())
    index["manifests"][0]["size"] -= 1
    (tmp_path / "out/index.json").write_text(json.dumps(index))
    with pytest.raises(DigestMismatch):
        load(place, ports)
    index["manifests"][0]["size"] = 1 << 40
    (tmp_path / "out/index.json").write_text(json.dumps(index))
    with pytest.raises(PylifeError, match="larger than"):
        load(place, ports)


def test_saving_tells_how_far_it_is(ports: Ports, tmp_path: Path) -> None:
    sink = RecordingSink()
    image = random_image(ports.store)
    save(image, parse_place(f"oci:{tmp_path}/out"), ports, sink)
    started, *middle, ended = sink.events
    assert isinstance(started, StepStarted)
    assert isinstance(ended, StepEnded)
    assert ended.outcome == "done"
    assert "4 blobs sent" in ended.detail
    last = [event for event in middle if isinstance(event, StepProgress)][-1]
    assert last.done == last.total == sum(item.size for item in (image.manifest.config, *image.manifest.layers))


def test_digest_of_a_saved_image_is_the_images_own(ports: Ports, tmp_path: Path) -> None:
    image = random_image(ports.store)
    assert save(image, parse_place(f"oci:{tmp_path}/out"), ports, SINK).digest == image.digest
    assert Digest.of(image.manifest.raw) == image.digest


_SAVE = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from lifecycle.events import NullSink
    from lifecycle.image import Ports, parse_place, save
    from lifecycle.store import LocalStore
    from lifecycle.testing.images import random_image
    root, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ports = Ports(LocalStore(root / name))
    print("ready", flush=True)
    for number in range(count):
        image = random_image(ports.store, seed=number, size=20_000)
        save(image, parse_place(f"oci:{root}/shared:{name}-{number}"), ports, NullSink())
        save(image, parse_place(f"oci-archive:{root}/shared.tar"), ports, NullSink())
    """
)


def saving(root: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _SAVE, str(root), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_processes_that_save_into_one_layout_lose_nothing(ports: Ports, tmp_path: Path) -> None:
    running = [saving(tmp_path, name, 6) for name in ("a", "b", "c")]
    for process in running:
        process.communicate()
        assert process.returncode == 0
    names = Layout.open(tmp_path / "shared").names()
    assert len(names) == 18
    for name in names:
        assert validate(load(parse_place(f"oci:{tmp_path}/shared:{name}"), ports)) == ()
    assert validate(load(parse_place(f"oci-archive:{tmp_path}/shared.tar"), ports)) == ()


def test_save_killed_at_any_moment_leaves_sound_images_and_is_swept_by_the_next(ports: Ports, tmp_path: Path) -> None:
    dice = random.Random(2)
    image = random_image(ports.store)
    save(image, parse_place(f"oci-archive:{tmp_path}/shared.tar"), ports, SINK)
    for number in range(5):
        process = saving(tmp_path, f"r{number}", 500)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0.005, 0.12))
        process.kill()
        process.communicate()
        assert validate(load(parse_place(f"oci-archive:{tmp_path}/shared.tar"), ports)) == ()
        for name in Layout.create(tmp_path / "shared").names():
            assert validate(load(parse_place(f"oci:{tmp_path}/shared:{name}"), ports)) == ()
    save(image, parse_place(f"oci:{tmp_path}/shared:last"), ports, SINK)
    save(image, parse_place(f"docker-archive:{tmp_path}/other.tar"), ports, SINK)
    assert not list((tmp_path / "shared").glob(".pylife-partial-*"))
    assert not list(tmp_path.glob(".pylife-partial-*"))
