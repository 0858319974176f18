"""CPython by uv: the real uv, small archives, lists and mirrors of our own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import standalone_python
from pylife_python import uv
from pylife_sdk.context import Build, Detect
from pylife_sdk.output import Failure
from pylife_sdk.runtimes import NotFound, Runtime, find
from workbench import Bench, make_bench, outer_env

ARCHIVE = "20991231/cpython-3.13.77%2B20991231-install_only.tar.gz"
NAME = "cpython-{}-linux-{}-gnu"
# uv reads it, and refuses another first line.
VARIABLES = """\
# system configuration generated and used by the sysconfig module
build_time_vars = {
    "prefix": "/install"
}
"""
SECRET = "Xk9-nobody-says-this"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The uv that the Python buildpack fetches."""
    root = tmp_path_factory.mktemp("uv")
    for name in ("app", "layers", "platform"):
        (root / name).mkdir()
    return uv.provide_uv(Build(str(root / "app"), str(root / "layers"), str(root / "platform"), "", outer_env(root)))


class Place:
    """An app to build with a folder ``served`` that is a mirror; ``downloads`` are shared by all its builds."""

    def __init__(self, root: Path, program: str) -> None:
        self.root, self.served = root, root / "served"
        self.runtime = Runtime("python", default="uv", uv=(uv.VERSION, lambda build: program))
        for name in ("app", "layers", "platform", "shared", "served"):
            (root / name).mkdir()

    def build(self, app: str = "app", **env: str) -> Build:
        for name in (app, f"{app}-layers"):
            (self.root / name).mkdir(exist_ok=True)
        outer = {**outer_env(self.root), "PYLIFE_SHARED_CACHE": str(self.root / "shared"), **env}
        layers = str(self.root / f"{app}-layers")
        return Build(str(self.root / app), layers, str(self.root / "platform"), "", outer)


@pytest.fixture
def place(tmp_path: Path, program: str) -> Place:
    root = tmp_path / "place"
    root.mkdir()
    return Place(root, program)


def starts(text: str) -> Callable[[str], bool]:
    return lambda version: version.startswith(text)


def put_archive(folder: Path) -> str:
    """Writes a small archive in the layout of a standalone build; its sha256."""
    path = folder / ARCHIVE.replace("%2B", "+")
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {
        "bin/python3.13": "#!/bin/sh\necho tool\n",
        "lib/python3.13/os.py": "",
        "lib/python3.13/_sysconfigdata__linux.py": VARIABLES,
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo("python/" + name)
            info.size, info.mode = len(text), 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def put_list(path: Path, *rows: tuple[str, str, str]) -> Path:
    """Writes a list for uv: each row has a version, an address and a sha256."""
    machine, entries = os.uname().machine, {}
    for version, url, sha256 in rows:
        numbers = dict(zip(("major", "minor", "patch"), map(int, version.split(".")), strict=True))
        system = {"arch": {"family": machine, "variant": None}, "os": "linux", "libc": "gnu"}
        rest = {"prerelease": "", "url": url, "sha256": sha256, "variant": None, "build": "20991231"}
        entries[NAME.format(version, machine)] = {"name": "cpython", **system, **numbers, **rest}
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def server(place: Place) -> Iterator[str]:
    """Serves ``place.served`` to whoever has the password; an address with it."""
    wanted = "Basic " + b64encode(f"ann:{SECRET}".encode()).decode()

    class Guarded(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") == wanted:
                return super().do_GET()
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()
            return None

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(place.served))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://ann:{SECRET}@127.0.0.1:{http.server_port}"
        http.shutdown()


def test_uv_knows_versions_without_asking_and_says_so_when_its_site_cannot_be_reached(place: Place) -> None:
    dead = {"UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9/mirror"}
    with pytest.raises(Failure) as caught:
        find(place.runtime, starts("3.13."), place.build(**dead), want="3.13")
    assert caught.value.id == "runtime.network"
    assert re.search(rf"uv {re.escape(uv.VERSION)} knows: 3\.13\.\d+, 3\.13\.\d+", caught.value.found)
    assert "UV_PYTHON_INSTALL_MIRROR=file:///" in caught.value.fix
    with pytest.raises(NotFound) as absent:
        find(place.runtime, starts("3.13.999"), place.build(**dead), want="3.13.999")
    row = absent.value.seen[0]
    assert row.source == "uv"
    assert len(row.versions) > 50
    assert not [version for version in row.versions if "+" in version]  # free-threaded builds are others


def test_detection_does_not_ask_uv(place: Place) -> None:
    context = Detect(str(place.root / "app"), str(place.root / "platform"), "", outer_env(place.root))
    with pytest.raises(NotFound) as caught:
        find(place.runtime, starts("3.13"), context)
    assert caught.value.unasked == ("uv",)


def test_a_mirror_takes_the_place_of_the_download_site(place: Place, program: str, server: str) -> None:
    help_text = subprocess.run([program, "help", "python", "install"], capture_output=True, text=True).stdout
    site = re.search(r"https://\S+?/releases/download", re.sub(r"\s+", " ", help_text))
    assert site
    listed = put_list(place.root / "list.json", ("3.13.77", f"{site[0]}/{ARCHIVE}", put_archive(place.served)))
    env = {"UV_PYTHON_INSTALL_MIRROR": server, "UV_PYTHON_DOWNLOADS_JSON_URL": str(listed)}
    build = place.build(**env)
    found = find(place.runtime, starts("3.13"), build, want="3.13")
    assert found.version == "3.13.77"
    assert found.origin == f"uv, mirror {server.replace(f'ann:{SECRET}', '***')}, list {listed}"
    assert uv.VERSION in found.key
    target = place.root / "placed"
    found.place(str(target))
    assert subprocess.run([target / "bin/python3.13"], capture_output=True, text=True).stdout == "tool\n"
    assert sorted(os.listdir(target)) == ["bin", "lib"]
    assert [component.purl for component in found.components()] == ["pkg:generic/python@3.13.77"]
    kept = [path for path in place.root.rglob("*") if path.is_file() and place.served not in path.parents]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes() + os.fsencode(path)]
    assert not [name for name in os.listdir(build.layers) if name.startswith(".uv-python")]


