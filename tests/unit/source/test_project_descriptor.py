from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.source.descriptor import (
    BuildpackSource,
    ProjectDescriptor,
    Script,
    find_project_descriptor,
    parse_project_descriptor,
)
from lifecycle.source.errors import BadProjectDescriptor

WHOLE = b"""
[_]
schema-version = "0.2"
id = "io.example.app"
name = "App"
version = "1"
source-url = "https://git.example/app"
[_.metadata]
cdn = "https://cdn.example"
[io.buildpacks]
builder = "reg.example/builder"
exclude = ["spec/", "*.log"]
[[io.buildpacks.group]]
id = "a/b"
version = "1.0.0"
[[io.buildpacks.group]]
uri = "./local"
[[io.buildpacks.group]]
id = "me/inline"
[io.buildpacks.group.script]
api = "0.10"
inline = "make"
[[io.buildpacks.pre.group]]
id = "pre"
[[io.buildpacks.post.group]]
id = "post"
[[io.buildpacks.build.env]]
name = "JAVA_OPTS"
value = "-Xmx1g"
"""


def test_every_key_of_schema_0_2_is_read() -> None:
    assert parse_project_descriptor(WHOLE) == ProjectDescriptor(
        "0.2",
        "io.example.app",
        "App",
        "1",
        "https://git.example/app",
        "reg.example/builder",
        (),
        ("spec/", "*.log"),
        (
            BuildpackSource("a/b", "1.0.0"),
            BuildpackSource(uri="./local"),
            BuildpackSource("me/inline", script=Script("0.10", "make", "/bin/sh")),
        ),
        (BuildpackSource("pre"),),
        (BuildpackSource("post"),),
        {"JAVA_OPTS": "-Xmx1g"},
        {"cdn": "https://cdn.example"},
    )


def test_schema_0_1_is_read_too() -> None:
    raw = b"""
[project]
id = "x"
[build]
builder = "b"
include = ["src"]
[[build.buildpacks]]
id = "a"
version = "1.0.0"
[[build.env]]
name = "A"
value = "1"
"""
    found = parse_project_descriptor(raw)
    assert (found.schema, found.id, found.builder, found.include) == ("0.1", "x", "b", ("src",))
    assert found.group == (BuildpackSource("a", "1.0.0"),)
    assert found.env == {"A": "1"}
    assert found.filter.include is not None


HEAD = '[_]\nschema-version = "0.2"\n'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[_]\n", "_.schema-version"),
        ('[_]\nschema-version = "0.9"\n', "_.schema-version"),
        ("[io.buildpacks]\n", "_"),
        (HEAD + '[io.buildpacks]\ninclude = ["a"]\nexclude = ["b"]\n', "io.buildpacks.exclude"),
        (HEAD + "[[io.buildpacks.group]]\n", "io.buildpacks.group[0].id"),
        (HEAD + '[[io.buildpacks.group]]\nid = "a"\nversion = "1"\nuri = "x"\n', "io.buildpacks.group[0].uri"),
        (HEAD + '[[io.buildpacks.group]]\nversion = "1"\n', "io.buildpacks.group[0].id"),
        (
            HEAD + '[[io.buildpacks.group]]\n[io.buildpacks.group.script]\napi = "0.1"\n',
            "io.buildpacks.group[0].script.inline",
        ),
        (HEAD + '[[io.buildpacks.build.env]]\nname = "A=B"\nvalue = ""\n', "io.buildpacks.build.env[0].name"),
        (HEAD + '[[io.buildpacks.build.env]]\nname = "A"\nvalue = 1\n', "io.buildpacks.build.env[0].value"),
        (HEAD + '[io.buildpacks]\nexclude = "a"\n', "io.buildpacks.exclude"),
    ],
)
def test_bad_descriptor_names_the_key(text: str, key: str) -> None:
    with pytest.raises(BadProjectDescriptor) as error:
        parse_project_descriptor(text.encode())
    assert error.value.where == f"project.toml: {key}"


def test_given_descriptor_comes_before_the_apps_own(tmp_path: Path) -> None:
    assert find_project_descriptor(tmp_path) is None
    (tmp_path / "project.toml").write_text(HEAD + '[io.buildpacks]\nbuilder = "own"\n')
    (tmp_path / "other.toml").write_text(HEAD + '[io.buildpacks]\nbuilder = "other"\n')
    own = find_project_descriptor(tmp_path)
    assert own is not None
    assert own.builder == "own"
    other = find_project_descriptor(tmp_path, tmp_path / "other.toml")
    assert other is not None
    assert other.builder == "other"
    with pytest.raises(BadProjectDescriptor, match="cannot be read"):
        find_project_descriptor(tmp_path, tmp_path / "none.toml")
