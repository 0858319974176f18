"""Sources behind TLS: the host's authorities and those that are named, for downloads and for git."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from fileserver import serve_files
from gitserver import commit, git, serve_git

from lifecycle.source.clone import resolve_git
from lifecycle.source.fetch import fetch_url
from lifecycle.source.gitref import parse_git_ref
from lifecycle.source.remote_errors import GitFailed, RemoteCertificate
from lifecycle.source.remotes import Remotes
from lifecycle.transport import TransportSettings


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that is its own authority, and a server's use of it."""
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "server.crt", folder / "server.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=pylife-test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(crt), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    return crt, context


def test_a_download_trusts_the_authorities_named(certificate: tuple[Path, ssl.SSLContext], tmp_path: Path) -> None:
    authority, context = certificate
    with serve_files(context) as server:
        server.files["/f"] = b"safe"
        with pytest.raises(RemoteCertificate):
            fetch_url(server.url("/f"), Remotes(tmp_path / "a", TransportSettings()))
        trusting = Remotes(tmp_path / "b", TransportSettings(ca_files=(authority,)))
        assert fetch_url(server.url("/f"), trusting).path.read_bytes() == b"safe"


def test_the_host_s_bundle_is_trusted(
    certificate: tuple[Path, ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with serve_files(context) as server:
        server.files["/f"] = b"safe"
        assert fetch_url(server.url("/f"), Remotes(tmp_path)).size == 4


def test_git_trusts_the_authorities_named(
    certificate: tuple[Path, ssl.SSLContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = certificate
    head = commit(tmp_path / "work", {"a": "a"})
    (tmp_path / "srv").mkdir()
    git(tmp_path, "clone", "-q", "--bare", "work", "srv/app.git")
    with serve_git(tmp_path / "srv", context) as server:
        ref = parse_git_ref(server.url("app.git"))
        assert ref is not None
        with pytest.raises(GitFailed, match=r"certificate|SSL"):
            resolve_git(ref, Remotes(tmp_path / "a", TransportSettings()))
        trusting = Remotes(tmp_path / "b", TransportSettings(ca_files=(authority,)))
        assert resolve_git(ref, trusting) == head
        with pytest.raises(RemoteCertificate, match="no usable CA certificates"):
            resolve_git(ref, Remotes(tmp_path / "d", TransportSettings(ca_files=(tmp_path / "nothing.pem",))))
        lax = Remotes(tmp_path / "c", TransportSettings(insecure=frozenset({"127.0.0.1"})))
        assert resolve_git(ref, lax) == head
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert resolve_git(ref, Remotes(tmp_path / "e")) == head
