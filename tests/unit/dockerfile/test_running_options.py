"""--secret, --ssh and USER: what they name, and what is said when they name nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import Case, load_cases

from lifecycle.dockerfile.running import Secret, parse_secret, parse_ssh
from lifecycle.dockerfile.running.errors import BadSecret, BadSsh, UnknownUser
from lifecycle.dockerfile.running.identity import find_identity
from lifecycle.dockerfile.running.secrets import Mask

PASSWD = """\
# accounts
root:x:0:0:root:/root:/bin/sh
broken
app:x:1000:1001:An app:/home/app:/bin/sh
strange.name_1$:x:1005:1005::/:/bin/sh
homeless:x:1006:1006
bad:x:abc:1::/:
"""
GROUP = "root:x:0:\nwheel:x:10:root,app\nwork:x:20:app\napp:x:1001:app\nbroken\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with files, a directory and two sockets."""
    monkeypatch.chdir(tmp_path)
    for name in ("key.txt", "a", "a,b.txt"):
        (tmp_path / name).write_text("value")
    (tmp_path / "long.txt").write_bytes(b"x" * 512_001)
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as agent, socket.socket(socket.AF_UNIX) as other:
        agent.bind("agent")
        other.bind("other")
        yield tmp_path


@pytest.mark.parametrize("case", load_cases("dockerfile/running/secrets"), ids=str)
def test_secret_option(case: Case, place: Path) -> None:
    environment = {"TOKEN": "t"}
    option = case.sections["option"].strip()
    if "error" in case.sections:
        with pytest.raises(BadSecret) as caught:
            parse_secret(option, environment)
        assert case.sections["error"].strip() in str(caught.value)
        return
    secret = parse_secret(option, environment)
    shown = f"variable {secret.variable}" if secret.variable else f"file {secret.path}"
    assert shown == case.sections["secret"].strip()
    assert secret.read(environment) in (b"t", b"value")


@pytest.mark.parametrize("case", load_cases("dockerfile/running/ssh"), ids=str)
def test_ssh_option(case: Case, place: Path) -> None:
    environment = {"SSH_AUTH_SOCK": "agent"}
    option = case.sections["option"].strip()
    if "error" in case.sections:
        with pytest.raises(BadSsh) as caught:
            parse_ssh(option, environment)
        assert case.sections["error"].strip() in str(caught.value)
        return
    source = parse_ssh(option, environment)
    rest = ["socket", source.socket] if source.socket else ["keys", *source.keys]
    assert [source.id, *rest] == case.sections["source"].split()


def test_ssh_without_an_agent_says_so() -> None:
    with pytest.raises(BadSsh, match="SSH_AUTH_SOCK is not set"):
        parse_ssh("default", {})


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("image")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    return root


@pytest.mark.parametrize("case", load_cases("dockerfile/running/users"), ids=str)
def test_user(case: Case, image: Path) -> None:
    user = case.sections["user"].strip()
    if "error" in case.sections:
        with pytest.raises(UnknownUser) as caught:
            find_identity(str(image), user)
        assert case.sections["error"].strip() in str(caught.value)
        return
    who = find_identity(str(image), user)
    groups = ",".join(map(str, who.groups)) or "-"
    assert f"{who.uid} {who.gid} {groups} {who.home}" == case.sections["identity"].strip()


def test_accounts_are_not_read_through_a_link_to_the_host(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("spy:x:7:7::/:/bin/sh\n")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").symlink_to(outside)
    with pytest.raises(UnknownUser, match="no /etc/passwd"):
        find_identity(str(root), "spy")
    assert find_identity(str(root), "").home == "/"


def test_account_file_that_is_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    import os

    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    assert find_identity(str(tmp_path), "5").uid == 5


def test_each_line_of_a_secret_is_masked_and_short_ones_are_not() -> None:
    mask = Mask([b"first line\nsecond\nno\n", b"abc"])
    assert mask("a first line b second") == "a *** b ***"
    assert mask("no abc") == "no abc"


def test_longer_secret_is_masked_before_its_part() -> None:
    assert Mask([b"pass", b"password"])("password pass") == "*** ***"


def test_secret_does_not_show_its_value() -> None:
    assert "value" not in repr(Secret("id", "path"))
