"""An image of a stack on another stack's image: a layer with its user, and a key that follows what is below."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifecycle.archive import Entry, Kind, Member, read_tar
from lifecycle.builder.definition import StackDefinition, load_stack
from lifecycle.builder.stack import KEY_LABEL, PACKAGES_LABEL, create_stack, find_current
from lifecycle.events import NullSink
from lifecycle.image import Image, Ports, StorePlace, append, empty, save, with_labels, write_layer
from lifecycle.image.validate import validate
from lifecycle.oci import History, ImageConfig, Platform
from lifecycle.store import LocalStore

BASE = """
id = "org.example.base"
name = "base"
suite = "bookworm"
distro = { name = "debian", version = "12" }
user = { name = "cnb", uid = 1000, gid = 1000, home = "/home/cnb" }
env = { PATH = "/usr/bin", STACK = "none" }
[run]
packages = ["zlib1g"]
[build]
packages = ["gcc"]
"""
UPPER = """
like = "../base"
id = "org.example.upper"
name = "upper"
user = { name = "slug", uid = 2000, gid = 2001, home = "/app" }
env = { STACK = "heroku-22" }
[run]
packages = ["curl"]
[build]
base = "../base"
"""
FILES = {
    "etc/group": "root:x:0:\ncnb:x:1000:\n",
    "etc/gshadow": "root:*::\ncnb:!::\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\ncnb:x:1000:1000::/home/cnb:/bin/bash\n",
    "etc/shadow": "root:*:3652:0:99999:7:::\ncnb:!:3652:0:99999:7:::\n",
    "usr/bin/gcc": "gcc\n",
}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def stack(tmp_path: Path) -> StackDefinition:
    for name, text in (("base", BASE), ("upper", UPPER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stack.toml").write_text(text)
    return load_stack(tmp_path / "upper")


def keep_base(store: LocalStore, stack: StackDefinition, gcc: str = "gcc\n") -> Image:
    """The base's build image, as if it had been made of packages."""
    base = stack.build.base
    assert base is not None
    members: list[Member] = [
        (Entry(name.encode(), Kind.FILE, 0o640 if "shadow" in name else 0o644, size=len(text)), text.encode())
        for name, text in {**FILES, "usr/bin/gcc": gcc}.items()
    ]
    config = ImageConfig.empty(Platform.host()).with_env({**base.env, "CNB_USER_ID": "1000"})
    image = append(empty(config), [(write_layer(members, store), History("1980-01-01T00:00:01Z", "base"))])
    image = with_labels(image, {KEY_LABEL: base.key("build"), PACKAGES_LABEL: '{"gcc":"12"}'})
    save(image, StorePlace(base.reference("build")), Ports(store), NullSink())
    return image


def make(store: LocalStore, stack: StackDefinition) -> Image:
    return create_stack(stack, store, NullSink(), kinds=("build",))["build"]


def test_it_is_the_base_with_another_user(store: LocalStore, stack: StackDefinition) -> None:
    base = keep_base(store, stack)
    image = make(store, stack)
    assert not list(validate(image))
    assert [layer.diff_id for layer in image.layers[:-1]] == [layer.diff_id for layer in base.layers]
    with image.layers[-1].uncompressed() as tar:
        found = {entry.name.decode(): (entry, stream.read().decode()) for entry, stream in read_tar(tar)}
    assert found["etc/passwd"][1].splitlines()[1:] == [
        "cnb:x:1000:1000::/home/cnb:/bin/bash",
        "slug:x:2000:2001::/app:/bin/bash",
    ]
    assert found["etc/group"][1].endswith("\nslug:x:2001:\n")
    assert (found["etc/shadow"][0].mode, found["etc/shadow"][1].splitlines()[-1][:7]) == (0o640, "slug:!:")
    home = found["app"][0]
    assert (home.kind, home.uid, home.gid) == (Kind.DIR, 2000, 2001)
    assert found["usr/share/pylife/run-packages"][1] == "curl\nzlib1g\n", "its own run image's, not the base's"
    assert "usr/bin/gcc" not in found


def test_its_configuration_is_its_own(store: LocalStore, stack: StackDefinition) -> None:
    keep_base(store, stack)
    config = make(store, stack).config
    assert config.user == "2000:2001"
    assert config.env["STACK"] == "heroku-22"
    assert (config.env["PATH"], config.env["CNB_USER_ID"], config.env["CNB_GROUP_ID"]) == ("/usr/bin", "2000", "2001")
    assert config.labels["io.buildpacks.base.id"] == "org.example.upper"
    assert json.loads(config.labels[PACKAGES_LABEL]) == {"gcc": "12"}


def test_a_user_of_that_name_is_replaced(tmp_path: Path, store: LocalStore, stack: StackDefinition) -> None:
    text = UPPER.replace('name = "slug"', 'name = "cnb"')
    (tmp_path / "upper" / "stack.toml").write_text(text)
    stack = load_stack(tmp_path / "upper")
    keep_base(store, stack)
    with make(store, stack).layers[-1].uncompressed() as tar:
        found = {entry.name: stream.read() for entry, stream in read_tar(tar)}
    assert [row for row in found[b"etc/passwd"].splitlines() if row.startswith(b"cnb:")] == [
        b"cnb:x:2000:2001::/app:/bin/bash"
    ]


def test_it_is_current_until_the_base_is_another(tmp_path: Path, store: LocalStore, stack: StackDefinition) -> None:
    assert find_current(stack, "build", store) is None
    keep_base(store, stack)
    image = make(store, stack)
    other = LocalStore(tmp_path / "other")
    keep_base(other, stack)
    assert make(other, stack).digest == image.digest, "same inputs, same digest"
    found = find_current(stack, "build", store)
    assert found is not None
    assert found.digest == image.digest
    keep_base(store, stack, gcc="a new gcc\n")  # pylife stack create --force: the same definition, newer packages
    assert find_current(stack, "build", store) is None
    changed = make(store, stack)
    assert changed.layers[0].diff_id != image.layers[0].diff_id
    assert changed.layers[1].diff_id == image.layers[1].diff_id
