from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lifecycle.oci import BadDocument, Descriptor, Digest, Platform, mediatypes
from lifecycle.store import Layout, NotALayout, put_bytes
from lifecycle.store.layout import LAYOUT_FILE


def a_manifest(layout: Layout, text: bytes) -> Descriptor:
    raw = b'{"schemaVersion":2,"text":"' + text + b'"}'
    return Descriptor(mediatypes.OCI_MANIFEST, put_bytes(layout.blobs, raw), len(raw))


def test_new_layout_is_what_the_specification_says(tmp_path: Path) -> None:
    Layout.create(tmp_path / "out")
    assert json.loads((tmp_path / "out/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert index == {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": []}
    assert (tmp_path / "out/blobs/sha256").is_dir()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_creating_twice_changes_nothing(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    layout.tag("a", a_manifest(layout, b"a"))
    before = (tmp_path / "index.json").read_bytes()
    assert Layout.create(tmp_path).names() == ["a"]
    assert (tmp_path / "index.json").read_bytes() == before


def test_tag_replaces_the_image_of_that_name_only(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    one, two, three = (a_manifest(layout, text) for text in (b"1", b"2", b"3"))
    layout.tag("a", one)
    layout.tag("b", two)
    layout.tag("a", three)
    found = layout.find("a"), layout.find("b")
    assert [item.digest for item in found if item] == [three.digest, two.digest]
    assert layout.names() == ["b", "a"]


def test_unnamed_image_is_replaced_by_the_next_unnamed_one(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    layout.tag(None, a_manifest(layout, b"1"))
    layout.tag("a", a_manifest(layout, b"2"))
    last = a_manifest(layout, b"3")
    layout.tag(None, last)
    assert [item.digest for item in layout.index().manifests if not item.annotations] == [last.digest]
    assert len(layout.index().manifests) == 2


def test_untag_tells_whether_the_name_was_there(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    layout.tag("a", a_manifest(layout, b"1"))
    assert layout.untag("a")
    assert not layout.untag("a")
    assert layout.names() == []


def test_what_other_tools_put_into_the_index_stays(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    foreign = a_manifest(layout, b"1").to_json() | {"data": "e30=", "x-unknown": [1, 2]}
    index = {"schemaVersion": 2, "manifests": [foreign], "annotations": {"k": "v"}, "x-more": True}
    (tmp_path / "index.json").write_text(json.dumps(index))
    layout.tag("a", a_manifest(layout, b"2"))
    layout.untag("a")
    after = json.loads((tmp_path / "index.json").read_text())
    assert after["manifests"] == [foreign]
    assert after["annotations"] == {"k": "v"}
    assert after["x-more"] is True


def test_descriptor_keeps_platform_and_annotations_beside_its_name(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    plain = a_manifest(layout, b"1")
    rich = Descriptor(plain.media_type, plain.digest, plain.size, {"k": "v"}, Platform("linux", "arm64"))
    layout.tag("a", rich)
    found = layout.find("a")
    assert found is not None
    assert found.annotations["k"] == "v"
    assert found.platform == Platform("linux", "arm64")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "no file oci-layout"),
        ("nonsense", "not JSON"),
        ('{"imageLayoutVersion":"2.0.0"}', "'2.0.0'"),
        ("[]", "None"),
    ],
)
def test_directory_that_is_no_layout_is_refused(tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / LAYOUT_FILE).write_text(text)
    with pytest.raises(NotALayout, match=why):
        Layout.open(tmp_path)


def test_damaged_index_is_refused_and_not_overwritten(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    (tmp_path / "index.json").write_text('{"schemaVersion":2,"manifests":[')
    with pytest.raises(BadDocument, match=r"index\.json"):
        layout.tag("a", Descriptor(mediatypes.OCI_MANIFEST, Digest.of(b""), 0))
    assert (tmp_path / "index.json").read_text() == '{"schemaVersion":2,"manifests":['


def test_processes_that_tag_at_once_lose_no_name(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from lifecycle.oci import Descriptor, mediatypes
        from lifecycle.store import Layout, put_bytes
        for number in range(20):
            layout = Layout.create(Path(sys.argv[1]))
            raw = f"{sys.argv[2]} {number}".encode()
            descriptor = Descriptor(mediatypes.OCI_MANIFEST, put_bytes(layout.blobs, raw), len(raw))
            layout.tag(raw.decode().replace(" ", "-"), descriptor)
        """
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "new"), name]) for name in "abcd"]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    names = sorted(Layout.open(tmp_path / "new").names())
    assert names == sorted(f"{name}-{number}" for name in "abcd" for number in range(20))
    assert not list((tmp_path / "new").glob(".pylife-partial-*"))
