"""Static sites as nginx serves them: the whole buildpack, with the real server on a port of loopback."""

from __future__ import annotations

import gzip
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from workbench import Bench, make_bench

BUILDPACK = "static"


class Answer:
    """What a server answered; header names in lower case, a header sent twice is joined."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.body = response.status, response.read()
        self.headers: dict[str, str] = {}
        for name, value in response.getheaders():
            before = self.headers.get(name.lower())
            self.headers[name.lower()] = value if before is None else f"{before} | {value}"

    @property
    def text(self) -> str:
        return self.body.decode().strip()


class Client:
    """Asks one server, with the path exactly as given."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            return Answer(connection.getresponse())
        finally:
            connection.close()


@pytest.fixture(scope="session")
def server_layer(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench with the layer of nginx, fetched once."""
    bench = make_bench(tmp_path_factory.mktemp("nginx") / "bench").write({"public/index.html": "hello"})
    ran = bench.build(BUILDPACK)
    assert ran.code == 0, ran.out + ran.err
    return bench


@pytest.fixture
def site(bench: Bench, server_layer: Bench) -> Bench:
    """A bench that has nginx from an earlier build, and no network settings that would let it fetch one."""
    target = bench.layers / f"pylife_{BUILDPACK}"
    target.mkdir()
    for path in server_layer.layer(BUILDPACK, "nginx").parent.glob("nginx*"):
        if path.is_file():
            shutil.copy(path, target)
        else:
            shutil.copytree(path, target / path.name, copy_function=os.link)
    bench.env["http_proxy"] = bench.env["https_proxy"] = "http://127.0.0.1:9"
    return bench


@contextmanager
def serving(bench: Bench, **env: str) -> Iterator[Client]:
    """Builds the site and runs its web process."""
    ran = bench.build(BUILDPACK)
    assert ran.code == 0, ran.out + ran.err
    with started(bench, **env) as (client, _):
        yield client


@contextmanager
def started(bench: Bench, **env: str) -> Iterator[tuple[Client, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (command,) = (process["command"] for process in bench.launch(BUILDPACK)["processes"])
    temporary = bench.root / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {"PATH": "/usr/bin:/bin", "PORT": str(port), "TMPDIR": str(temporary), **env}
    with (bench.root / "log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        assert process.poll() is None, (bench.root / "log").read_text()
        yield Client(port), process
    finally:
        if process.poll() is None:
            process.terminate()
        assert process.wait(30) == 0, (bench.root / "log").read_text()
        assert list(temporary.iterdir()) == []


PAGES: Mapping[str, str | bytes] = {
    "public/index.html": "<h1>home</h1>",
    "public/about.html": "about",
    "public/docs/index.html": "docs",
    "public/big.txt": "0123456789" * 500,
    "public/a b/ü.txt": "odd name",
    "public/README.html": "upper",
    "public/readme.html": "lower",
    "public/data.webmanifest": "{}",
    "public/app.5b8a3c21.js": "let x = 1;",
    "public/main-homepage.js": "let y = 1;",
    "public/.env": "SECRET=1",
    "public/.git/config": "[core]",
    "public/.well-known/security.txt": "mailto:x",
    "secret.txt": "not in the site",
    ".env": "SECRET=2",
}


def test_pages_types_and_caching(site: Bench) -> None:
    with serving(site.write(PAGES)) as client:
        home = client.ask("/")
        assert (home.status, home.text) == (200, "<h1>home</h1>")
        assert home.headers["content-type"] == "text/html; charset=utf-8"
        assert home.headers["cache-control"] == "no-cache"
        assert home.headers["x-content-type-options"] == "nosniff"
        assert "last-modified" not in home.headers
        assert "/" not in home.headers["server"]
        assert client.ask("/docs/").text == "docs"
        assert client.ask("/about").text == "about"
        assert client.ask("/a%20b/%C3%BC.txt").text == "odd name"
        assert client.ask("/.well-known/security.txt").text == "mailto:x"
        assert client.ask("/data.webmanifest").headers["content-type"].startswith("application/manifest+json")
        assert client.ask("/app.5b8a3c21.js").headers["cache-control"] == "public, max-age=31536000, immutable"
        assert client.ask("/main-homepage.js").headers["cache-control"] == "no-cache"
        folder = client.ask("/docs?a=1")
        assert (folder.status, folder.headers["location"]) == (301, "/docs/?a=1")


def test_what_is_not_part_of_the_site_is_not_found(site: Bench) -> None:
    paths = [
        "/none",
        "/.env",
        "/.git/config",
        "/docs/.hidden",
        "/secret.txt",
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/docs/../../secret.txt",
        "/docs/..%2f..%2f.env",
        "//.env",
        "/./.env",
        "/%2eenv",
        "/public/index.html",
        "/about.html/",
        "/docs/about",
        "/READme.html",
        "/..\\secret.txt",
        "/a%20b/",
        "/.well-known/",
        "/.well-known/.env",
        "/docs%0d%0aX-Evil:1",
    ]
    with serving(site.write(PAGES)) as client:
        for path in paths:
            answer = client.ask(path)
            assert answer.status in (400, 404), path
            assert b"SECRET" not in answer.body and b"not in the site" not in answer.body, path
            assert "x-evil" not in answer.headers
        assert client.ask("/README.html").text == "upper"
        assert client.ask("/readme.html").text == "lower"


def test_entity_tags_come_from_the_contents(site: Bench) -> None:
    with serving(site.write(PAGES)) as client:
        first = client.ask("/about.html")
        tag = first.headers["etag"]
        for fresh in (tag, f"W/{tag}", f'"x", {tag}', f'"x",W/{tag} , "y"', "*"):
            again = client.ask("/about.html", If_None_Match=fresh)
            assert (again.status, again.body) == (304, b""), fresh
            assert again.headers["etag"].removeprefix("W/") == tag
            assert again.headers["cache-control"] == "no-cache"
            assert "content-length" not in again.headers
        for stale in ('"x"', tag.strip('"'), f'"{tag}"x', '""'):
            assert client.ask("/about.html", If_None_Match=stale).status == 200, stale
        assert client.ask("/about.html", If_Modified_Since="Tue, 01 Jan 2030 00:00:01 GMT").status == 200
        assert client.ask("/none", If_None_Match="*").status == 404
        upper, lower = client.ask("/README.html").headers["etag"], client.ask("/readme.html").headers["etag"]
        assert upper != lower
    # The same length and the same time, but another content: nginx's own tag would not change.
    site.write({"public/about.html": "ABOUT"})
    with serving(site) as client:
        answer = client.ask("/about.html", If_None_Match=tag)
        assert (answer.status, answer.text) == (200, "ABOUT")


def test_head_ranges_and_compression(site: Bench) -> None:
    with serving(site.write(PAGES)) as client:
        head = client.ask("/big.txt", "HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5000")
        part = client.ask("/big.txt", Range="bytes=3-5")
        assert (part.status, part.text, part.headers["content-range"]) == (206, "345", "bytes 3-5/5000")
        tag = head.headers["etag"]
        assert client.ask("/big.txt", Range="bytes=3-5", If_Range=tag).status == 206
        assert client.ask("/big.txt", Range="bytes=3-5", If_Range='"old"').status == 200
        assert client.ask("/big.txt", Range="bytes=9000-").status == 416
        packed = client.ask("/big.txt", Accept_Encoding="gzip")
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept-Encoding"
        assert gzip.decompress(packed.body) == b"0123456789" * 500
        assert client.ask("/big.txt", If_None_Match=packed.headers["etag"], Accept_Encoding="gzip").status == 304
        refused = client.ask("/", "POST")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


def test_pages_for_errors(site: Bench) -> None:
    site.write({"public/index.html": "home", "public/404.html": "nothing here"})
    with serving(site) as client:
        answer = client.ask("/none", Accept_Encoding="gzip")
        assert (answer.status, answer.text) == (404, "nothing here")
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-cache"


def test_static_json(site: Bench) -> None:
    site.write(
        {
            "out/index.html": "app",
            "out/oops.html": "oops",
            "out/about.html": "about",
            "out/lib/x.css": "p {}",
            "static.json": """{
                "root": "out/",
                "routes": {"/admin/*": "about.html", "/deep/**": "index.html"},
                "redirects": {"/old/**": {"url": "/about.html"},
                    "/x": {"url": "https://example.com/a$b", "status": 307}},
                "headers": {"/**": {"X-All": "a$b \\"q\\"", "X-Over": "1"}, "/lib/*": {"X-Over": "2",
                    "Cache-Control": "max-age=60"}, "/lib/x.css": {"Content-Type": "text/x-mine"}},
                "error_page": "oops.html", "clean_urls": false, "https_only": true,
                "logging": {"access": false}
            }""",
        }
    )
    with serving(site) as client:
        assert client.ask("/admin/x").text == "about"
        assert client.ask("/admin/x/y").status == 404
        assert client.ask("/deep/x/y").text == "app"
        assert (client.ask("/about").status, client.ask("/about").text) == (404, "oops")
        old = client.ask("/old/a/b?q=1")
        assert (old.status, old.headers["location"]) == (301, "/about.html?q=1")
        away = client.ask("/x")
        assert (away.status, away.headers["location"]) == (307, "https://example.com/a$b")
        css = client.ask("/lib/x.css")
        assert (css.headers["x-all"], css.headers["x-over"]) == ('a$b "q"', "2")
        assert (css.headers["cache-control"], css.headers["content-type"]) == ("max-age=60", "text/x-mine")
        assert client.ask("/").headers["x-over"] == "1"
        secure = client.ask("/lib/x.css?a=b", X_Forwarded_Proto="http", Host="example.com")
        assert (secure.status, secure.headers["location"]) == (301, "https://example.com/lib/x.css?a=b")
        assert client.ask("/", X_Forwarded_Proto="https").headers["strict-transport-security"] == "max-age=31536000"
    assert "GET /" not in (site.root / "log").read_text()


def test_redirects_and_headers_files(site: Bench) -> None:
    site.write(
        {
            "dist/index.html": "app",
            "dist/news/today.html": "today",
            "dist/my page.html": "my page",
            "dist/here.html": "here",
            "dist/_redirects": "# ours\n/blog/*  /news/:splat  302\n/n/:id  /news/:id.html 200\n"
            "/here.html /away\n/forced /index.html 200!\n/gone /x 404\n/raw/* /:splat 200\n/p/:a/:b /q?b=:b&a=:a 303\n"
            "/* /index.html 200\n",
            "dist/_headers": "/*\n  X-One: 1\n  X-One: 2\n/news/*\n  # more\n  X-News: yes\n",
        }
    )
    with serving(site) as client:
        moved = client.ask("/blog/a%20b%0d%0aX-Evil:%201?q=1")
        assert (moved.status, "x-evil" in moved.headers) in ((404, False), (200, False))
        moved = client.ask("/blog/a%20b?q=1")
        assert (moved.status, moved.headers["location"]) == (302, "/news/a%20b?q=1")
        assert client.ask("/n/today").text == "today"
        assert client.ask("/here.html").text == "here"
        assert client.ask("/forced").text == "app"
        assert client.ask("/gone").status == 404
        assert client.ask("/raw/my%20page.html").text == "my page"
        assert client.ask("/raw/none.html").status == 404
        swapped = client.ask("/p/1/2")
        assert (swapped.status, swapped.headers["location"]) == (303, "/q?b=2&a=1")
        assert client.ask("/anything/else").text == "app"
        assert client.ask("/").headers["x-one"] == "1, 2"
        assert client.ask("/news/today.html").headers["x-news"] == "yes"
        assert client.ask("/_redirects").status == 404
        assert client.ask("/.env").status == 404


def test_a_built_app_with_one_page_answers_all_its_routes(site: Bench) -> None:
    site.write(
        {
            "package.json": '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "^7"}}',
            "index.html": "the source",
            "dist/index.html": "app",
            "dist/assets/index-BdX9_2kL.js": "let x;",
            "dist/assets/logo-HomePage.png": "png",
            "public/assets/logo-HomePage.png": "png",
        }
    )
    with serving(site) as client:
        assert client.ask("/users/john.doe").text == "app"
        assert client.ask("/users/7").text == "app"
        assert client.ask("/assets/missing-1234abcd.js").status == 404
        assert "immutable" in client.ask("/assets/index-BdX9_2kL.js").headers["cache-control"]
        assert client.ask("/assets/logo-HomePage.png").headers["cache-control"] == "no-cache"
        assert client.ask("/").headers["cache-control"] == "no-cache"
    with serving(site.user_env(BP_STATIC_FALLBACK="off")) as client:
        assert client.ask("/users/7").status == 404


def test_an_app_whose_root_is_the_site_keeps_its_tools_to_itself(site: Bench) -> None:
    site.write(
        {"index.html": "home", "Procfile": "clock: x", "project.toml": "", "Makefile": "", "sub/Makefile": "make"}
    )
    with serving(site) as client:
        assert client.ask("/").text == "home"
        assert client.ask("/sub/Makefile").text == "make"
        assert [client.ask(path).status for path in ("/Procfile", "/project.toml", "/Makefile")] == [404, 404, 404]


def test_signals_end_the_server_when_its_answers_are_sent(site: Bench) -> None:
    site.write({"public/index.html": "home", "public/large": b"x" * (32 << 20)})
    assert site.build(BUILDPACK).code == 0
    with started(site) as (client, process), socket.create_connection(("127.0.0.1", client.port)) as slow:
        slow.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        taken = len(slow.recv(1000))
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", client.port), timeout=2)
        while data := slow.recv(1 << 20):
            taken += len(data)
        assert taken > 32 << 20
        assert process.wait(10) == 0


def test_the_log_works_where_standard_output_has_no_name(site: Bench) -> None:
    assert site.write({"public/index.html": "home"}).build(BUILDPACK).code == 0
    (command,) = (process["command"] for process in site.launch(BUILDPACK)["processes"])
    ours, theirs = socket.socketpair()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"PATH": "/usr/bin:/bin", "PORT": str(port), "TMPDIR": str(site.root)}
    process = subprocess.Popen(command, env=env, stdout=theirs, stderr=subprocess.DEVNULL)
    theirs.close()
    ours.settimeout(10)
    said = _receive(ours, b"on port")
    deadline = time.monotonic() + 10
    while True:
        try:
            assert Client(port).ask("/").status == 200
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
    assert b"GET / HTTP" in said or _receive(ours, b"GET / HTTP")
    process.terminate()
    assert process.wait(10) == 0
    ours.close()


def _receive(end: socket.socket, wanted: bytes) -> bytes:
    said = b""
    while wanted not in said:
        more = end.recv(1000)
        assert more, said
        said += more
    return said


def test_a_port_that_is_none(site: Bench) -> None:
    assert site.write({"public/index.html": "home"}).build(BUILDPACK).code == 0
    (command,) = (process["command"] for process in site.launch(BUILDPACK)["processes"])
    ran = subprocess.run(command, env={"PATH": "/usr/bin:/bin", "PORT": "80; x"}, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, "PORT is not a number: 80; x\n")


def test_a_second_build_asks_for_nothing_and_makes_the_same(site: Bench, server_layer: Bench) -> None:
    ran = site.write({"public/index.html": "home"}).build(BUILDPACK)
    assert ran.code == 0
    assert "kept from the last build" in ran.out
    made = {path.name: path.read_bytes() for path in site.layer(BUILDPACK, "site").rglob("*") if path.is_file()}
    assert site.build(BUILDPACK).code == 0
    again = {path.name: path.read_bytes() for path in site.layer(BUILDPACK, "site").rglob("*") if path.is_file()}
    assert made == again
    assert set(made) == {"serve", "site.conf"}
    nginx = server_layer.layer(BUILDPACK, "nginx")
    assert not {path.name for path in nginx.iterdir()} & {"bin", "lib", "include"}
    assert (nginx / "usr/share/doc/nginx/copyright").exists()
    assert Path(f"{nginx}.sbom.cdx.json").read_text().count("pkg:deb/debian/nginx@") == 2
