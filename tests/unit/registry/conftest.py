"""A real registry server on loopback, and clients for it that do not wait long between tries."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle.events import RecordingSink
from lifecycle.oci import Reference
from lifecycle.registry import Anonymous, Keychain, RegistryClient, RegistrySettings
from lifecycle.testing.registry import FaultyRegistry

FAST = RegistrySettings(backoff=0.002, longest_backoff=0.005, connect_timeout=5.0, stall_timeout=5.0)
MakeClient = Callable[..., RegistryClient]


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "CNB_REGISTRY_AUTH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as server:
        yield server


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def make_client(sink: RecordingSink) -> Iterator[MakeClient]:
    made: list[RegistryClient] = []

    def make(keychain: Keychain | None = None, **settings: object) -> RegistryClient:
        client = RegistryClient(dataclasses.replace(FAST, **settings), keychain or Anonymous(), sink)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> RegistryClient:
    return make_client()


@pytest.fixture
def app(registry: FaultyRegistry) -> Reference:
    return Reference.parse(f"{registry.address}/team/app:1")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost and 127.0.0.1 that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "server.crt", folder / "server.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=pylife-test"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(certificate), *names],
        check=True,
        capture_output=True,
    )
    return certificate, key
