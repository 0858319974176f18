"""Finding credentials where docker, podman and the CNB platform keep them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from lifecycle.registry import default_keychain, keychain
from lifecycle.registry.keychain import BadAuthFile, BadAuthVariable, FileKeychain, HelperFailed, auth_files


def auth(name: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


def config(path: Path, data: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def helper(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "bin"


def test_nothing_there_is_anonymous() -> None:
    assert default_keychain().resolve("reg.example", "app") is None


def test_files_are_searched_in_order(tmp_path: Path) -> None:
    environ = {
        "HOME": "/home/ann",
        "REGISTRY_AUTH_FILE": "/a.json",
        "DOCKER_CONFIG": "/d",
        "XDG_RUNTIME_DIR": "/run/1",
        "XDG_CONFIG_HOME": "/cfg",
    }
    expected = ["/a.json", "/d/config.json", "/run/1/containers/auth.json", "/cfg/containers/auth.json"]
    assert [str(path) for path in auth_files(environ)] == expected
    assert [str(path) for path in auth_files({"HOME": "/h"})] == [
        "/h/.docker/config.json",
        "/h/.config/containers/auth.json",
    ]


def test_the_first_file_that_knows_wins(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    config(tmp_path / ".docker/config.json", {"auths": {"a.example": auth("docker", "1")}})
    config(tmp_path / "run/containers/auth.json", {"auths": {"a.example": auth("p", "2"), "b.example": auth("b", "3")}})
    found = default_keychain(environ)
    first, second = found.resolve("a.example", "x"), found.resolve("b.example", "x")
    assert first and second and (first.username, second.username) == ("docker", "b")
    assert first.origin == str(tmp_path / ".docker/config.json")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (auth("ann", "pass:word"), ("ann", "pass:word", "", "")),
        ({"username": "ann", "password": "p"}, ("ann", "p", "", "")),
        ({"auth": "", "identitytoken": "idt"}, ("", "", "idt", "")),
        ({**auth("00000000", ""), "identitytoken": "idt"}, ("00000000", "", "idt", "")),
        ({"registrytoken": "rt"}, ("", "", "", "rt")),
    ],
)
def test_every_form_of_an_entry_is_read(tmp_path: Path, entry: object, expected: tuple[str, ...]) -> None:
    found = FileKeychain(config(tmp_path / "c.json", {"auths": {"reg.example:5000": entry}})).resolve(
        "reg.example:5000", "app"
    )
    assert found and (found.username, found.password, found.identity_token, found.registry_token) == expected


def test_an_empty_entry_is_no_credential(tmp_path: Path) -> None:
    assert FileKeychain(config(tmp_path / "c.json", {"auths": {"r.example": {}}})).resolve("r.example", "a") is None


@pytest.mark.parametrize("key", ["https://r.example", "https://r.example/", "http://r.example/v1/", "r.example/v2"])
def test_keys_written_as_addresses_are_understood(tmp_path: Path, key: str) -> None:
    assert FileKeychain(config(tmp_path / "c.json", {"auths": {key: auth("a", "b")}})).resolve("r.example", "x/y")


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_is_known_by_its_old_name(tmp_path: Path, key: str) -> None:
    keys = FileKeychain(config(tmp_path / "c.json", {"auths": {key: auth("a", "b")}}))
    assert keys.resolve("docker.io", "library/debian")
    assert keys.resolve("quay.io", "library/debian") is None


def test_the_longest_repository_key_wins(tmp_path: Path) -> None:
    keys = FileKeychain(
        config(
            tmp_path / "c.json",
            {
                "auths": {
                    "r.example": auth("host", "x"),
                    "r.example/team": auth("team", "x"),
                    "r.example/team/app": auth("app", "x"),
                }
            },
        )
    )

    def who(repository: str) -> str | None:
        found = keys.resolve("r.example", repository)
        return found.username if found else None

    assert [who(name) for name in ("team/app", "team/other", "teamwork", "x")] == ["app", "team", "host", "host"]


def test_a_helper_is_asked_for_its_registry(tmp_path: Path, bin: Path) -> None:
    helper(bin, "vault", """read server; echo "{\\"Username\\":\\"ann\\",\\"Secret\\":\\"for $server $1\\"}" """)
    keys = FileKeychain(config(tmp_path / "c.json", {"credHelpers": {"r.example": "vault"}}))
    found = keys.resolve("r.example", "app")
    assert found and (found.username, found.password) == ("ann", "for r.example get")
    assert found.origin == "docker-credential-vault"
    assert keys.resolve("other.example", "app") is None


def test_the_store_is_asked_with_hubs_old_name(tmp_path: Path, bin: Path) -> None:
    helper(bin, "store", """read server; echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"$server\\"}" """)
    found = FileKeychain(config(tmp_path / "c.json", {"credsStore": "store", "auths": {"docker.io": {}}})).resolve(
        "docker.io", "library/debian"
    )
    assert found and found.identity_token == "https://index.docker.io/v1/"