def test_what_was_fetched_once_needs_nobody(place: Place, server: str) -> None:
    put_list(place.served / "list.json", ("3.13.77", f"{server}/{ARCHIVE}", put_archive(place.served)))
    env = {"UV_PYTHON_DOWNLOADS_JSON_URL": f"{server}/list.json"}
    find(place.runtime, starts("3.13"), place.build("one", **env), want="3.13").place(str(place.root / "first"))
    for path in sorted(place.served.rglob("*.*")):
        path.unlink()
    # The same app keeps its choice; another app takes what the cache has, here without a server's answer.
    offline = place.build("two", UV_OFFLINE="1", **env)
    for build in (place.build("one", **env), offline):
        found = find(place.runtime, starts("3.13"), build, want="3.13")
        target = place.root / f"again-{Path(build.app).name}"
        found.place(str(target))
        names = [
            sorted(str(path.relative_to(root)) for path in root.rglob("*")) for root in (target, place.root / "first")
        ]
        assert names[0] == names[1]
        assert (target / "bin/python3.13").read_text() == "#!/bin/sh\necho tool\n"


def _wrong_sum(place: Place) -> str:
    put_archive(place.served)
    put_list(place.served / "list.json", ("3.13.77", f"file://{place.served}/{ARCHIVE}", "0" * 64))
    return "runtime.checksum-mismatch"


def _no_archive(place: Place) -> str:
    put_list(place.served / "list.json", ("3.13.77", f"file://{place.served}/{ARCHIVE}", "0" * 64))
    return "runtime.download-failed"


def _no_list(place: Place) -> str:
    return "runtime.download-failed"


def _no_json(place: Place) -> str:
    (place.served / "list.json").write_text("<html>")
    return "runtime.bad-index"


def _dead_server(place: Place) -> str:
    put_list(place.served / "list.json", ("3.13.77", f"http://ann:{SECRET}@127.0.0.1:9/{ARCHIVE}", "0" * 64))
    return "runtime.network"


@pytest.mark.parametrize("situation", [_wrong_sum, _no_archive, _no_list, _no_json, _dead_server])
def test_what_a_mirror_gets_wrong_is_named(place: Place, situation: Callable[[Place], str]) -> None:
    identity = situation(place)
    build = place.build(UV_PYTHON_DOWNLOADS_JSON_URL=f"file://{place.served}/list.json")
    with pytest.raises(Failure) as caught:
        find(place.runtime, starts("3.13"), build, want="3.13")
    assert caught.value.id == identity, caught.value.found
    assert SECRET not in caught.value.what + caught.value.found + caught.value.fix
    assert "list.json" in caught.value.what + caught.value.found or "3.13.77" in caught.value.what


