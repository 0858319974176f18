"""Servers of other makers that the functional tests talk to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from elsewhere import installed_for_everybody
from pylife_command import BUILDER_IMAGES, HOME, SLUG_IMAGES, Pylife, copy_images

# "ann" with the password "pw:with colon", as `htpasswd -B` writes it
HTPASSWD = "ann:$2y$05$abcdefghijklmnopqrstuu35PHGCoAoBdD6PqTpBAJcCdcVM4tRmO\n"
USER, PASSWORD = "ann", "pw:with colon"

Tool = Callable[[str], str]


@dataclass(frozen=True)
class RegistryProcess:
    """A running docker-registry: ``address`` is ``host:port``, ``data`` the folder it keeps things in."""

    address: str
    data: Path
    process: subprocess.Popen[bytes]


@pytest.fixture
def start_registry(tool: Tool, tmp_path: Path) -> Iterator[Callable[..., RegistryProcess]]:
    """Starts docker-registry on a free loopback port; ``guarded`` with Basic authentication. Stopped with the test."""
    started: list[RegistryProcess] = []

    def start(*, guarded: bool = False, deletable: bool = True) -> RegistryProcess:
        program = tool("docker-registry")
        folder = tmp_path / f"docker-registry-{len(started)}"
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        settings = [
            "version: 0.1",
            "log: {level: error}",
            "storage:",
            f"  filesystem: {{rootdirectory: {folder / 'data'}}}",
            f"  delete: {{enabled: {str(deletable).lower()}}}",
            f"http: {{addr: '127.0.0.1:{port}', secret: test}}",
        ]
        if guarded:
            (folder / "htpasswd").write_text(HTPASSWD)
            settings.append(f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}")
        (folder / "config.yml").write_text("\n".join(settings) + "\n")
        log = open(folder / "log", "wb")  # noqa: SIM115 - the process keeps it
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
        log.close()
        server = RegistryProcess(f"127.0.0.1:{port}", folder / "data", process)
        started.append(server)
        _wait(server, folder / "log")
        return server

    yield start
    for server in started:
        server.process.terminate()
        server.process.wait(timeout=10)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PYLIFE_HOME of this session, with the images that are there; of several sessions at once (pytest -n), all
    but the first have one of their own, so that a test may look at the whole of it."""
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        return HOME
    known = [image["name"] for image in json.loads(Pylife(HOME)("images", "--json").out)]
    names = [name for name in (*BUILDER_IMAGES, *SLUG_IMAGES) if f"{name}:latest" in known]
    return copy_images(HOME, tmp_path_factory.mktemp("session") / "home", names)


@pytest.fixture(scope="session")
def public_place() -> Iterator[Path]:
    """A directory that every user may read, with pylife installed in its ``venv``."""
    with installed_for_everybody() as place:
        yield place


@pytest.fixture
def registry_server(start_registry: Callable[..., RegistryProcess]) -> RegistryProcess:
    """A docker-registry that lets everybody in and allows deletion."""
    return start_registry()


@pytest.fixture
def guarded_registry_server(start_registry: Callable[..., RegistryProcess]) -> RegistryProcess:
    """A docker-registry that wants USER and PASSWORD by Basic authentication."""
    return start_registry(guarded=True)


def _wait(server: RegistryProcess, log: Path) -> None:
    deadline = time.monotonic() + 20
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            direct.open(f"http://{server.address}/v2/", timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"docker-registry did not start: {log.read_text(errors='replace')}")
