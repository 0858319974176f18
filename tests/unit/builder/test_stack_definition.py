from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.builder.definition import BadStack, load_stack
from lifecycle.builder.share import launcher_sources, shared

TEXT = """
id = "org.example.tiny"
name = "tiny"
suite = "bookworm"
distro = { name = "debian", version = "12" }
user = { name = "cnb", uid = 1000, gid = 1001, home = "/home/cnb" }
drop = ["dev/*"]
[run]
packages = ["zlib1g", "bash"]
[build]
packages = ["gcc"]
drop = ["usr/bin/extra"]
"""


def load(tmp_path: Path, text: str = TEXT):  # type: ignore[no-untyped-def]
    (tmp_path / "stack.toml").write_text(text)
    return load_stack(tmp_path)


def test_shipped_stack_is_valid_and_its_build_image_has_all_of_the_run_image() -> None:
    stack = load_stack(shared("stacks") / "bookworm")
    assert set(stack.run.packages) < set(stack.build.packages)
    assert stack.user.uid >= 1000
    assert {"gcc", "build-essential", "git"}.isdisjoint(stack.run.packages)


def test_launcher_sources_come_with_the_package() -> None:
    assert {path.name for path in launcher_sources()} >= {"launcher.c", "toml.c", "env.c"}


def test_packages_are_sorted_and_drops_are_joined(tmp_path: Path) -> None:
    stack = load(tmp_path)
    assert stack.run.packages == ("bash", "zlib1g")
    assert stack.build.drop == ("dev/*", "usr/bin/extra")
    assert stack.reference("run").familiar == "pylife/tiny-run:latest"


def test_key_follows_what_decides_the_image(tmp_path: Path) -> None:
    stack = load(tmp_path)
    assert stack.key("build") != stack.key("run")
    assert replace(stack, mirror="http://mirror.test").key("run") == stack.key("run")
    more = replace(stack, run=replace(stack.run, packages=("bash",)))
    assert more.key("run") != stack.key("run")
    assert more.key("build") != stack.key("build"), "a build image says what its run image has"
    tools = replace(stack, build=replace(stack.build, packages=("bash", "make")))
    assert tools.key("run") == stack.key("run"), "the other image stays as it is"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("drop = [", "dropp = [", "did you mean 'drop'"),
        ("[run]\npackages", "[run]\npackage", "did you mean 'packages'"),
        ('"gcc"', '"gcc; rm -rf /"', "no name of a Debian package"),
        ('"gcc"', '"--include=x"', "no name of a Debian package"),
        ("uid = 1000", "uid = 0", "between 1 and 65533"),
        ('home = "/home/cnb"', 'home = "home"', "absolute path"),
        ('name = "tiny"', 'name = "Tiny"', "lower-case"),
        ('suite = "bookworm"', 'suite = "--hook=x"', "no name of a Debian suite"),
        ('id = "org.example.tiny"', "", "required"),
        ("[build]", "[build", "not valid TOML"),
    ],
)
def test_a_wrong_definition_names_the_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(BadStack) as caught:
        load(tmp_path, TEXT.replace(old, new))
    assert says in str(caught.value)
