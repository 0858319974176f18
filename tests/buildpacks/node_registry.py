"""A package registry of the tests' own, and workbenches on which Node.js and npm are placed once for all tests."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from workbench import Bench, make_bench

NODE = {"engines": {"node": "24.x"}}
PRIVATE = "@acme/greeting"
NAMES = ("parrot", "cage", PRIVATE)


def tarball(name: str, version: str) -> bytes:
    """A package as a registry has it."""
    files = {
        "package.json": json.dumps({"name": name, "version": version, "license": "MIT", "main": "index.js"}),
        "index.js": f"module.exports = '{name} {version}';\n",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


class Registry(ThreadingHTTPServer):
    """A package registry on loopback: parrot, cage and @acme/greeting in two versions, secret for nobody.

    ``asked`` is every path. With a ``token`` it gives @acme/greeting to those alone who have it.
    """

    def __init__(self, token: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.token = token
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.tarballs = {f"{n}-{v}": tarball(n, v) for n in NAMES for v in ("1.0.0", "2.0.0")}

    def integrity(self, name: str, version: str) -> str:
        return "sha512-" + base64.b64encode(hashlib.sha512(self.tarballs[f"{name}-{version}"]).digest()).decode()

    def document(self, name: str) -> bytes:
        versions = {
            version: {
                "name": name,
                "version": version,
                "dist": {
                    "tarball": f"{self.url}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz",
                    "integrity": self.integrity(name, version),
                },
            }
            for version in ("1.0.0", "2.0.0")
        }
        # Package managers may refuse what is too new.
        times = dict.fromkeys(versions, "2020-01-01T00:00:00.000Z")
        described = {"name": name, "dist-tags": {"latest": "2.0.0"}, "versions": versions, "time": times}
        return json.dumps(described).encode()


class _Answers(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        name, _, file = unquote(self.path).strip("/").partition("/-/")
        wanted = f"Bearer {self.server.token}" if self.server.token and name == PRIVATE else ""
        if name == "secret" or (wanted and self.headers.get("Authorization") != wanted):
            self._send(401, b'{"error": "unauthorized"}')
        elif name not in NAMES:
            self._send(404, b'{"error": "not found"}')
        elif file:
            version = file.removesuffix(".tgz").rpartition("-")[2]
            self._send(200, self.server.tarballs[f"{name}-{version}"])
        else:
            self._send(200, self.server.document(name))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def placed_node(factory: pytest.TempPathFactory) -> Bench:
    """A build of an app without packages: Node.js and npm from the registries, which later builds start from."""
    return _placed_node(factory.getbasetemp())


@cache
def _placed_node(base: Path) -> Bench:
    bench = make_bench(base / "placed-node")
    (bench.root / "shared").mkdir()
    bench.env = {"PYLIFE_SHARED_CACHE": str(bench.root / "shared")}
    ran = bench.write({"package.json": json.dumps(NODE), "index.js": ""}).build("nodejs")
    assert ran.code == 0, ran.out + ran.err
    return bench


def restored_node(placed: Bench, root: Path) -> Bench:
    """A workbench with Node.js and npm restored, and with what was downloaded for all."""
    bench = make_bench(root / "bench")
    for name in ("node", "node-headers", "package-manager", "runtime-choices"):
        source, target = placed.layer("nodejs", name), bench.layer("nodejs", name)
        shutil.copytree(source, target, symlinks=True, copy_function=os.link)
        shutil.copy(f"{source}.toml", f"{target}.toml")
    for program in (bench.layer("nodejs", "package-manager") / "bin").iterdir():
        text = program.read_text().replace(str(placed.layers), str(bench.layers))
        program.unlink()
        program.write_text(text)
        program.chmod(0o755)
    bench.env = {"PYLIFE_SHARED_CACHE": str(placed.root / "shared")}
    return bench
