"""A whole build with a CPython that uv installs: from the list to the page of the running app."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import standalone_python
from loopback import free_port, page
from pylife_command import Pylife, user_environment

pytestmark = [pytest.mark.functional, pytest.mark.timeout(900)]

VERSION = "{}.{}.{}".format(*sys.version_info[:3])
APP = """\
import ssl, sqlite3, sys, zoneinfo
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    return f"Python {sys.version.split()[0]} in {sys.base_prefix}, {zoneinfo.ZoneInfo('Europe/Berlin')}"
"""
PASSWORD = "Qz7-nobody-says-this"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address below which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://ann:{PASSWORD}@127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def flask_app(tmp_path: Path) -> Path:
    """An app that asks for the very Python that runs this test."""
    app = tmp_path / "flask-app"
    app.mkdir()
    (app / "requirements.txt").write_text("flask==3.1.2\ngunicorn==23.0.0\n")
    (app / ".python-version").write_text(VERSION + "\n")
    (app / "app.py").write_text(APP)
    return app


def put_list(folder: Path, url: str, sha256: str) -> None:
    """Writes list.json, which has one version."""
    major, minor, patch = sys.version_info[:3]
    entry = {"name": "cpython", "arch": {"family": os.uname().machine, "variant": None}, "os": "linux", "libc": "gnu"}
    entry |= {"major": major, "minor": minor, "patch": patch, "prerelease": "", "variant": None, "build": None}
    name = f"cpython-{VERSION}-linux-{os.uname().machine}-gnu"
    (folder / "list.json").write_text(json.dumps({name: {**entry, "url": url, "sha256": sha256}}))


def test_an_app_runs_on_the_python_that_uv_installed(
    pylife: Pylife, served: tuple[Path, str], flask_app: Path, image_name: str
) -> None:
    folder, address = served
    archive = folder / f"cpython-{VERSION}.tar.gz"
    sha256 = standalone_python.pack(archive)
    # Where the image's own is the same version, it would be taken: here uv alone is asked.
    words = ["build", "--app", flask_app, "--image", image_name, "--env", "BP_RUNTIME_SOURCES=uv", "--env"]

    put_list(folder, f"{address}/{archive.name}", "0" * 64)
    refused = pylife(*words, f"UV_PYTHON_DOWNLOADS_JSON_URL={address}/list.json", code=51)
    assert "[runtime.checksum-mismatch]" in refused.err

    put_list(folder, f"{address}/{archive.name}", sha256)
    built = pylife(*words, f"UV_PYTHON_DOWNLOADS_JSON_URL={address}/list.json")
    shown = f"{address.replace(f'ann:{PASSWORD}', '***')}/list.json"
    assert f"Python {VERSION}: asked for by .python-version:1 ({VERSION}), from uv, list {shown}" in built.err
    assert PASSWORD not in built.err + built.out + pylife("inspect", image_name, "--json").out
    digest = pylife("inspect", image_name, "--json").json["digest"]

    port = free_port()
    command = [*pylife.command, "run", image_name, "-p", str(port)]
    with subprocess.Popen(
        command, env=user_environment(pylife), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            said = page(port, process)
        finally:
            process.terminate()
    assert f"Python {VERSION} in /layers/pylife_python/runtime, Europe/Berlin" in said

    (flask_app / "app.py").write_text(APP + "# changed\n")
    changed = pylife(*words, f"UV_PYTHON_DOWNLOADS_JSON_URL={address}/list.json")
    assert f"Python {VERSION} is kept from the last build." in changed.err
    (flask_app / "app.py").write_text(APP)

    # From nothing, with a folder in place of the server: the same layers.
    put_list(folder, f"file:///pythons/{archive.name}", sha256)
    pylife(
        "build",
        "--clear-cache",
        *words[1:],
        f"UV_PYTHON_DOWNLOADS_JSON_URL={address}/list.json",
        "--volume",
        f"{folder}:/pythons:ro",
    )
    assert pylife("inspect", image_name, "--json").json["digest"] == digest
