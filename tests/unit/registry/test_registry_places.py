"""Mirrors, maps, schemes, TLS and proxies: where a name is really looked for."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from registry_fixtures import layer_of, opener, push_image, some_bytes

from lifecycle.events import Message, RecordingSink
from lifecycle.oci import Reference
from lifecycle.registry import RegistrySettings
from lifecycle.registry.errors import BadCertificate, NotFound, Unreachable
from lifecycle.registry.mirrors import BadRewrite, Rewrite, map_reference, read_places
from lifecycle.testing.registry import Corrupt, FaultyRegistry, failure
from lifecycle.transport.settings import is_loopback


def ref(text: str) -> Reference:
    return Reference.parse(text)


def test_a_mirror_is_a_prefix_of_whole_parts() -> None:
    rewrite = Rewrite.parse("docker.io/library=mirror.example/hub", "--registry-mirror")
    assert str(rewrite.apply(ref("debian:12"))) == "mirror.example/hub/debian:12"
    assert rewrite.apply(ref("docker.io/libraryx/debian")) is None
    assert rewrite.apply(ref("quay.io/library/debian")) is None


def test_a_bare_mirror_stands_for_docker_hub() -> None:
    assert Rewrite.parse("mirror.example", "--registry-mirror") == Rewrite("docker.io", "mirror.example")
    assert Rewrite.parse("index.docker.io/x=m.example", "--registry-map") == Rewrite("docker.io/x", "m.example")


@pytest.mark.parametrize("text", ["", "=", "a=", "=b", "https://a=b", "a = b c", "a"])
def test_a_malformed_map_is_refused(text: str) -> None:
    with pytest.raises(BadRewrite):
        Rewrite.parse(text, "--registry-map")


def test_the_longest_map_wins_and_mirrors_come_first() -> None:
    settings = RegistrySettings.of(
        mirrors=["docker.io=m1.example", "docker.io=m2.example/p"],
        maps=["docker.io=a.example;docker.io/library=b.example/lib"],
    )
    assert str(map_reference(ref("debian:12"), settings.maps)) == "b.example/lib/debian:12"
    assert str(map_reference(ref("ann/app"), settings.maps)) == "a.example/ann/app"
    assert [str(place) for place in read_places(ref("debian"), settings.maps, settings.mirrors)] == [
        "m1.example/library/debian",
        "m2.example/p/library/debian",
        "b.example/lib/debian",
    ]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.8.9.1", True),
        ("[::1]:5000", True),
        ("reg.localhost:80", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("127.evil.example", False),
        ("[fe80::1]:5000", False),
    ],
)
def test_plain_http_is_for_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    assert RegistrySettings().schemes(host) == (("http", "https") if expected else ("https",))


def test_an_insecure_host_may_be_plain_after_tls() -> None:
    settings = RegistrySettings.of(insecure=["reg.example", "other.example:5000"])
    assert settings.schemes("reg.example:5000") == ("https", "http")
    assert settings.schemes("other.example:5000") == ("https", "http")
    assert settings.schemes("other.example") == ("https",)


def test_a_read_takes_the_mirror_and_a_write_the_origin(make_client: Any, registry: FaultyRegistry) -> None:
    with FaultyRegistry() as mirror:
        pushed = push_image(make_client(), ref(f"{mirror.address}/hub/team/app:1"), [b"mirrored"])
        origin = ref(f"{registry.address}/team/app:1")
        client = make_client(mirrors=(Rewrite(registry.address, f"{mirror.address}/hub"),))
        assert client.manifest(origin)[2] == pushed.digest
        assert client.read_blob(origin, pushed.layers[0]) == b"mirrored"
        assert not registry.seen
        mirror.seen.clear()
        push_image(client, origin, [b"new"])
        assert not mirror.seen


def test_what_the_mirror_lacks_is_read_from_the_origin(make_client: Any, registry: FaultyRegistry) -> None:
    with FaultyRegistry() as mirror:
        origin = ref(f"{registry.address}/team/app:1")
        pushed = push_image(make_client(), origin, [b"one"])
        client = make_client(mirrors=(Rewrite(registry.address, mirror.address),))
        assert client.manifest(origin)[2] == pushed.digest
        assert client.head(origin.with_tag("none")) is None


@pytest.mark.parametrize("fault", [failure(500), Corrupt()])
def test_a_broken_mirror_is_left_out_and_told_once(
    make_client: Any, registry: FaultyRegistry, sink: RecordingSink, fault: Any
) -> None:
    with FaultyRegistry() as mirror:
        origin = ref(f"{registry.address}/team/app:1")
        pushed = push_image(make_client(), origin, [b"one"])
        push_image(make_client(), ref(f"{mirror.address}/team/app:1"), [b"one"])
        mirror.fault(fault, path="/manifests/", times=None)
        client = make_client(mirrors=(Rewrite(registry.address, mirror.address),))
        assert client.manifest(origin)[2] == pushed.digest
        assert client.read_blob(origin, pushed.layers[0]) == b"one"
        told = [event for event in sink.events if isinstance(event, Message) and "left out" in event.text]
        assert len(told) == 1


def test_a_mirror_that_is_not_there_does_not_stop_a_read(make_client: Any, registry: FaultyRegistry) -> None:
    origin = ref(f"{registry.address}/team/app:1")
    pushed = push_image(make_client(), origin, [b"one"])
    client = make_client(mirrors=(Rewrite(registry.address, "127.0.0.1:1"),))
    assert client.manifest(origin)[2] == pushed.digest


def test_the_origins_failure_is_the_one_told(make_client: Any, registry: FaultyRegistry) -> None:
    client = make_client(mirrors=(Rewrite(registry.address, "127.0.0.1:1"),))
    with pytest.raises(NotFound, match="team/app"):
        client.manifest(ref(f"{registry.address}/team/app:1"))


def test_a_map_reads_elsewhere_only(make_client: Any, registry: FaultyRegistry) -> None:
    pushed = push_image(make_client(), ref(f"{registry.address}/copies/debian:12"), [b"one"])
    client = make_client(maps=(Rewrite("docker.io/library", f"{registry.address}/copies"),))
    assert client.manifest(ref("debian:12"))[2] == pushed.digest
    result = client.push_blob(
        ref(f"{registry.address}/app"), pushed.layers[0], opener(b"one"), mount_from=ref("debian:12")
    )
    assert result == "mounted"


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_a_ca_file_is_trusted(make_client: Any, tls: ssl.SSLContext, certificate: tuple[Path, Path]) -> None:
    data = some_bytes(2_000_000)
    with FaultyRegistry(tls=tls) as server:
        client = make_client(ca_files=(certificate[0],))
        name = ref(f"{server.address}/app:1")
        push_image(client, name, [data])
        assert client.read_blob(name, layer_of(data)) == data


def test_ssl_cert_file_is_honoured(
    make_client: Any, tls: ssl.SSLContext, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with FaultyRegistry(tls=tls) as server:
        assert make_client().head(ref(f"{server.address}/app:1")) is None


def test_certs_d_is_read_for_its_host(
    make_client: Any, tls: ssl.SSLContext, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    with FaultyRegistry(tls=tls) as server:
        (tmp_path / server.address).mkdir()
        (tmp_path / server.address / "ca.crt").write_bytes(certificate[0].read_bytes())
        assert make_client(certs_dirs=(tmp_path,)).head(ref(f"{server.address}/app:1")) is None


def test_an_unknown_authority_is_refused(make_client: Any, tls: ssl.SSLContext) -> None:
    with FaultyRegistry(tls=tls) as server:
        with pytest.raises(BadCertificate, match="CERTIFICATE_VERIFY_FAILED") as caught:
            make_client().head(ref(f"{server.address}/app:1"))
        assert "--ca-file" in caught.value.fix
        assert not server.seen


def test_an_insecure_host_is_not_verified(make_client: Any, tls: ssl.SSLContext) -> None:
    with FaultyRegistry(tls=tls) as server:
        client = make_client(insecure=frozenset({server.address}))
        assert client.head(ref(f"{server.address}/app:1")) is None


def test_a_ca_file_without_certificates_is_told(make_client: Any, tls: ssl.SSLContext, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with FaultyRegistry(tls=tls) as server, pytest.raises(BadCertificate, match=r"empty\.pem"):
        make_client(ca_files=(empty,)).head(ref(f"{server.address}/app:1"))


def test_a_proxy_of_the_environment_is_used_but_not_for_loopback(
    make_client: Any, registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyRegistry() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client = make_client(insecure=frozenset({"reg.invalid"}))
        assert client.head(ref(f"{registry.address}/app:1")) is None
        assert not proxy.seen
        with pytest.raises(NotFound):
            client.manifest(ref("reg.invalid/app:1"))
        assert any(seen.path == "http://reg.invalid/v2/" for seen in proxy.seen)


def test_no_proxy_is_respected(make_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyRegistry() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", ".invalid")
        client = make_client(insecure=frozenset({"reg.invalid"}))
        with pytest.raises(Unreachable):
            client.manifest(ref("reg.invalid/app:1"))
        assert not proxy.seen


def test_a_proxy_setting_that_cannot_be_used_is_told(make_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy.invalid")
    with pytest.raises(Unreachable, match="proxy settings"):
        make_client().manifest(ref("reg.invalid/app:1"))
