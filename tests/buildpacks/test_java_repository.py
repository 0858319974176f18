"""A company's Maven repository: served over HTTPS with a certificate of its own authority, for those who log in."""

from __future__ import annotations

import base64
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from java_apps import failed
from workbench import Bench

PASSWORD = "tr0ub4dor-and-7"
SETTINGS = """<settings>
<servers><server><id>company</id><username>ann</username><password>{password}</password></server></servers>
<mirrors><mirror><id>company</id><mirrorOf>*</mirrorOf><url>https://localhost:{port}/</url></mirror></mirrors>
</settings>"""


class Repository(BaseHTTPRequestHandler):
    """The artifacts of a local repository, as a remote one gives them, to ann alone."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        login = "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != login:
            self._answer(401, b"")
            return
        path: Path = self.server.artifacts / self.path.lstrip("/")  # type: ignore[attr-defined]
        if path.name == "maven-metadata.xml":  # a local repository keeps each remote one's
            path = next(path.parent.glob("maven-metadata-*.xml"), path)
        if not path.is_file():
            self._answer(404, b"")
            return
        self.server.served += 1  # type: ignore[attr-defined]
        self._answer(200, path.read_bytes())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="company"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and server.pem with server.key, which that authority signed for localhost."""
    folder = tmp_path_factory.mktemp("authority")
    new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    openssl(folder, f"req -x509 {new} -keyout ca.key -out ca.pem -subj /CN=company -addext basicConstraints=CA:TRUE")
    openssl(folder, "req " + new.replace("-days 2", "") + " -keyout server.key -out server.csr -subj /CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    sign = "x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial"
    openssl(folder, f"{sign} -extfile names -out server.pem")
    return folder


@pytest.fixture
def repository(clock: Bench, authority: Path) -> Iterator[ThreadingHTTPServer]:
    """The server, with all that the sample's first build fetched."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repository)
    (server.artifacts,) = Path(clock.env["PYLIFE_SHARED_CACHE"]).glob("maven-repository-*")  # type: ignore[attr-defined]
    server.served = 0  # type: ignore[attr-defined]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def bind(bench: Bench, name: str, kind: str, file: str, content: str) -> None:
    folder = bench.root / "platform" / "bindings" / name
    folder.mkdir(parents=True)
    (folder / "type").write_text(kind)
    (folder / file).write_text(content)


@pytest.fixture
def mirrored(fresh: Bench, repository: ThreadingHTTPServer) -> Bench:
    """The sample with nothing fetched, to be built from the company's repository alone."""
    shared = fresh.root / "shared"
    shared.mkdir()
    fresh.env = {"PYLIFE_SHARED_CACHE": str(shared), "NO_PROXY": "localhost"}
    bind(fresh, "repo", "maven", "settings.xml", SETTINGS.format(port=repository.server_port, password=PASSWORD))
    return fresh


def test_an_unknown_authority_is_named_with_the_binding_that_helps(mirrored: Bench) -> None:
    failed(
        mirrored.build("java"),
        "java.tls",
        "company",
        "echo ca-certificates > company-ca/type",
        "--binding",
        "set SSL_CERT_FILE",
    )


def test_a_binding_of_certificates_makes_the_repository_trusted(
    mirrored: Bench, repository: ThreadingHTTPServer, authority: Path
) -> None:
    bind(mirrored, "company-ca", "ca-certificates", "ca.pem", (authority / "ca.pem").read_text())
    ran = mirrored.build("java", BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS="-X")
    assert ran.code == 0, ran.out[-3000:] + ran.err
    assert repository.served > 50  # type: ignore[attr-defined]
    assert (mirrored.app / "app/tides/Clock.class").is_file()
    # What logs in is nowhere: not even in what Maven prints when it is asked to print all.
    assert PASSWORD not in ran.out + ran.err
    places = (mirrored.layers, mirrored.app, mirrored.root / "shared")
    kept = [path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(kept) > 200
    encoded = base64.b64encode(f"ann:{PASSWORD}".encode())
    assert not [path for path in kept if PASSWORD.encode() in (held := path.read_bytes()) or encoded in held]


def test_a_repository_that_wants_another_password_is_named(mirrored: Bench, authority: Path) -> None:
    bind(mirrored, "company-ca", "ca-certificates", "ca.pem", (authority / "ca.pem").read_text())
    settings = mirrored.root / "platform" / "bindings" / "repo" / "settings.xml"
    settings.write_text(settings.read_text().replace(PASSWORD, "forgotten"))
    ran = mirrored.build("java")
    failed(ran, "java.repository-refused", "company", "401")
    assert "forgotten" not in ran.out + ran.err
