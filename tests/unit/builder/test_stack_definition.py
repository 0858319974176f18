from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.builder.definition import BadStack, StackDefinition, load_stack
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


UPPER = """
like = "../tiny"
id = "org.example.upper"
name = "upper"
env = { STACK = "x" }
user = { name = "slug", uid = 2000, gid = 2000, home = "/app" }
pylife = true
[run]
packages = ["curl", "bash"]
[build]
base = "../tiny"
"""


def upper(tmp_path: Path, text: str = UPPER, below: str = TEXT) -> StackDefinition:
    for name, content in (("tiny", below), ("upper", text)):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "stack.toml").write_text(content)
    return load_stack(tmp_path / "upper")


def test_a_stack_like_another_adds_to_its_lists_and_replaces_its_values(tmp_path: Path) -> None:
    stack = upper(tmp_path, below='env = { LANG = "C.UTF-8", STACK = "y" }\n' + TEXT.lstrip())
    assert (stack.suite, stack.distro) == ("bookworm", ("debian", "12"))
    assert stack.run.packages == ("bash", "curl", "zlib1g")
    assert stack.run.drop == ("dev/*",)
    assert stack.env == {"LANG": "C.UTF-8", "STACK": "x"}
    assert (stack.user.name, stack.user.uid, stack.pylife) == ("slug", 2000, True)


def test_an_image_with_a_base_is_nothing_but_that(tmp_path: Path) -> None:
    stack = upper(tmp_path)
    assert stack.build.base == load_stack(tmp_path / "tiny")
    assert stack.build.packages == stack.build.drop == stack.build.commands == ()
    assert stack.run.base is None


def test_key_follows_the_base_of_the_image_alone(tmp_path: Path) -> None:
    before = upper(tmp_path)
    after = upper(tmp_path, below=TEXT.replace('["gcc"]', '["gcc", "make"]'))
    assert after.key("build") != before.key("build")
    assert after.key("run") == before.key("run")
    plain = upper(tmp_path, UPPER.replace("pylife = true", ""))
    assert plain.key("build") == before.key("build"), "what is put on top has a key of its own"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('base = "../tiny"', 'base = "../tiny"\npackages = ["gcc"]', "keep one of the two"),
        ('base = "../tiny"', 'base = "."', "in a circle"),
        ('like = "../tiny"', 'like = "../upper"', "in a circle"),
        ('like = "../tiny"', 'like = "../none"', "cannot be read"),
        ("pylife = true", 'pylife = "yes"', "must be a boolean"),
    ],
)
def test_a_wrong_neighbour_is_told(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(BadStack) as caught:
        upper(tmp_path, UPPER.replace(old, new))
    assert says in str(caught.value)


def test_stacks_that_name_each_other_are_told(tmp_path: Path) -> None:
    below = 'like = "../upper"\n' + TEXT.lstrip()
    with pytest.raises(BadStack, match="in a circle"):
        upper(tmp_path, below=below)


def test_the_shipped_slug_stack_stands_on_the_build_image_of_builders() -> None:
    stack = load_stack(shared("stacks") / "slug")
    bookworm = load_stack(shared("stacks") / "bookworm")
    assert stack.build.base == bookworm
    assert set(bookworm.run.packages) < set(stack.run.packages)
    assert {"curl", "git", "openssh-client", "procps", "python3", "xz-utils"} <= set(stack.run.packages)
    assert (stack.user.name, stack.user.uid, stack.user.gid, stack.user.home) == ("slug", 2000, 2000, "/app")
    assert stack.env["STACK"] == "heroku-22"