def test_a_helper_that_knows_nothing_is_anonymous(tmp_path: Path, bin: Path) -> None:
    helper(bin, "none", "echo credentials not found in native keychain; exit 1")
    assert FileKeychain(config(tmp_path / "c.json", {"credsStore": "none"})).resolve("r.example", "a") is None


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo the vault is sealed >&2; exit 3", "the vault is sealed"),
        ("exit 4", "exit code 4"),
        ("echo '{\"Username\": 1}'", "not a JSON object with Username and Secret"),
        ("echo topsecret", "not a JSON object"),
    ],
)
def test_a_failing_helper_is_told(tmp_path: Path, bin: Path, script: str, why: str) -> None:
    helper(bin, "bad", script)
    with pytest.raises(HelperFailed, match=why) as caught:
        FileKeychain(config(tmp_path / "c.json", {"credsStore": "bad"})).resolve("r.example", "a")
    assert "topsecret" not in str(caught.value)


def test_a_missing_helper_is_told_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(HelperFailed, match=r"docker-credential-absent, named in .*c\.json, is not installed"):
        FileKeychain(config(tmp_path / "c.json", {"credsStore": "absent"})).resolve("r.example", "a")


def test_a_hanging_helper_is_given_up(tmp_path: Path, bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keychain, "HELPER_SECONDS", 0.2)
    helper(bin, "slow", "exec sleep 5")
    with pytest.raises(HelperFailed, match="did not finish"):
        FileKeychain(config(tmp_path / "c.json", {"credsStore": "slow"})).resolve("r.example", "a")


def test_a_helper_name_with_a_path_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(BadAuthFile, match="no name of a credential helper"):
        FileKeychain(config(tmp_path / "c.json", {"credsStore": "../../bin/sh"})).resolve("r.example", "a")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"auths": {\n  "r.example": {"auth": }}}', "line 2, column 25"),
        ("[]", "not a JSON object"),
        ('{"auths": []}', None),
        ('{"auths": [1]}', "auths is not a JSON object"),
        ('{"auths": {"r.example": "x"}}', "auths → r.example is not a JSON object"),
        ('{"auths": {"r.example": {"auth": "no-base64!"}}}', "auths → r.example → auth is not base64"),
        ('{"auths": {"r.example": {"auth": 5}}}', "auths → r.example → auth is not a string"),
        ('{"credHelpers": "x"}', "credHelpers is not a JSON object"),
        ("", None),
    ],
)
def test_a_broken_file_is_named_with_the_place(tmp_path: Path, text: str, why: str | None) -> None:
    keys = FileKeychain(config(tmp_path / "c.json", text))
    if why is None:
        assert keys.resolve("r.example", "a") is None
        return
    with pytest.raises(BadAuthFile, match=why) as caught:
        keys.resolve("r.example", "a")
    assert str(tmp_path / "c.json") in str(caught.value)


def test_the_cnb_variable_comes_before_files(tmp_path: Path) -> None:
    config(tmp_path / ".docker/config.json", {"auths": {"a.example": auth("file", "1")}})
    basic = auth("env", "p:w")["auth"]
    value = {"a.example": f"Basic {basic}", "b.example": "bearer tok", "c.example": "X-Identity idt"}
    found = default_keychain({"HOME": str(tmp_path), "CNB_REGISTRY_AUTH": json.dumps(value)})
    a, b, c = (found.resolve(host, "x") for host in ("a.example", "b.example", "c.example"))
    assert a and (a.username, a.password, a.origin) == ("env", "p:w", "CNB_REGISTRY_AUTH")
    assert b and b.registry_token == "tok"
    assert c and c.identity_token == "idt"


@pytest.mark.parametrize("value", ["{", "[]", '{"r.example": "Digest x"}', '{"r.example": 5}', '{"r": "Basic %%%"}'])
def test_a_broken_cnb_variable_is_told_without_its_value(value: str) -> None:
    with pytest.raises(BadAuthVariable, match="CNB_REGISTRY_AUTH") as caught:
        default_keychain({"HOME": "/nowhere", "CNB_REGISTRY_AUTH": value})
    assert "%%%" not in str(caught.value) and "Digest x" not in str(caught.value)
