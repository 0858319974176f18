"""Logging in and out: tried first, kept where docker keeps it, nothing else touched."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_keychain import auth, config, helper

from lifecycle.events import Message, RecordingSink
from lifecycle.registry import RegistrySettings, default_keychain
from lifecycle.registry.errors import Unauthorized
from lifecycle.registry.gate import BasicGate, BearerGate
from lifecycle.registry.keychain import BadAuthFile, HelperFailed
from lifecycle.registry.login import login, logout
from lifecycle.testing.registry import FaultyRegistry

SETTINGS = RegistrySettings(backoff=0.002, longest_backoff=0.005)


@pytest.fixture(params=["basic", "bearer"])
def guarded(request: pytest.FixtureRequest) -> Iterator[FaultyRegistry]:
    gate = BasicGate({"ann": "pw"}) if request.param == "basic" else BearerGate({"ann": "pw"})
    with FaultyRegistry(gate=gate) as server:
        yield server


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}


def test_login_keeps_what_the_registry_took(guarded: FaultyRegistry, environ: dict[str, str], tmp_path: Path) -> None:
    place = login(guarded.address, "ann", "pw", settings=SETTINGS, environ=environ)
    assert place == str(tmp_path / ".docker/config.json")
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    found = default_keychain(environ).resolve(guarded.address, "any/thing")
    assert found and (found.username, found.password) == ("ann", "pw")
    assert os.listdir(tmp_path / ".docker") == ["config.json"]


def test_refused_credentials_are_not_kept(guarded: FaultyRegistry, environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Unauthorized) as caught:
        login(guarded.address, "ann", "wrong-pw", settings=SETTINGS, environ=environ)
    assert "wrong-pw" not in str(caught.value)
    assert not (tmp_path / ".docker").exists()


def test_other_content_of_the_file_stays(guarded: FaultyRegistry, environ: dict[str, str], tmp_path: Path) -> None:
    before = {"auths": {"other.example": auth("o", "p")}, "HttpHeaders": {"X": "y"}, "detachKeys": "ctrl-q"}
    path = config(tmp_path / ".docker/config.json", before)
    login(guarded.address, "ann", "pw", settings=SETTINGS, environ=environ)
    data = json.loads(path.read_text())
    assert data.pop("auths") == {**before["auths"], guarded.address: auth("ann", "pw")}  # type: ignore[dict-item]
    assert data == {"HttpHeaders": {"X": "y"}, "detachKeys": "ctrl-q"}
    assert logout(guarded.address, environ=environ) == str(path)
    assert json.loads(path.read_text()) == before
    assert logout(guarded.address, environ=environ) is None


def test_a_linked_file_stays_a_link(guarded: FaultyRegistry, environ: dict[str, str], tmp_path: Path) -> None:
    real = config(tmp_path / "dotfiles/config.json", {})
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").symlink_to(real)
    login(guarded.address, "ann", "pw", settings=SETTINGS, environ=environ)
    assert (tmp_path / ".docker/config.json").is_symlink()
    assert guarded.address in json.loads(real.read_text())["auths"]


def test_the_named_auth_file_is_written(guarded: FaultyRegistry, environ: dict[str, str], tmp_path: Path) -> None:
    environ["REGISTRY_AUTH_FILE"] = str(tmp_path / "run/auth.json")
    assert login(guarded.address, "ann", "pw", settings=SETTINGS, environ=environ) == str(tmp_path / "run/auth.json")


def test_a_store_gets_the_secret_and_the_file_does_not(
    guarded: FaultyRegistry, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    helper(tmp_path / "bin", "box", f"cat > {tmp_path}/$1.in")
    path = config(tmp_path / ".docker/config.json", {"credsStore": "box"})
    assert login(guarded.address, "ann", "pw", settings=SETTINGS, environ=environ) == "docker-credential-box"
    stored = json.loads((tmp_path / "store.in").read_text())
    assert stored == {"ServerURL": guarded.address, "Username": "ann", "Secret": "pw"}
    assert json.loads(path.read_text()) == {"credsStore": "box"}
    assert logout(guarded.address, environ=environ) == "docker-credential-box"
    assert (tmp_path / "erase.in").read_text() == guarded.address


def test_a_store_that_fails_is_told(
    guarded: FaultyRegistry, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    helper(tmp_path / "bin", "box", "echo locked; exit 1")
    config(tmp_path / ".docker/config.json", {"credsStore": "box"})
    with pytest.raises(HelperFailed, match="locked"):
        login(guarded.address, "ann", "pw", settings=SETTINGS, environ=environ)


def test_a_registry_that_asks_nobody_is_said(environ: dict[str, str], registry: FaultyRegistry) -> None:
    sink = RecordingSink()
    login(registry.address, "ann", "pw", settings=SETTINGS, environ=environ, sink=sink)
    assert any(isinstance(event, Message) and "asks nobody" in event.text for event in sink.events)


def test_a_broken_file_is_not_overwritten(guarded: FaultyRegistry, environ: dict[str, str], tmp_path: Path) -> None:
    path = config(tmp_path / ".docker/config.json", "{broken")
    with pytest.raises(BadAuthFile, match="line 1"):
        login(guarded.address, "ann", "pw", settings=SETTINGS, environ=environ)
    assert path.read_text() == "{broken"


def test_logout_names_another_file_that_still_knows(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    config(tmp_path / "run/containers/auth.json", {"auths": {"r.example": auth("a", "b")}})
    sink = RecordingSink()
    assert logout("r.example", environ=environ, sink=sink) is None
    assert any(isinstance(event, Message) and "auth.json still holds" in event.text for event in sink.events)


def test_docker_hub_is_kept_under_its_old_name(tmp_path: Path, environ: dict[str, str]) -> None:
    path = config(tmp_path / ".docker/config.json", {"auths": {"https://index.docker.io/v1/": auth("a", "b")}})
    assert logout("docker.io", environ=environ) == str(path)
    assert dataclasses.is_dataclass(SETTINGS)
