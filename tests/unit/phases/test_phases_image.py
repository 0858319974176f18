"""What an app image says of itself, who is pure, and what rebase exchanges: pure functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.archive import Kind
from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import BuildpackStore, GroupElement
from lifecycle.buildpack.labels import LIFECYCLE_METADATA, REBASABLE, AppMetadata, RunImageMetadata, decode_app_metadata
from lifecycle.buildpack.plan import NO_WISHES
from lifecycle.buildpack.resolve import Detection, resolve
from lifecycle.image import Image, with_labels
from lifecycle.oci import Digest, History, ImageConfig
from lifecycle.phases.analyze import RunImage, analyze
from lifecycle.phases.assemble import AppLayer, app_config, launcher_members, process_members
from lifecycle.phases.create import is_pure
from lifecycle.phases.detect import Detected, DetectErrored, NothingDetected, explain, lookup_in
from lifecycle.phases.layout import Layout, process_types
from lifecycle.phases.rebase import NotRebasable, WrongRunImage, rebase
from lifecycle.store import LocalStore
from lifecycle.testing.images import AMD64, ARM64, tiny_image

LAYOUT = Layout()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def app_on(base: Image, layer: Image, **labels: str) -> Image:
    """An app image of one layer on ``base``."""
    added = [AppLayer(item, "Application Layer") for item in layer.layers]
    metadata = AppMetadata(
        app=(layer.layers[0].diff_id,),
        run_image=RunImageMetadata(str(base.layers[-1].diff_id), f"reg/run@{base.digest}", "reg/run", ("mirror/run",)),
    )
    config = app_config(
        base.config,
        added,
        {LIFECYCLE_METADATA: metadata.encode(), **labels},
        layout=LAYOUT,
        platform_api="0.14",
        default_process="web",
        created=315532801,
    )
    return Image(config, (*base.layers, *layer.layers), base.dialect)


def test_config_keeps_the_run_images_and_adds_what_the_launcher_needs(store: LocalStore) -> None:
    base = tiny_image(store, {"etc/os": b"1"}, env={"PATH": "/bin", "LANG": "C"}, labels={"io.buildpacks.base.id": "x"})
    config = app_on(base, tiny_image(store, {"workspace/a": b"a"})).config
    assert config.env["PATH"] == "/cnb/process:/cnb/lifecycle:/bin"
    assert list(config.env)[:2] == ["PATH", "LANG"]
    assert (config.env["CNB_APP_DIR"], config.env["CNB_PLATFORM_API"]) == ("/workspace", "0.14")
    assert config.entrypoint == ("/cnb/process/web",)
    assert config.cmd == ()
    assert config.labels["io.buildpacks.base.id"] == "x"
    assert config.created == "1980-01-01T00:00:01Z"
    assert len(config.history) == len(config.diff_ids) == 2
    assert {entry.created for entry in config.history} == {config.created}


def test_history_that_does_not_align_becomes_blank(store: LocalStore) -> None:
    base = tiny_image(store, {"a": b"1"}, {"b": b"2"})
    crooked = base.config.with_layers(base.config.diff_ids, [History(created_by="one"), History(empty_layer=True)])
    config = app_on(Image(crooked, base.layers), tiny_image(store, {"c": b"3"})).config
    assert [entry.created_by for entry in config.history] == ["", "", "Application Layer"]


def test_small_layers_have_rooted_directories_and_links_sorted_by_type() -> None:
    entries = [entry for entry, _ in process_members(["web", "a-worker"])]
    assert [entry.name for entry in entries] == [b"cnb", b"cnb/process", b"cnb/process/a-worker", b"cnb/process/web"]
    assert entries[-1].kind is Kind.SYMLINK and entries[-1].linkname == b"/cnb/lifecycle/launcher"
    launcher = [entry for entry, _ in launcher_members(b"ELF", 3)]
    assert [(entry.name, entry.mode, entry.uid) for entry in launcher] == [
        (b"cnb", 0o755, 0),
        (b"cnb/lifecycle", 0o755, 0),
        (b"cnb/lifecycle/launcher", 0o755, 0),
    ]


def test_previous_image_of_another_platform_or_maker_counts_as_none(store: LocalStore) -> None:
    base = tiny_image(store, {"a": b"1"}, platform=AMD64)
    run = RunImage(base, "reg/run", f"reg/run@{base.digest}")
    assert analyze(run, None).previous is None
    assert "no lifecycle" not in analyze(run, base).why_not and analyze(run, base).previous is None
    other = app_on(tiny_image(store, {"a": b"1"}, platform=ARM64), tiny_image(store, {"b": b"2"}))
    assert "arm64" in analyze(run, other).why_not
    good = app_on(base, tiny_image(store, {"b": b"2"}))
    assert analyze(run, good).previous is good


def test_rebase_exchanges_the_base_layers_labels_and_metadata_only(store: LocalStore) -> None:
    old = tiny_image(store, {"os": b"1"}, labels={"io.buildpacks.base.id": "old"})
    new = tiny_image(store, {"os": b"2"}, {"more": b"3"}, labels={"io.buildpacks.base.id": "new"})
    app = app_on(old, tiny_image(store, {"workspace/a": b"a"}), mine="kept")
    run = RunImage(new, "reg/run", f"reg/run@{new.digest}")
    result = rebase(app, run, "app")
    assert [layer.diff_id for layer in result.layers] == [
        *(layer.diff_id for layer in new.layers),
        app.layers[-1].diff_id,
    ]
    assert result.config.labels["io.buildpacks.base.id"] == "new"
    assert result.config.labels["mine"] == "kept"
    metadata, _ = decode_app_metadata(result.config.labels[LIFECYCLE_METADATA])
    assert metadata is not None
    assert metadata.run_image.top_layer == str(new.layers[-1].diff_id)
    assert rebase(result, run, "app").digest == result.digest


def test_rebase_refuses_another_family_another_platform_and_a_forbidden_image(store: LocalStore) -> None:
    old = tiny_image(store, {"os": b"1"})
    app = app_on(old, tiny_image(store, {"a": b"a"}))
    stranger = RunImage(old, "other/run", "other/run@x")
    with pytest.raises(WrongRunImage):
        rebase(app, stranger, "app")
    assert rebase(app, stranger, "app", force=True).layers == app.layers
    arm = tiny_image(store, {"os": b"1"}, platform=ARM64)
    with pytest.raises(WrongRunImage):
        rebase(app, RunImage(arm, "reg/run", "x"), "app", force=True)
    with pytest.raises(NotRebasable):
        rebase(with_labels(app, {REBASABLE: "false"}), RunImage(old, "reg/run", "x"), "app")
    with pytest.raises(NotRebasable):
        rebase(old, RunImage(old, "reg/run", "x"), "plain")


def make_buildpack(root: Path, id_: str, metadata: str = "") -> GroupElement:
    place = root / id_.replace("/", "_") / "1.0.0"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "build").touch()
    (place / "buildpack.toml").write_text(f'api = "0.10"\n[buildpack]\nid = "{id_}"\nversion = "1.0.0"\n{metadata}\n')
    return GroupElement(id_, "1.0.0")


@pytest.mark.parametrize(
    ("metadata", "env", "pure"),
    [
        ("[metadata.pylife]\npure = true", {}, True),
        ("[metadata.pylife]\npure = true\nimpure-with = ['X=1']", {"X": "0"}, True),
        ("[metadata.pylife]\npure = true\nimpure-with = ['X=1']", {"X": "1"}, False),
        ("[metadata.pylife]\npure = 'yes'", {}, False),
        ("[metadata]\npylife = 1", {}, False),
        ("", {}, False),
    ],
)
def test_a_group_is_pure_when_everyone_asked_promises_it(
    tmp_path: Path, metadata: str, env: dict[str, str], pure: bool
) -> None:
    promising = make_buildpack(tmp_path, "acme/pure", "[metadata.pylife]\npure = true")
    tested = make_buildpack(tmp_path, "acme/tested", metadata)
    detections = [
        Detection.exited(promising, 0, NO_WISHES),
        # an optional one that said no was asked too: it might say yes tomorrow
        Detection.exited(GroupElement(tested.id, tested.version, optional=True), 100, NO_WISHES),
    ]
    resolution = resolve(detections)
    detected = Detected(resolution.group, resolution.plan, (resolution,))
    assert is_pure(detected, lookup_in(BuildpackStore(tmp_path)), env) is pure


def test_what_a_broken_detect_left_out_is_not_taken_for_unchanged(tmp_path: Path) -> None:
    promising, broken = (make_buildpack(tmp_path, name, "[metadata.pylife]\npure = true") for name in ("a/a", "a/b"))
    optional = GroupElement(broken.id, broken.version, optional=True)
    for code, pure in ((100, True), (1, False)):
        resolution = resolve([Detection.exited(promising, 0, NO_WISHES), Detection.exited(optional, code, NO_WISHES)])
        detected = Detected(resolution.group, resolution.plan, (resolution,))
        assert resolution.passed
        assert is_pure(detected, lookup_in(BuildpackStore(tmp_path)), {}) is pure


def test_failed_detection_tells_every_groups_story() -> None:
    no = Detection.exited(GroupElement("acme/no", "1.0.0"), 100, NO_WISHES, ("no Foofile",))
    tried = (resolve([no]),)
    lines = explain(tried)
    assert lines[0] == "Group 1: failed"
    assert any("acme/no@1.0.0" in line for line in lines)
    assert "  no Foofile" in lines
    error = NothingDetected("none", tried)
    assert (error.exit_code, DetectErrored("broke", tried).exit_code) == (20, 21)


def test_process_types_of_an_image_that_no_lifecycle_made_are_none() -> None:
    assert process_types(ImageConfig.empty(AMD64)) == []
    assert Api(0, 14) > Api(0, 9)
    assert Digest.of(b"").short == "e3b0c44298fc"