def test_a_refusal_of_the_mirror_is_one_of_the_network(place: Place, server: str) -> None:
    address = server.replace(f"ann:{SECRET}@", "")
    with pytest.raises(Failure) as caught:
        find(place.runtime, starts("3.13"), place.build(UV_PYTHON_DOWNLOADS_JSON_URL=f"{address}/list.json"))
    assert caught.value.id == "runtime.network"
    assert "refused the request" in caught.value.what


@pytest.mark.parametrize(("name", "head"), [("uv.toml", ""), ("pyproject.toml", "[tool.uv]\n")])
def test_settings_in_the_files_of_the_app_are_followed_and_a_variable_comes_first(
    place: Place, name: str, head: str
) -> None:
    listed = put_list(
        place.root / "list.json", ("3.13.77", f"file://{place.served}/{ARCHIVE}", put_archive(place.served))
    )
    other = put_list(place.root / "other.json", ("3.13.78", f"file://{place.served}/{ARCHIVE}", "0" * 64))
    (place.root / "app" / name).write_text(f'{head}python-downloads-json-url = "{listed}"\n')
    assert find(place.runtime, starts("3.13"), place.build()).version == "3.13.77"
    with pytest.raises(Failure) as caught:
        find(place.runtime, starts("3.13"), place.build(UV_PYTHON_DOWNLOADS_JSON_URL=str(other)))
    assert "3.13.78" in caught.value.what


def test_a_python_by_uv_is_a_layer_of_the_same_bytes_each_time(tmp_path: Path, wheels: Path, program: str) -> None:
    """The whole buildpack with a real CPython: the one that runs this test, in the layout of a standalone build."""
    version = "{}.{}.{}".format(*sys.version_info[:3])
    archive = tmp_path / f"cpython-{version}.tar.gz"
    sha256 = standalone_python.pack(archive)
    listed = put_list(tmp_path / "list.json", (version, f"file://{archive}", sha256))
    digests = []
    own = Path(program).parents[1]
    for name in ("one", "two"):
        bench = make_bench(tmp_path / name)
        bench.write({"requirements.txt": "parrot==1.0\n", ".python-version": version + "\n", "app.py": ""})
        # The image's own would do where it is the one that runs this test.
        bench.user_env(UV_PYTHON_DOWNLOADS_JSON_URL=str(listed), BP_RUNTIME_SOURCES="uv")
        bench.env |= {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1"}
        shutil.copytree(own, bench.layer("python", "uv"))
        shutil.copy(f"{own}.toml", bench.layers / "pylife_python")
        ran = bench.build("python")
        assert ran.code == 0, ran.out + ran.err
        assert f"Python {version}: asked for by .python-version:1 ({version}), from uv, list {listed}" in ran.out
        digests.append(_content(bench))
        again = bench.build("python")
        assert f"Python {version} is kept from the last build." in again.out
        assert "virtual environment is kept" in again.out
        _launches(bench, version)
    assert digests[0] == digests[1]


def _launches(bench: Bench, version: str) -> None:
    runtime = bench.layer("python", "runtime")
    said = "import parrot, ssl, sys, sysconfig, zoneinfo; zoneinfo.ZoneInfo('UTC')\n"
    said += "print(parrot.talk(), *sys.version_info[:3], sys.base_prefix, sysconfig.get_config_var('prefix'))"
    python = bench.layer("python", "venv") / "bin/python"
    env = {"LD_LIBRARY_PATH": f"{runtime}/libs", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([python, "-c", said], env=env, capture_output=True, text=True)
    assert done.stdout.split("parrot ")[1].split() == [*version.split("."), str(runtime), str(runtime)], done.stderr
    assert sorted(os.listdir(runtime / "bin")) == ["python", "python3", "python" + version.rpartition(".")[0]]
    bill = json.loads((runtime.parent / "runtime.sbom.cdx.json").read_text())
    assert [part["purl"] for part in bill["components"]] == [f"pkg:generic/python@{version}"]


def _content(bench: Bench) -> dict[str, str]:
    """Each file's sha256 without the place of the bench, and what lies there."""
    runtime, found = bench.layer("python", "runtime"), {}
    own = str(bench.root).encode()
    for path in sorted(runtime.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":  # bytecode names its source with the place of the bench
            content = path.read_bytes()
            assert b".uv-python-" not in content, path
            found[str(path.relative_to(runtime))] = hashlib.sha256(content.replace(own, b"")).hexdigest()
    return found
