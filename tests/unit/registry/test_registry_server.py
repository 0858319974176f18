"""The registry that ``pylife registry serve`` runs, asked by plain HTTP as other tools do."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from registry_fixtures import layer_of, opener, push_image

from lifecycle.oci import Digest, Reference
from lifecycle.registry import Anonymous, RegistryClient, RegistrySettings
from lifecycle.registry.server import RegistryServer
from lifecycle.transport.retry import parse_retry_after

Reply = tuple[int, dict[str, str], bytes]


def ask(server: RegistryServer, method: str, path: str, body: object = None, **headers: str) -> Reply:
    connection = http.client.HTTPConnection(server.address, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)  # type: ignore[arg-type]
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_a_chunked_body_is_taken(registry: RegistryServer) -> None:
    digest = Digest.of(b"hello world")
    _, headers, _ = ask(registry, "POST", "/v2/app/blobs/uploads/")
    status, headers, _ = ask(registry, "PATCH", headers["location"], iter([b"hello ", b"world"]))
    assert (status, headers["range"]) == (202, "0-10")
    status, _, _ = ask(registry, "PUT", f"{headers['location']}?digest={digest}")
    assert status == 201
    assert ask(registry, "GET", f"/v2/app/blobs/{digest}")[2] == b"hello world"


def test_a_blob_in_one_post_is_taken(registry: RegistryServer) -> None:
    digest = Digest.of(b"hello")
    assert ask(registry, "POST", f"/v2/app/blobs/uploads/?digest={digest}", b"hello")[0] == 201
    assert ask(registry, "HEAD", f"/v2/app/blobs/{digest}")[1]["content-length"] == "5"


def test_bytes_with_another_digest_are_refused_and_gone(registry: RegistryServer) -> None:
    digest = Digest.of(b"hello")
    status, _, body = ask(registry, "POST", f"/v2/app/blobs/uploads/?digest={digest}", b"jello")
    assert status == 400 and json.loads(body)["errors"][0]["code"] == "DIGEST_INVALID"
    assert ask(registry, "HEAD", f"/v2/app/blobs/{digest}")[0] == 404
    assert list((registry.shelf.folder / "incoming").iterdir()) == []


def test_ranges_are_served(registry: RegistryServer) -> None:
    digest = Digest.of(b"hello")
    ask(registry, "POST", f"/v2/app/blobs/uploads/?digest={digest}", b"hello")
    status, headers, body = ask(registry, "GET", f"/v2/app/blobs/{digest}", Range="bytes=1-3")
    assert (status, headers["content-range"], body) == (206, "bytes 1-3/5", b"ell")
    assert ask(registry, "GET", f"/v2/app/blobs/{digest}", Range="bytes=9-")[0] == 416


def test_a_chunk_out_of_order_is_refused(registry: RegistryServer) -> None:
    _, headers, _ = ask(registry, "POST", "/v2/app/blobs/uploads/")
    assert ask(registry, "PATCH", headers["location"], b"x", Content_Range="5-5")[0] == 416


@pytest.mark.parametrize(
    "path", ["/", "/v2/App/tags/list", "/v2/a/manifests/x/y", "/v2/a/../../x/tags/list", "/v2/a//b/tags/list"]
)
def test_other_paths_are_not_found(registry: RegistryServer, path: str) -> None:
    assert ask(registry, "GET", path)[0] == 404


@pytest.mark.parametrize("identifier", ["..", "sha256:..", "%2e%2e%2f_tags", "-x", "a%00b"])
def test_a_hostile_tag_touches_no_file(registry: RegistryServer, identifier: str) -> None:
    for method in ("GET", "DELETE"):
        assert ask(registry, method, f"/v2/app/manifests/{identifier}")[0] in (400, 404)
    assert ask(registry, "PUT", f"/v2/app/manifests/{identifier}", b"{}")[0] in (400, 404)


def test_a_mount_from_outside_the_repositories_is_not_made(registry: RegistryServer) -> None:
    digest = Digest.of(b"x")
    ask(registry, "POST", f"/v2/a/blobs/uploads/?digest={digest}", b"x")
    assert ask(registry, "POST", f"/v2/b/blobs/uploads/?mount={digest}&from=b/../a")[0] == 202
    assert ask(registry, "POST", f"/v2/b/blobs/uploads/?mount={digest}&from=a")[0] == 201


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"layers":[{"size":-1}]}', b"\xff"])
def test_a_manifest_that_is_none_is_refused(registry: RegistryServer, body: bytes) -> None:
    assert ask(registry, "PUT", "/v2/app/manifests/1", body)[0] == 400


def test_a_manifest_above_the_limit_is_refused(registry: RegistryServer) -> None:
    assert ask(registry, "PUT", "/v2/app/manifests/1", b" " * (5 << 20))[0] == 413


@pytest.mark.parametrize("headers", [{"Content_Length": "many"}, {"Content_Length": "-5"}])
def test_a_malformed_request_is_refused_and_the_server_goes_on(
    registry: RegistryServer, headers: dict[str, str]
) -> None:
    _, begun, _ = ask(registry, "POST", "/v2/app/blobs/uploads/")
    assert ask(registry, "PATCH", begun["location"], **headers)[0] == 400
    assert ask(registry, "GET", "/v2/")[0] == 200


def test_the_catalog_lists_repositories(registry: RegistryServer) -> None:
    for name in ("b/c", "a"):
        ask(registry, "POST", f"/v2/{name}/blobs/uploads/?digest={Digest.of(b'x')}", b"x")
    assert json.loads(ask(registry, "GET", "/v2/_catalog")[2]) == {"repositories": ["a", "b/c"]}


def test_a_blob_is_of_its_repository_only(registry: RegistryServer) -> None:
    digest = Digest.of(b"x")
    ask(registry, "POST", f"/v2/a/blobs/uploads/?digest={digest}", b"x")
    assert ask(registry, "GET", f"/v2/b/blobs/{digest}")[0] == 404
    assert ask(registry, "DELETE", f"/v2/a/blobs/{digest}")[0] == 202
    assert ask(registry, "GET", f"/v2/a/blobs/{digest}")[0] == 404


def test_a_folder_outlives_the_server(tmp_path: Path) -> None:
    with RegistryServer(tmp_path / "data") as server:
        name = server.address
        with RegistryClient(RegistrySettings(), Anonymous()) as client:
            pushed = push_image(client, Reference.parse(f"{name}/team/app:1"), [b"one"])
    with RegistryServer(tmp_path / "data") as server, RegistryClient(RegistrySettings(), Anonymous()) as client:
        again = Reference.parse(f"{server.address}/team/app:1")
        assert client.manifest(again)[2] == pushed.digest
        assert client.read_blob(again, pushed.layers[0]) == b"one"


def test_a_server_without_a_folder_leaves_nothing(tmp_path: Path) -> None:
    with RegistryServer() as server:
        folder = server.shelf.folder
        assert folder.is_dir()
    assert not folder.exists()


def test_an_ipv6_loopback_registry_is_pushed_to() -> None:
    try:
        server = RegistryServer(host="::1")
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with server, RegistryClient(RegistrySettings(), Anonymous()) as client:
        name = Reference.parse(f"{server.address}/app:1")
        assert client.push_blob(name, layer_of(b"x"), opener(b"x")) == "uploaded"


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("0", 0, 0), ("7", 7, 7), ("-3", 0, 0), (None, None, None), ("soon", None, None), ("", None, None)],
)
def test_retry_after_is_read(value: str | None, least: float | None, most: float | None) -> None:
    found = parse_retry_after(value)
    assert found is most if most is None else least <= found <= most  # type: ignore[operator]


def test_retry_after_may_be_a_date() -> None:
    found = parse_retry_after(formatdate(time.time() + 30, usegmt=True))
    assert found is not None and 27 <= found <= 31
    assert parse_retry_after(formatdate(time.time() - 30, usegmt=True)) == 0.0


def test_importing_the_package_leaves_the_http_client_out() -> None:
    code = "import lifecycle.registry, sys; sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_taken_port_touches_no_folder(registry: RegistryServer, tmp_path: Path) -> None:
    port = int(registry.address.rpartition(":")[2])
    with pytest.raises(OSError):
        RegistryServer(tmp_path / "data", port=port)
    assert not (tmp_path / "data").exists()
