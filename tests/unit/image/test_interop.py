"""What other tools make of our images, and we of theirs."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.archive.compress import Profile
from lifecycle.events import NullSink
from lifecycle.image import Image, ImageIndex, Ports, StorePlace, index_of, load, load_image, parse_place, save
from lifecycle.image.validate import validate
from lifecycle.oci import Dialect, Reference
from lifecycle.testing.images import AMD64, ARM64, random_image, tiny_image

SINK = NullSink()
Tool = Callable[[str], str]


def run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@pytest.fixture
def skopeo(tool: Tool) -> Callable[..., str]:
    path = tool("skopeo")

    def call(*arguments: str) -> str:
        return run(path, "--insecure-policy", "--override-arch=amd64", "--override-os=linux", *arguments)

    return call


FORMS = {
    "oci": "oci:{}/layout:latest",
    "oci without tag": "oci:{}/layout",
    "oci-archive": "oci-archive:{}/oci.tar:latest",
    "dir": "dir:{}/dir",
}


@pytest.mark.parametrize(
    ("form", "dialect"),
    [
        *((form, Dialect.OCI) for form in FORMS.values()),
        # by a tag, skopeo finds no manifest of Docker's media type in a layout
        (FORMS["oci without tag"], Dialect.DOCKER),
        (FORMS["dir"], Dialect.DOCKER),
    ],
)
def test_skopeo_reads_what_we_write(
    ports: Ports, tmp_path: Path, skopeo: Callable[..., str], form: str, dialect: Dialect
) -> None:
    image = random_image(ports.store, dialect=dialect)
    place = form.format(tmp_path)
    save(image, parse_place(place), ports, SINK)
    assert skopeo("inspect", "--format", "{{.Digest}}", place).strip() == str(image.digest)
    skopeo("copy", "--preserve-digests", place, f"dir:{tmp_path}/copied")
    assert (tmp_path / "copied/manifest.json").read_bytes() == image.manifest.raw


@pytest.mark.parametrize("profile", [Profile.ZSTD, Profile.NONE])
def test_skopeo_reads_other_compressions(
    ports: Ports, tmp_path: Path, skopeo: Callable[..., str], profile: Profile
) -> None:
    image = tiny_image(ports.store, profile=profile)
    save(image, parse_place(f"oci:{tmp_path}/o:t"), ports, SINK)
    skopeo("copy", "--preserve-digests", f"oci:{tmp_path}/o:t", f"dir:{tmp_path}/d")
    assert load_image(parse_place(f"dir:{tmp_path}/d"), ports).digest == image.digest


def test_skopeo_reads_our_docker_archive(ports: Ports, tmp_path: Path, skopeo: Callable[..., str]) -> None:
    image = random_image(ports.store)
    place = f"docker-archive:{tmp_path}/d.tar:localhost:5000/demo:1"
    save(image, parse_place(place), ports, SINK)
    config = json.loads(skopeo("inspect", "--config", "--raw", place))
    assert config == image.config.data
    skopeo("copy", place, f"oci:{tmp_path}/o:t")
    assert load_image(parse_place(f"oci:{tmp_path}/o:t"), ports).config.diff_ids == image.config.diff_ids


@pytest.mark.parametrize("name", ["demo", "team/demo:1", "localhost:5000/app:v1", "reg.example/a/b-c/d_e:1.0"])
def test_skopeo_finds_images_in_the_local_store_by_name(ports: Ports, skopeo: Callable[..., str], name: str) -> None:
    image = tiny_image(ports.store)
    ref = Reference.parse(name)
    save(image, StorePlace(ref), ports, SINK)
    key = ref.with_default_tag().familiar
    found = skopeo("inspect", "--format", "{{.Digest}}", f"oci:{ports.store.root}:{key}")
    assert found.strip() == str(image.digest)


def test_skopeo_may_write_into_the_local_store(ports: Ports, tmp_path: Path, skopeo: Callable[..., str]) -> None:
    image = tiny_image(ports.store, {"theirs": b"1"})
    save(image, parse_place(f"dir:{tmp_path}/d"), ports, SINK)
    save(tiny_image(ports.store, {"ours": b"1"}), StorePlace(Reference.parse("ours")), ports, SINK)
    skopeo("copy", "--preserve-digests", f"dir:{tmp_path}/d", f"oci:{ports.store.root}:theirs:latest")
    ports.store.gc()
    for name in ("ours", "theirs"):
        assert validate(load(StorePlace(Reference.parse(name)), ports)) == ()


@pytest.mark.parametrize("form", [*FORMS.values(), "docker-archive:{}/d.tar:demo:1"])
def test_we_read_what_skopeo_writes(ports: Ports, tmp_path: Path, skopeo: Callable[..., str], form: str) -> None:
    image = random_image(ports.store)
    save(image, parse_place(f"oci:{tmp_path}/ours:t"), ports, SINK)
    place = form.format(tmp_path)
    skopeo("copy", f"oci:{tmp_path}/ours:t", place)
    loaded = load(parse_place(place), ports)
    assert isinstance(loaded, Image)
    assert loaded.config.diff_ids == image.config.diff_ids
    assert loaded.config.raw == image.config.raw
    assert validate(loaded) == ()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_index_with_all_platforms_goes_both_ways(
    ports: Ports, tmp_path: Path, skopeo: Callable[..., str], form: str
) -> None:
    images = [random_image(ports.store, seed=n, platform=p) for n, p in enumerate((AMD64, ARM64))]
    index = index_of(images)
    (tmp_path / "theirs").mkdir()
    ours, theirs = form.format(tmp_path), form.format(tmp_path / "theirs")
    save(index, parse_place(ours), ports, SINK)
    skopeo("copy", "--all", ours, theirs)
    loaded = load(parse_place(theirs), ports)
    assert isinstance(loaded, ImageIndex)
    assert validate(loaded) == ()
    assert load_image(parse_place(theirs), ports, ARM64).digest == images[1].digest


def test_umoci_unpacks_our_layout(ports: Ports, tmp_path: Path, tool: Tool) -> None:
    image = tiny_image(ports.store, {"a": b"1", "d": None, "d/gone": b"x"}, {"d/.wh.gone": b"", "d/new": b"n"})
    save(image, parse_place(f"oci:{tmp_path}/o:t"), ports, SINK)
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    run(tool("umoci"), "unpack", *rootless, "--image", f"{tmp_path}/o:t", f"{tmp_path}/bundle")
    root = tmp_path / "bundle/rootfs"
    found = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    assert found == {"a": "1", "d/new": "n"}


def test_we_read_what_umoci_writes(ports: Ports, tmp_path: Path, tool: Tool) -> None:
    umoci, layout = tool("umoci"), f"{tmp_path}/o"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("hello")
    run(umoci, "init", "--layout", layout)
    run(umoci, "new", "--image", f"{layout}:base")
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    run(umoci, "insert", *rootless, "--image", f"{layout}:base", "--tag", "t", f"{tmp_path}/tree", "/tree")
    run(umoci, "config", "--image", f"{layout}:t", "--config.env", "A=1")
    image = load_image(parse_place(f"oci:{layout}:t"), ports)
    assert image.config.env["A"] == "1"
    assert validate(image) == ()
    save(image, parse_place(f"oci:{layout}:again"), ports, SINK)
    assert load_image(parse_place(f"oci:{layout}:again"), ports).digest == image.digest
    assert sorted(run(umoci, "list", "--layout", layout).split()) == ["again", "base", "t"]


def test_podman_loads_our_docker_archive(ports: Ports, tmp_path: Path, tool: Tool) -> None:
    image = tiny_image(ports.store, {"a": b"1"}, {"b": b"2"})
    save(image, parse_place(f"docker-archive:{tmp_path}/d.tar:reg.example/demo:1"), ports, SINK)
    with tempfile.TemporaryDirectory(prefix="p") as short:  # podman wants a path of 50 characters
        storage = ["--root", f"{short}/r", "--runroot", f"{short}/rr", "--storage-driver", "vfs"]
        out = run(tool("podman"), *storage, "--runtime", "runc", "load", "-i", f"{tmp_path}/d.tar")
    assert "reg.example/demo:1" in out
