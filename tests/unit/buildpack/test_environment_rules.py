from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from case_file import cases, lines, sections

from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.environment import Environment, launch_environment, read_env_dir
from lifecycle.buildpack.execute import environment_after
from lifecycle.buildpack.layers import read_layers
from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.errors import PylifeError


def write_files(root: Path, text: str) -> None:
    for line in lines(text):
        if " -> " in line:
            name, _, target = line.partition(" -> ")
            place = root / name.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
            continue
        name, _, literal = line.partition(" = ")
        value = ast.literal_eval(literal)
        place = root / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(value if isinstance(value, bytes) else value.encode())


@pytest.mark.parametrize("path", cases("environment"), ids=lambda path: path.stem)
def test_environment_case(path: Path, tmp_path: Path) -> None:
    text = sections(path)
    write_files(tmp_path, text.get("files", ""))
    root = BuildRoot(tmp_path)
    start = {line.partition("=")[0]: line.partition("=")[2] for line in lines(text.get("env", ""))}
    env = Environment(start)
    verb, *words = text["run"].split()
    run: dict[str, Callable[[], Environment]] = {
        "files": lambda: env.with_files(read_env_dir(root, words[0])),
        "build": lambda: environment_after(
            root, env, read_layers(root, "/layers", GroupElement(words[0].rpartition("/")[2], "1.0.0"))
        ),
        "launch": lambda: launch_environment(root, start, words[1:], "" if words[0] == "-" else words[0]),
        "platform": lambda: env.with_platform(root, words[0]),
        "operator": lambda: env.with_operator(root, words[0]),
    }
    try:
        after = run[verb]().variables
    except PylifeError as error:
        found = [f"error: {error}"]
    else:
        found = [f"{name}={ascii(after[name])[1:-1]}" for name in sorted(after)]
    assert found == lines(text["expect"])


def test_only_known_variables_are_inherited() -> None:
    environ = {"PATH": "/bin", "HOME": "/h", "https_proxy": "p", "SECRET": "s", "CNB_REGISTRY_AUTH": "t", "CPATH": "/c"}
    assert set(Environment.inherited(environ).variables) == {"PATH", "HOME", "https_proxy", "CPATH"}


def test_link_out_of_the_root_stays_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "e").mkdir(parents=True)
    (tmp_path / "secret").write_text("host")
    (root / "e" / "A").symlink_to("../../../../../secret")
    (root / "secret").write_text("inside")
    assert [item.value for item in read_env_dir(BuildRoot(root), "/e")] == ["inside"]


def test_link_loop_ends_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(BadFile, match="too many symbolic links"):
        BuildRoot(tmp_path).read("/a")


def test_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "launch.toml")
    with pytest.raises(BadFile, match="not a regular file"):
        BuildRoot(tmp_path).read("/launch.toml")


def test_write_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    BuildRoot(tmp_path).write("/link", b"new")
    assert (tmp_path / "target").read_text() == "kept"
    assert (tmp_path / "link").read_text() == "new"
    assert not (tmp_path / "link").is_symlink()
