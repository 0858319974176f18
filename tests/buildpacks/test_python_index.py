"""Private package indexes: settings of variables and bindings reach uv, and what is secret stays out."""

from __future__ import annotations

import base64
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from workbench import Bench

USER, PASSWORD = "reader", "hush-hush"


class Index:
    """A package index on loopback that wants a user and a password; ``asked`` are the files that it gave."""

    def __init__(self, wheels: Path) -> None:
        self.asked: list[str] = []
        self.refused = 0
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization", "")
                if given != "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode():
                    index.refused += 1
                    return self.answer(401, b"", "WWW-Authenticate", 'Basic realm="index"')
                parts = self.path.strip("/").split("/")
                if parts[0] == "simple" and len(parts) == 2:
                    names = sorted(path.name for path in wheels.glob(f"{parts[1]}-*.whl"))
                    told = 'data-core-metadata="true"'
                    links = "".join(f'<a href="/files/{name}" {told}>{name}</a>' for name in names)
                    return self.answer(200 if names else 404, links.encode(), "Content-Type", "text/html")
                if parts[0] == "files" and parts[1].endswith(".metadata"):
                    return self.answer(200, metadata(wheels / parts[1].removesuffix(".metadata")))
                if parts[0] == "files" and (wheels / parts[1]).exists():
                    index.asked.append(parts[1])
                    content = (wheels / parts[1]).read_bytes()
                    return self.answer(200, content, "Cache-Control", "max-age=365000000, immutable, public")
                return self.answer(404, b"")

            def do_HEAD(self) -> None:
                self.answer(405, b"")

            def answer(self, code: int, body: bytes, name: str = "X-Nothing", value: str = "1") -> None:
                self.send_response(code)
                self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))


@pytest.fixture
def index(wheels: Path) -> Iterator[Index]:
    running = Index(wheels)
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def online(offline: Bench) -> Bench:
    """A workbench that has uv and no package source yet."""
    offline.env = {"PIP_FIND_LINKS": "", "NO_PROXY": "127.0.0.1,localhost", "UV_HTTP_RETRIES": "0"}
    return offline


def bind(bench: Bench, name: str, **files: str) -> None:
    folder = bench.root / "platform" / "bindings" / name
    folder.mkdir(parents=True)
    for key, text in files.items():
        (folder / key.replace("_", "-").replace("pip-conf", "pip.conf")).write_text(text)


def leaks(bench: Bench) -> list[str]:
    """Everything of the build's result that has the password: layers, keys, SBOMs, launch metadata."""
    secret = [PASSWORD.encode(), base64.b64encode(f"{USER}:{PASSWORD}".encode())]
    places = [path for path in bench.layers.rglob("*") if path.is_file() and "uv-cache" not in path.parts]
    return [str(path) for path in places if any(word in path.read_bytes() for word in secret)]


@pytest.mark.parametrize("how", ["variable", "uv variable", "pip.conf", "keys", "netrc"])
def test_credentials_reach_the_index_and_nothing_else(online: Bench, index: Index, how: str) -> None:
    url, open_url = f"http://{USER}:{PASSWORD}@{index.place}/simple", f"http://{index.place}/simple"
    match how:
        case "variable":
            online.user_env(PIP_INDEX_URL=url)
        case "uv variable":
            online.user_env(UV_DEFAULT_INDEX=url)
        case "pip.conf":
            bind(online, "packages", type="pip", pip_conf=f"[global]\nindex-url = {url}\n")
        case "keys":
            bind(online, "packages", type="pip", index_url=open_url, username=USER, password=PASSWORD)
        case "netrc":
            online.user_env(PIP_INDEX_URL=open_url)
            bind(online, "host", type="netrc", netrc=f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    ran = online.write({"requirements.txt": "parrot==1.0\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert index.asked == ["parrot-1.0-py3-none-any.whl"]
    assert PASSWORD not in ran.out + ran.err
    assert leaks(online) == []
    # Another password is no other package.
    assert "is kept from the last build" in online.build("python").out


def test_a_refusal_says_where_credentials_go_and_not_which(online: Bench, index: Index) -> None:
    online.user_env(PIP_INDEX_URL=f"http://{USER}:wrong-{PASSWORD}@{index.place}/simple")
    ran = online.write({"requirements.txt": "parrot==1.0\n"}).build("python")
    assert ran.failure == "python.network", ran.err
    assert "PIP_INDEX_URL" in ran.err
    assert index.refused
    assert PASSWORD not in ran.out + ran.err


@pytest.mark.parametrize("user", ["", f"{USER}:wrong-{PASSWORD}@"])
def test_a_refusal_is_told_from_an_index_without_uv(online: Bench, index: Index, user: str) -> None:
    online.layer("python", "uv").rename(online.root / "gone")
    online.user_env(PIP_INDEX_URL=f"http://{user}{index.place}/simple")
    ran = online.write({"requirements.txt": "parrot==1.0\n"}).build("python")
    assert ran.failure == "python.network", ran.err
    assert "refused the request (status 401)" in ran.err
    assert "binding of the type pip" in ran.err
    assert PASSWORD not in ran.out + ran.err


def test_an_address_with_a_password_is_cleaned_where_it_is_recorded(online: Bench, index: Index) -> None:
    url = f"http://{USER}:${{FILES_PASSWORD}}@{index.place}/files/parrot-1.0-py3-none-any.whl"
    online.user_env(FILES_PASSWORD=PASSWORD)
    ran = online.write({"requirements.txt": f"parrot @ {url}\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert PASSWORD not in ran.out + ran.err
    assert leaks(online) == []
    record = next(online.layer("python", "venv").glob("lib/*/site-packages/parrot-1.0.dist-info/direct_url.json"))
    assert f"http://{index.place}/files/" in record.read_text()


def test_only_what_is_new_is_fetched(online: Bench, index: Index) -> None:
    online.user_env(PIP_INDEX_URL=f"http://{USER}:{PASSWORD}@{index.place}/simple")
    assert online.write({"requirements.txt": "parrot==1.0\n"}).build("python").code == 0
    index.asked.clear()
    ran = online.write({"requirements.txt": "parrot==1.0\ncage\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert index.asked == ["cage-1.0-py3-none-any.whl"]


def test_the_cache_suffices_when_the_index_is_gone(online: Bench, index: Index) -> None:
    online.user_env(PIP_INDEX_URL=f"http://{USER}:{PASSWORD}@{index.place}/simple")
    assert online.write({"requirements.txt": "parrot==1.0\n"}).build("python").code == 0
    index.server.shutdown()
    index.server.server_close()
    ran = online.write({"requirements.txt": "parrot==1.0  # the same\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert "the packages are those of the cache" in ran.err
    ran = online.write({"requirements.txt": "parrot==1.0\ncage\n"}).build("python")
    assert ran.failure == "python.network", ran.err
    assert "vendor/" in ran.err


def test_apps_share_what_was_fetched(online: Bench, index: Index, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    online.env["PYLIFE_SHARED_CACHE"] = str(shared)
    online.user_env(PIP_INDEX_URL=f"http://{USER}:{PASSWORD}@{index.place}/simple")
    assert online.write({"requirements.txt": "parrot==1.0\n"}).build("python").code == 0
    (online.layer("python", "venv")).rename(tmp_path / "gone")
    index.asked.clear()
    assert online.build("python").code == 0
    assert index.asked == []
    assert not online.layer("python", "uv-cache").exists()
