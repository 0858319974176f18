"""The buildpack of certificate authorities, with certificates that openssl made."""

from __future__ import annotations

import os
import ssl
import subprocess
import tomllib
from pathlib import Path

import pytest
from workbench import Bench

BUILDPACK = "ca-certificates"
VARIABLES = {
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
}


def make_authority(directory: Path, name: str) -> str:
    """A self-signed authority's certificate, as PEM text."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", f"/CN={name}", "-days", "30", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return (directory / f"{name}.pem").read_text()


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("authorities")
    for name in ("system", "one", "two"):
        make_authority(directory, name)
    return directory


@pytest.fixture
def ready(bench: Bench, authorities: Path) -> Bench:
    """A bench whose image trusts the authority ``system`` already."""
    bench.env["SSL_CERT_FILE"] = str(authorities / "system.pem")
    return bench


def bind(root: Path, name: str, type: str = "ca-certificates", **files: str | bytes) -> None:
    directory = root / name
    directory.mkdir(parents=True)
    (directory / "type").write_text(type)
    for key, content in files.items():
        (directory / key).write_bytes(content if isinstance(content, bytes) else content.encode())


def names(bundle: Path | str) -> list[str]:
    """The common names of the authorities that a bundle has, by OpenSSL's own reading."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=str(bundle))
    return sorted(
        dict(pair for pairs in each["subject"] for pair in pairs)["commonName"] for each in context.get_ca_certs()
    )


def launch(bench: Bench, **env: str) -> tuple[dict[str, str], str]:
    """What the program of the launch layer sets, and what it says."""
    program = bench.layer(BUILDPACK, "trust") / "exec.d/ca-certificates"
    out = bench.root / "out.toml"
    with out.open("wb") as file:
        ran = subprocess.run(
            ["bash", "-c", f'exec "$0" 3>&{file.fileno()}', program],
            env={"PATH": "/usr/bin:/bin", "TMPDIR": str(bench.root), **env},
            pass_fds=[file.fileno()],
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert ran.returncode == 0, ran.stderr
    return {name: str(value) for name, value in tomllib.loads(out.read_text()).items()}, ran.stderr


def test_the_rest_of_the_build_trusts_the_binding_and_the_image_does_not_have_it(
    ready: Bench, authorities: Path
) -> None:
    one, two = ((authorities / f"{name}.pem").read_text() for name in ("one", "two"))
    bind(ready.root / "platform/bindings", "ours", type="CA-Certificates", ca=f"comment\n{one}\r\n{two}")
    assert ready.detect(BUILDPACK)[0].code == 0
    ran = ready.build(BUILDPACK)
    assert ran.code == 0, ran.err
    layer = ready.layer(BUILDPACK, "bundle")
    values = {path.name: path.read_text() for path in (layer / "env.build").iterdir()}
    assert set(values) == {f"{name}.override" for name in VARIABLES}
    assert names(*set(values.values())) == ["one", "system", "two"]
    assert tomllib.loads(Path(f"{layer}.toml").read_text())["types"] == {"build": True, "launch": False, "cache": False}
    launched = ready.layer(BUILDPACK, "trust")
    assert not [path for path in launched.rglob("*") if path.is_file() and b"BEGIN CERT" in path.read_bytes()[:40]]
    assert [path.name for path in launched.rglob("*")] == ["exec.d", "ca-certificates"]


def test_bindings_of_the_launch_are_trusted_beside_the_system(ready: Bench, authorities: Path) -> None:
    ready.user_env(BP_RUNTIME_CERT_BINDING_DISABLED="false")
    assert ready.detect(BUILDPACK)[0].code == 0
    assert ready.build(BUILDPACK).code == 0
    bindings = ready.root / "there"
    bind(bindings, "late", ca=(authorities / "two.pem").read_text(), provider="me")
    bind(bindings, "other", type="postgresql", ca=(authorities / "one.pem").read_text())
    bind(bindings, "broken", ca="no certificate")
    system = str(authorities / "system.pem")
    said, err = launch(ready, SERVICE_BINDING_ROOT=str(bindings), SSL_CERT_FILE=system, PIP_CERT="/mine")
    assert set(said) == VARIABLES - {"PIP_CERT"}
    assert names(said["SSL_CERT_FILE"]) == ["system", "two"]
    assert "broken/ca holds no certificate" in err


def test_without_bindings_the_launch_changes_nothing(ready: Bench) -> None:
    assert ready.user_env(BP_RUNTIME_CERT_BINDING_DISABLED="false").build(BUILDPACK).code == 0
    assert launch(ready) == ({}, "")
    assert launch(ready, SERVICE_BINDING_ROOT="/nowhere") == ({}, "")


def test_certificates_can_be_put_into_the_image(ready: Bench, authorities: Path) -> None:
    bind(ready.root / "platform/bindings", "ours", ca=(authorities / "one.pem").read_text())
    ran = ready.user_env(BP_EMBED_CERTS="true").build(BUILDPACK)
    assert ran.code == 0
    assert "the certificates are in the image" in ran.err
    said, _ = launch(ready, SSL_CERT_FILE=str(authorities / "system.pem"))
    assert names(said["SSL_CERT_FILE"]) == ["one", "system"]


def test_a_launch_without_a_writable_place_says_what_it_needs(ready: Bench, authorities: Path) -> None:
    assert ready.user_env(BP_RUNTIME_CERT_BINDING_DISABLED="false").build(BUILDPACK).code == 0
    bind(ready.root / "there", "late", ca=(authorities / "two.pem").read_text())
    program = ready.layer(BUILDPACK, "trust") / "exec.d/ca-certificates"
    env = {"PATH": "/usr/bin:/bin", "TMPDIR": "/nowhere", "SERVICE_BINDING_ROOT": str(ready.root / "there")}
    ran = subprocess.run([program], env=env, capture_output=True, text=True, timeout=20)
    assert ran.returncode == 1
    assert "give the container a writable /tmp" in ran.stderr


def test_no_binding(ready: Bench) -> None:
    ran, _ = ready.detect(BUILDPACK)
    assert ran.code == 100
    assert "BP_RUNTIME_CERT_BINDING_DISABLED=false" in ran.out


def test_what_is_no_certificate(ready: Bench, authorities: Path) -> None:
    pem = (authorities / "one.pem").read_text()
    middle = pem.splitlines()[3]
    situations: list[tuple[str, dict[str, str | bytes]]] = [
        ("certificates.empty-binding", {}),
        ("certificates.bad-pem", {"ca": "hello"}),
        ("certificates.bad-pem", {"ca": ssl.PEM_cert_to_DER_cert(pem)}),
        ("certificates.bad-pem", {"ca": pem.replace(middle, middle[::-1])}),
        ("certificates.bad-pem", {"good": pem, "ca": pem.replace(middle, "%%%")}),
        ("certificates.private-key", {"ca": pem + (authorities / "one.key").read_text()}),
    ]
    for number, (id, files) in enumerate(situations):
        root = ready.root / f"bindings-{number}"
        bind(root, "ours", **files)
        ready.env["SERVICE_BINDING_ROOT"] = str(root)
        ran = ready.build(BUILDPACK)
        assert (ran.code, ran.failure) == (1, id), files
        assert "ours" in ran.err
        assert not os.path.exists(f"{ready.layer(BUILDPACK, 'bundle')}.toml")
