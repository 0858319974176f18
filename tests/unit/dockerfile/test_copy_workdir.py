"""WORKDIR makes what is missing, for the user of the moment."""

from __future__ import annotations

import pytest
from copy_trees import MemoryTree

from lifecycle.dockerfile.copying import workdir
from lifecycle.errors import PylifeError

PASSWD = "f 0644 etc/passwd = app:x:1000:1005::/:/bin/sh\\n"


@pytest.mark.parametrize(
    ("path", "user", "target", "result"),
    [
        ("/app", "", "", "d 0755 app"),
        ("/a/b/c", "5:6", "", "d 0755 a 5:6\nd 0755 a/b 5:6\nd 0755 a/b/c 5:6"),
        ("/a/b", "5", "d 0700 a 1:1", "d 0700 a 1:1\nd 0755 a/b 5:5"),
        ("/a", "5", "d 0700 a 1:1", ""),
        ("/", "5", "", ""),
        ("/link/x", "", "d 0700 real\nl link -> real", "d 0700 real\nd 0755 real/x"),
        ("/link", "", "l link -> /var/lib", "d 0755 var\nd 0755 var/lib"),
        ("/etc/app", "app", PASSWD, "d 0755 etc\nd 0755 etc/app 1000:1005"),
        ("/there", "nobody-knows", "d 0755 there", ""),
    ],
)
def test_missing_directories_are_made(path: str, user: str, target: str, result: str) -> None:
    assert MemoryTree().apply(workdir(path, user, MemoryTree.of(target))).render() == result


@pytest.mark.parametrize(
    ("path", "user", "target", "code"),
    [
        ("/a", "", "f 0644 a", "copy.not-a-directory"),
        ("/a/b", "", "f 0644 a", "copy.not-a-directory"),
        ("/a", "app", "", "copy.unknown-user"),
        ("/a/b", "", "l a -> a", "copy.link-loop"),
    ],
)
def test_what_is_in_the_way_is_an_error(path: str, user: str, target: str, code: str) -> None:
    with pytest.raises(PylifeError) as caught:
        workdir(path, user, MemoryTree.of(target))
    assert caught.value.code == code
