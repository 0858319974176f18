from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.builder.config import BadBuilderFile, BuilderDefinition, UnsupportedSource, load_builder
from lifecycle.builder.share import shared
from lifecycle.buildpack.descriptor import UnknownBuildpack
from lifecycle.buildpack.order import CyclicOrder, expand

TEXT = """
description = "tiny"
[[buildpacks]]
uri = "one"
[[buildpacks]]
uri = "two"
id = "tiny/two"
version = "0.2.0"
[[order]]
group = [{ id = "tiny/one" }, { id = "tiny/two", version = "0.2.0", optional = true }]
[build]
image = "tiny/build"
[[build.env]]
name = "GREETING"
value = "hello"
suffix = "append"
delim = ":"
[[run.images]]
image = "tiny/run"
mirrors = ["mirror.test/tiny/run"]
"""


def write_buildpack(directory: Path, id_: str, version: str) -> None:
    (directory / "bin").mkdir(parents=True)
    text = f'api = "0.10"\n[buildpack]\nid = "{id_}"\nversion = "{version}"\nname = "A name"\n'
    (directory / "buildpack.toml").write_text(text)
    for name in ("detect", "build"):
        (directory / "bin" / name).write_text("#!/bin/sh\n")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_buildpack(tmp_path / "one", "tiny/one", "0.1.0")
    write_buildpack(tmp_path / "two", "tiny/two", "0.2.0")
    return tmp_path


def load(place: Path, text: str = TEXT) -> BuilderDefinition:
    (place / "builder.toml").write_text(text)
    return load_builder(place / "builder.toml")


def test_shipped_builder_tries_composites_and_python_first() -> None:
    found = load_builder(shared("builder.toml"))
    held = {(item.buildpack.id, item.buildpack.version): item.buildpack for item in found.buildpacks}
    assert all(held[(element.id, element.version)].is_composite for group in found.order for element in group)
    groups = list(expand(found.order, lambda element: held[(element.id, element.version)]))
    required = [next(element.id for element in group if not element.optional) for group in groups]
    assert (required[0], required[-1]) == ("pylife/python", "pylife/procfile")
    assert all(group[-1].id == "pylife/procfile" for group in groups), "what the Procfile says comes last and wins"
    assert found.stack is not None
    assert found.run_images[0].image == found.stack.reference("run").familiar


def write_composite(directory: Path, id_: str, *elements: tuple[str, str]) -> None:
    directory.mkdir()
    group = "".join(f'[[order.group]]\nid = "{name}"\nversion = "{version}"\n' for name, version in elements)
    text = f'api = "0.10"\n[buildpack]\nid = "{id_}"\nversion = "0.1.0"\n[[order]]\n{group}'
    (directory / "buildpack.toml").write_text(text)


COMPOSITE = TEXT.replace(
    "[[order]]", '[[buildpacks]]\nuri = "both"\n[[order]]\ngroup = [{ id = "tiny/both" }]\n[[order]]'
)


def test_a_composite_needs_no_programs_and_stands_for_its_order(place: Path) -> None:
    write_composite(place / "both", "tiny/both", ("tiny/one", "0.1.0"), ("tiny/two", "0.2.0"))
    found = load(place, COMPOSITE)
    assert [item.buildpack.is_composite for item in found.buildpacks] == [True, False, False]
    assert (found.buildpacks[0].buildpack.targets, found.buildpacks[0].sdk) == ((), None)


def test_a_composite_of_what_the_builder_has_not_is_refused_when_the_builder_is_made(place: Path) -> None:
    write_composite(place / "both", "tiny/both", ("tiny/one", "0.9.0"))
    with pytest.raises(UnknownBuildpack) as caught:
        load(place, COMPOSITE)
    assert "no tiny/one@0.9.0, of which tiny/both@0.1.0 is made" in str(caught.value)


def test_a_composite_of_itself_is_refused(place: Path) -> None:
    write_composite(place / "both", "tiny/both", ("tiny/both", "0.1.0"))
    with pytest.raises(CyclicOrder, match="tiny/both"):
        load(place, COMPOSITE)


def test_every_part_is_read(place: Path) -> None:
    found = load(place)
    assert [str(item.buildpack) for item in found.buildpacks] == ["tiny/one@0.1.0", "tiny/two@0.2.0"]
    assert found.order[0][0].version == "0.1.0", "the only version need not be named"
    assert (found.build_image, found.stack) == ("tiny/build", None)
    assert found.run_images[0].mirrors == ("mirror.test/tiny/run",)
    assert (found.env[0].name, found.env[0].suffix, found.env[0].delimiter) == ("GREETING", "append", ":")


def test_the_older_stack_table_names_images_too(place: Path) -> None:
    head = TEXT.partition("[build]")[0]
    found = load(place, head + '[stack]\nid = "s"\nbuild-image = "b"\nrun-image = "r"\nrun-image-mirrors = ["m/r"]\n')
    assert (found.stack_id, found.build_image, found.run_images[0].image) == ("s", "b", "r")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("description", "descripton", "did you mean 'description'"),
        ('uri = "one"', 'url = "one"', "did you mean 'uri'"),
        ('uri = "one"', 'uri = "three"', "holds no buildpack"),
        ('version = "0.2.0"\n', 'version = "0.3.0"\n', "two has version '0.2.0'"),
        ('id = "tiny/one"', 'id = "tiny/three"', "no version of it, but tiny/one, tiny/two"),
        ('{ id = "tiny/one" }', '{ id = "tiny/one", version = "9.9.9" }', "the builder has 0.1.0"),
        ('suffix = "append"', 'suffix = "after"', "none of default"),
        ('name = "GREETING"', 'name = "../GREETING"', "no name of a variable"),
        ("[build]\nimage", "[build]\nimages", "did you mean 'image'"),
        ('uri = "two"\nid = "tiny/two"\nversion = "0.2.0"', 'uri = "one"', "have one place"),
        ("[[run.images]]", "[[other.images]]", "no such key"),
        ("group = [", "group = [] #", "at least one entry"),
    ],
)
def test_a_wrong_file_names_the_key(place: Path, old: str, new: str, says: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    if old == "group = [":
        text = TEXT.replace(
            'group = [{ id = "tiny/one" }, { id = "tiny/two", version = "0.2.0", optional = true }]', new
        )
    with pytest.raises(BadBuilderFile) as caught:
        load(place, text)
    assert says in str(caught.value)


@pytest.mark.parametrize("uri", ["https://example.test/bp.tgz", "docker://example.test/bp", "bp.cnb"])
def test_a_source_that_is_no_directory_is_refused_by_name(place: Path, uri: str) -> None:
    with pytest.raises(UnsupportedSource, match=uri):
        load(place, TEXT.replace('uri = "one"', f'uri = "{uri}"'))


def test_key_follows_every_file_that_goes_in(place: Path) -> None:
    key = load(place).key("more")
    assert load(place).key("more") == key
    assert load(place).key("other") != key
    (place / "one/bin/__pycache__").mkdir()
    (place / "one/bin/__pycache__/x.pyc").write_text("x")
    assert load(place).key("more") == key, "byte code does not count"
    (place / "one/bin/detect").chmod(0o755)
    assert load(place).key("more") != key
    key = load(place).key("more")
    (place / "two/lib.py").write_text("x")
    assert load(place).key("more") != key
