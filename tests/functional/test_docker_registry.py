"""The registry client against Debian's docker-registry, and skopeo as a second opinion on both our ends."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import random
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.events import Message, RecordingSink
from lifecycle.oci import Descriptor, Dialect, Digest, ImageConfig, Manifest, Platform, Reference, mediatypes
from lifecycle.registry import Anonymous, Credentials, Keychain, RegistryClient, RegistrySettings, SingleKey
from lifecycle.registry.errors import NotFound, Refused, Unauthorized
from lifecycle.registry.login import login, logout
from lifecycle.registry.server import RegistryServer

pytestmark = pytest.mark.functional
FAST = RegistrySettings(backoff=0.01, longest_backoff=0.05)
BLOB = random.Random(7).randbytes(6_000_000)
LAYER = Descriptor(mediatypes.OCI_LAYER_GZIP, Digest.of(BLOB), len(BLOB))
ANN = Credentials("a test", "ann", "pw:with colon")

MakeClient = Callable[..., RegistryClient]


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    made: list[RegistryClient] = []

    def make(keychain: Keychain | None = None, settings: RegistrySettings = FAST, sink: Any = None) -> RegistryClient:
        made.append(RegistryClient(settings, keychain or Anonymous(), sink))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def skopeo(tool: Callable[[str], str]) -> Callable[..., bytes]:
    """Runs skopeo, plain HTTP allowed; its output."""
    program = tool("skopeo")

    def run(*arguments: str) -> bytes:
        done = subprocess.run([program, "--insecure-policy", *arguments], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


def push_image(client: RegistryClient, ref: Reference, dialect: Dialect = Dialect.OCI) -> Manifest:
    config = ImageConfig.empty(Platform.parse("linux/amd64"))
    described = Descriptor(dialect.config, config.digest, len(config.raw))
    layer = Descriptor(dialect.layer("gzip"), LAYER.digest, LAYER.size)
    client.push_blob(ref, described, lambda: io.BytesIO(config.raw))
    client.push_blob(ref, layer, lambda: io.BytesIO(BLOB))
    manifest = Manifest.build(dialect, described, [layer])
    client.put_manifest(ref, manifest.raw, manifest.media_type)
    return manifest


@pytest.mark.parametrize("dialect", list(Dialect))
def test_an_image_is_pushed_listed_read_and_deleted(
    registry_server: Any, make_client: MakeClient, dialect: Dialect
) -> None:
    client, ref = make_client(), Reference.parse(f"{registry_server.address}/team/app:1")
    assert client.head(ref) is None
    assert client.can_push(ref)
    pushed = push_image(client, ref, dialect)
    fresh = make_client()
    assert fresh.head(ref) == pushed.descriptor
    assert fresh.manifest(ref) == (pushed.raw, pushed.media_type, pushed.digest)
    assert fresh.read_blob(ref, pushed.layers[0]) == BLOB
    assert fresh.tags(ref) == ["1"]
    assert fresh.referrers(ref, pushed.digest) == []
    fresh.delete_manifest(ref.with_digest(pushed.digest))
    assert fresh.head(ref) is None
    with pytest.raises(NotFound, match="MANIFEST_UNKNOWN"):
        fresh.manifest(ref)


def test_a_blob_is_mounted_from_another_repository(registry_server: Any, make_client: MakeClient) -> None:
    client = make_client()
    base, app = (Reference.parse(f"{registry_server.address}/{name}") for name in ("base/run", "team/app"))
    client.push_blob(base, LAYER, lambda: io.BytesIO(BLOB))
    assert client.push_blob(app, LAYER, lambda: pytest.fail("it was read"), mount_from=base) == "mounted"
    assert make_client().read_blob(app, LAYER) == BLOB


def test_deletion_switched_off_is_explained(start_registry: Any, make_client: MakeClient) -> None:
    server = start_registry(deletable=False)
    client, ref = make_client(), Reference.parse(f"{server.address}/team/app:1")
    pushed = push_image(client, ref)
    with pytest.raises(Refused) as caught:
        client.delete_manifest(ref.with_digest(pushed.digest))
    assert "switched off" in caught.value.fix


def test_basic_authentication_and_login(
    guarded_registry_server: Any, make_client: MakeClient, tmp_path: Path, skopeo: Callable[..., bytes]
) -> None:
    address = guarded_registry_server.address
    ref = Reference.parse(f"{address}/team/app:1")
    pushed = push_image(make_client(SingleKey(address, ANN)), ref)
    with pytest.raises(Unauthorized, match="none were found"):
        make_client().manifest(ref)
    assert not make_client(SingleKey(address, Credentials("a test", "ann", "wrong"))).can_push(ref)
    environ = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    with pytest.raises(Unauthorized):
        login(address, "ann", "wrong", settings=FAST, environ=environ)
    login(address, ANN.username, ANN.password, settings=FAST, environ=environ)
    inspected = skopeo(
        "inspect", "--raw", "--tls-verify=false", f"--authfile={tmp_path / 'auth.json'}", f"docker://{ref}"
    )
    assert Digest.of(inspected) == pushed.digest
    assert logout(address, environ=environ)


@pytest.mark.parametrize("cut", [1, 70_000, 3_000_000])
def test_an_upload_cut_on_the_way_goes_on(registry_server: Any, make_client: MakeClient, cut: int) -> None:
    sink = RecordingSink()
    with _Cutter(registry_server.address, upstream=cut) as cutter:
        ref = Reference.parse(f"{cutter.address}/team/app:1")
        assert make_client(sink=sink).push_blob(ref, LAYER, lambda: io.BytesIO(BLOB)) == "uploaded"
    assert cutter.cuts == 1
    assert any(isinstance(event, Message) and "trying again" in event.text for event in sink.events)
    direct = Reference.parse(f"{registry_server.address}/team/app:1")
    assert make_client().read_blob(direct, LAYER) == BLOB


@pytest.mark.parametrize("cut", [400, 70_000, 3_000_000])
def test_a_download_cut_on_the_way_goes_on(registry_server: Any, make_client: MakeClient, cut: int) -> None:
    make_client().push_blob(Reference.parse(f"{registry_server.address}/a/b"), LAYER, lambda: io.BytesIO(BLOB))
    with _Cutter(registry_server.address, downstream=cut) as cutter:
        assert make_client().read_blob(Reference.parse(f"{cutter.address}/a/b"), LAYER) == BLOB
    assert cutter.cuts == 1


def test_skopeo_reads_what_we_push_and_we_what_skopeo_pushes(
    registry_server: Any, make_client: MakeClient, tmp_path: Path, skopeo: Callable[..., bytes]
) -> None:
    with RegistryServer(tmp_path / "ours") as ours:
        theirs = Reference.parse(f"{registry_server.address}/team/app:1")
        pushed = push_image(make_client(), theirs)
        options = ("--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests")
        skopeo("copy", *options, f"docker://{theirs}", f"docker://{ours.address}/copied/app:2")
        copy = Reference.parse(f"{ours.address}/copied/app:2")
        assert make_client().manifest(copy)[2] == pushed.digest
        assert make_client().read_blob(copy, LAYER) == BLOB
        tags = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{ours.address}/copied/app"))
        assert tags["Tags"] == ["2"]
        skopeo("delete", "--tls-verify=false", f"docker://{copy}")
        assert make_client().head(copy) is None


def test_skopeo_logs_in_to_our_registry_with_a_token(
    make_client: MakeClient, tmp_path: Path, skopeo: Callable[..., bytes]
) -> None:
    from lifecycle.registry.gate import BearerGate

    with RegistryServer(gate=BearerGate({ANN.username: ANN.password})) as ours:
        ref = Reference.parse(f"{ours.address}/team/app:1")
        pushed = push_image(make_client(SingleKey(ours.address, ANN)), ref)
        authfile = tmp_path / "auth.json"
        secret = base64.b64encode(f"{ANN.username}:{ANN.password}".encode()).decode()
        authfile.write_text(json.dumps({"auths": {ours.address: {"auth": secret}}}))
        raw = skopeo("inspect", "--raw", "--tls-verify=false", f"--authfile={authfile}", f"docker://{ref}")
        assert Digest.of(raw) == pushed.digest


class _Cutter:
    """A TCP relay that cuts the first connection which carries more than so many bytes of payload one way."""

    def __init__(self, target: str, *, upstream: int | None = None, downstream: int | None = None) -> None:
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._limits = {"up": upstream, "down": downstream}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0

    def __enter__(self) -> _Cutter:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for way, source, sink in (("up", client, server), ("down", server, client)):
                threading.Thread(target=self._relay, args=(way, source, sink), daemon=True).start()

    def _relay(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        """Pass bytes on. Small messages (requests and answers without a payload) never reach the limit."""
        carried = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                limit = self._limits[way]
                if limit is not None and not self.cuts and (len(data) > 4000 or carried > 4000):
                    carried += len(data)
                    if carried > limit:
                        self.cuts += 1
                        sink.sendall(data[: max(0, len(data) - (carried - limit))])
                        break
                sink.sendall(data)
        for end in (source, sink):
            _close(end)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
