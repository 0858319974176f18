"""Writing to a registry: nothing is sent twice, and an interrupted upload goes on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from registry_fixtures import Source, layer_of, opener, push_image, some_bytes

from lifecycle.events import Message, RecordingSink, StepEnded, StepProgress
from lifecycle.oci import Descriptor, Digest, DigestMismatch, Manifest, Reference, mediatypes
from lifecycle.registry import RegistryClient
from lifecycle.registry.errors import BadAnswer, NotFound, Refused, Unavailable
from lifecycle.testing.registry import (
    Corrupt,
    Drop,
    DropAnswer,
    DropUpload,
    FaultyRegistry,
    Reply,
    Slow,
    Without,
    failure,
)

BLOB = some_bytes(3_000_000, 2)
LAYER = layer_of(BLOB)
UPLOAD = r"/blobs/uploads/[0-9a-f]+"


def stored(registry: FaultyRegistry, digest: Digest) -> bytes:
    return registry.shelf.blob_path(digest).read_bytes()


def test_a_blob_goes_in_one_put(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    source = Source(BLOB)
    assert client.push_blob(app, LAYER, source) == "uploaded"
    assert stored(registry, LAYER.digest) == BLOB
    assert [seen.method for seen in registry.requests(path="/blobs/")] == ["HEAD", "POST", "PUT"]
    assert registry.requests("PUT")[0].headers["content-length"] == "3000000"
    assert source.opened == source.closed == 1


def test_a_blob_that_is_there_is_not_opened(
    client: RegistryClient, make_client: Any, app: Reference, registry: FaultyRegistry, sink: RecordingSink
) -> None:
    client.push_blob(app, LAYER, opener(BLOB))
    source = Source(BLOB)
    assert make_client().push_blob(app, LAYER, source) == "exists"
    assert source.opened == 0
    assert [event.outcome for event in sink.events if isinstance(event, StepEnded)][-1] == "reused"


def test_a_blob_pushed_before_is_not_asked_for_again(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    client.push_blob(app, LAYER, opener(BLOB))
    asked = len(registry.seen)
    assert client.push_blob(app, LAYER, opener(BLOB)) == "exists"
    assert len(registry.seen) == asked


def test_a_blob_of_another_repository_is_mounted(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    other = Reference.parse(f"{registry.address}/base/run")
    client.push_blob(other, LAYER, opener(BLOB))
    source = Source(BLOB)
    assert client.push_blob(app, LAYER, source, mount_from=other) == "mounted"
    assert source.opened == 0
    assert client.read_blob(app, LAYER) == BLOB


def test_a_refused_mount_goes_on_as_an_upload_in_the_same_session(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    other = Reference.parse(f"{registry.address}/base/run")
    assert client.push_blob(app, LAYER, opener(BLOB), mount_from=other) == "uploaded"
    assert len(registry.requests("POST")) == 1
    assert stored(registry, LAYER.digest) == BLOB


@pytest.mark.parametrize("refusal", [Reply(405), Reply(404), Reply(403), Reply(400)])
def test_a_registry_that_cannot_mount_is_uploaded_to(
    client: RegistryClient, app: Reference, registry: FaultyRegistry, refusal: Reply
) -> None:
    registry.fault(refusal, method="POST", path="mount=")
    other = Reference.parse(f"{registry.address}/base/run")
    assert client.push_blob(app, LAYER, opener(BLOB), mount_from=other) == "uploaded"
    assert stored(registry, LAYER.digest) == BLOB


def test_a_mount_from_another_registry_is_not_tried(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    client.push_blob(app, LAYER, opener(BLOB), mount_from=Reference.parse("registry.example/base/run"))
    assert not registry.requests("POST", "mount=")


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("after", [1, 1_000_000, 2_999_999])
def test_a_dropped_upload_goes_on_where_the_registry_stopped(
    client: RegistryClient, app: Reference, registry: FaultyRegistry, after: int, seekable: bool
) -> None:
    registry.fault(DropUpload(after), method="PUT", path=UPLOAD)
    source = Source(BLOB, seekable=seekable)
    assert client.push_blob(app, LAYER, source) == "uploaded"
    assert stored(registry, LAYER.digest) == BLOB
    patches = registry.requests("PATCH")
    kept = after if after > 1 else 0  # a Range of 0-0 may mean nothing
    if kept:
        assert [seen.headers["content-range"] for seen in patches] == [f"{after}-2999999"]
        assert len(registry.requests("POST")) == 1
    assert source.opened == source.closed


def test_a_dropped_chunk_goes_on_too(make_client: Any, app: Reference, registry: FaultyRegistry) -> None:
    client = make_client(chunk_size=1 << 20)
    registry.fault(failure(413), method="PUT", path=UPLOAD)
    registry.fault(DropUpload(5000), method="PATCH")
    assert client.push_blob(app, LAYER, opener(BLOB)) == "uploaded"
    assert stored(registry, LAYER.digest) == BLOB
    starts = [seen.headers["content-range"].partition("-")[0] for seen in registry.requests("PATCH")]
    assert starts == ["0", "5000", str(5000 + (1 << 20)), str(5000 + (2 << 20))]


def test_a_lost_answer_to_the_last_request_is_found_out(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    registry.fault(DropAnswer(), method="PUT", path=UPLOAD)
    source = Source(BLOB)
    assert client.push_blob(app, LAYER, source) == "uploaded"
    assert source.opened == 1


@pytest.mark.parametrize("status", [405, 411, 413])
def test_chunks_are_sent_when_the_registry_refuses_the_whole(
    make_client: Any, app: Reference, registry: FaultyRegistry, status: int
) -> None:
    client = make_client(chunk_size=1 << 20)
    registry.fault(failure(status), method="PUT", path=UPLOAD)
    source = Source(BLOB, seekable=False)
    assert client.push_blob(app, LAYER, source) == "uploaded"
    assert [seen.headers["content-range"] for seen in registry.requests("PATCH")] == [
        "0-1048575",
        "1048576-2097151",
        "2097152-2999999",
    ]
    assert source.opened == source.closed == 2


def test_the_registrys_least_chunk_is_heeded(make_client: Any, app: Reference, registry: FaultyRegistry) -> None:
    client = make_client(chunk_size=1000)
    location = "/v2/team/app/blobs/uploads/" + registry.shelf.begin("team/app")
    headers = {"Location": location, "OCI-Chunk-Min-Length": "2000000"}
    registry.fault(failure(413), method="PUT", path=UPLOAD)
    registry.fault(Reply(202, headers), method="POST")
    registry.fault(Reply(202, headers), method="POST")
    assert client.push_blob(app, LAYER, opener(BLOB)) == "uploaded"
    assert [seen.headers["content-length"] for seen in registry.requests("PATCH")] == ["2000000", "1000000"]


def test_a_lost_session_is_begun_anew(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(failure(404, "BLOB_UPLOAD_UNKNOWN"), method="PUT", path=UPLOAD)
    registry.fault(failure(404, "BLOB_UPLOAD_UNKNOWN"), method="GET", path=UPLOAD)
    assert client.push_blob(app, LAYER, opener(BLOB)) == "uploaded"
    assert len(registry.requests("POST")) == 2
    assert stored(registry, LAYER.digest) == BLOB


def test_a_chunk_out_of_order_is_settled_with_the_registry(
    make_client: Any, app: Reference, registry: FaultyRegistry
) -> None:
    client = make_client(chunk_size=1 << 20)
    registry.fault(failure(413), method="PUT", path=UPLOAD)
    registry.fault(failure(416, "RANGE_INVALID"), method="PATCH")
    assert client.push_blob(app, LAYER, opener(BLOB)) == "uploaded"
    assert stored(registry, LAYER.digest) == BLOB


@pytest.mark.parametrize("fault", [failure(500), failure(503), failure(429, headers={"Retry-After": "0"}), Drop()])
def test_a_passing_trouble_while_uploading_is_overcome_and_told(
    client: RegistryClient, app: Reference, registry: FaultyRegistry, sink: RecordingSink, fault: Any
) -> None:
    registry.fault(fault, method="PUT", path=UPLOAD, times=2)
    assert client.push_blob(app, LAYER, opener(BLOB)) == "uploaded"
    assert stored(registry, LAYER.digest) == BLOB
    assert sum(isinstance(event, Message) and "trying again" in event.text for event in sink.events) >= 1


def test_a_lasting_trouble_ends_the_upload(
    client: RegistryClient, app: Reference, registry: FaultyRegistry, sink: RecordingSink
) -> None:
    registry.fault(failure(500, "UNKNOWN", "full"), method="PUT", times=None)
    registry.fault(failure(500, "UNKNOWN", "full"), method="PATCH", times=None)
    source = Source(BLOB)
    with pytest.raises(Unavailable, match="full"):
        client.push_blob(app, LAYER, source)
    assert len(registry.requests("PUT")) + len(registry.requests("PATCH")) == 6
    assert source.opened == source.closed
    assert [event.outcome for event in sink.events if isinstance(event, StepEnded)] == ["failed"]
    assert not client.has_blob(app, LAYER.digest)


def test_a_final_refusal_is_not_tried_again(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(failure(400, "NAME_INVALID", "no such thing"), method="PUT", times=None)
    with pytest.raises(Refused, match="NAME_INVALID: no such thing"):
        client.push_blob(app, LAYER, opener(BLOB))
    assert len(registry.requests("PUT")) == 1


@pytest.mark.parametrize("data", [BLOB[:-1], BLOB + b"x", b""])
def test_a_source_of_another_size_is_refused(client: RegistryClient, app: Reference, data: bytes) -> None:
    with pytest.raises(DigestMismatch, match=r"too (few|many)"):
        client.push_blob(app, LAYER, opener(data))


def test_a_source_with_other_bytes_is_refused_by_the_registry(client: RegistryClient, app: Reference) -> None:
    with pytest.raises(DigestMismatch, match="DIGEST_INVALID"):
        client.push_blob(app, LAYER, opener(BLOB[::-1]))


def test_an_error_of_the_source_comes_through_as_it_is(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    def broken() -> Any:
        raise DigestMismatch("the store is damaged")

    with pytest.raises(DigestMismatch, match="the store is damaged"):
        client.push_blob(app, LAYER, broken)
    assert client.push_blob(app, LAYER, opener(BLOB)) == "uploaded"


def test_a_small_and_an_empty_blob_are_uploaded(client: RegistryClient, app: Reference) -> None:
    for data in (b"", b"x"):
        assert client.push_blob(app, layer_of(data), opener(data)) == "uploaded"
        assert client.read_blob(app, layer_of(data)) == data


def test_a_blob_of_one_byte_goes_in_chunks(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(failure(413), method="PUT", path=UPLOAD)
    assert client.push_blob(app, layer_of(b"x"), opener(b"x")) == "uploaded"
    assert stored(registry, Digest.of(b"x")) == b"x"


def test_locations_may_be_absolute_and_carry_a_query(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    name = registry.shelf.begin("team/app")
    location = f"{registry.url}/v2/team/app/blobs/uploads/{name}?_state=a%2Fb"
    registry.fault(Reply(202, {"Location": location}), method="POST")
    assert client.push_blob(app, LAYER, opener(BLOB)) == "uploaded"
    assert registry.requests("PUT")[0].path.endswith(f"{name}?_state=a%2Fb&digest={LAYER.digest}")


def test_an_upload_without_location_is_a_bad_answer(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    registry.fault(Reply(202), method="POST")
    with pytest.raises(BadAnswer, match="no Location"):
        client.push_blob(app, LAYER, opener(BLOB))


def test_a_registry_that_says_another_digest_is_not_believed(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    registry.fault(Reply(201, {"Docker-Content-Digest": str(Digest.of(b"no"))}), method="PUT", path="/manifests/")
    with pytest.raises(DigestMismatch):
        client.put_manifest(app, b"{}", mediatypes.OCI_MANIFEST)


def test_progress_of_an_upload_is_told_in_bytes(client: RegistryClient, app: Reference, sink: RecordingSink) -> None:
    client.push_blob(app, LAYER, opener(BLOB))
    step = f"push/team/app/{LAYER.digest.short}"
    told = [event for event in sink.events if isinstance(event, StepProgress) and event.step == step]
    assert told[-1] == StepProgress(step, len(BLOB), len(BLOB))


def test_pushing_a_manifest_under_a_wrong_digest_is_refused_here(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    with pytest.raises(DigestMismatch):
        client.put_manifest(app.with_digest(Digest.of(b"other")), b"{}", mediatypes.OCI_MANIFEST)
    assert not registry.seen


def test_a_manifest_whose_blobs_are_missing_is_refused_by_the_registry(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    pushed = push_image(client, app, [b"one"])
    with pytest.raises(NotFound, match="MANIFEST_BLOB_UNKNOWN"):
        client.put_manifest(Reference.parse(f"{registry.address}/else:1"), pushed.raw, pushed.media_type)


def test_a_manifest_is_deleted_with_its_tags(client: RegistryClient, make_client: Any, app: Reference) -> None:
    pushed = push_image(client, app, [b"one"])
    client.delete_manifest(app.with_digest(pushed.digest))
    assert client.head(app) is None
    with pytest.raises(NotFound):
        client.manifest(app.with_digest(pushed.digest))


def test_a_refused_deletion_says_what_to_do(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(failure(405, "UNSUPPORTED"), method="DELETE")
    with pytest.raises(Refused) as caught:
        client.delete_manifest(app)
    assert "by digest" in caught.value.fix


def test_can_push_leaves_no_upload_behind(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    assert client.can_push(app)
    assert [seen.method for seen in registry.requests(path="/blobs/uploads/")] == ["POST", "DELETE"]


def test_one_blob_pushed_by_two_threads_is_sent_once(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    registry.fault(Slow(0.1), method="HEAD")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: client.push_blob(app, LAYER, opener(BLOB)), range(4)))
    assert sorted(results) == ["exists", "exists", "exists", "uploaded"]
    assert len(registry.requests("PUT")) == 1


def test_blobs_that_a_registry_lost_are_sent_again(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    pushed = push_image(client, app, [b"one"])
    registry.shelf.unlink_blob("team/app", pushed.layers[0].digest)
    with pytest.raises(NotFound, match="MANIFEST_BLOB_UNKNOWN"):
        client.put_manifest(app, pushed.raw, pushed.media_type)
    assert client.push_blob(app, pushed.layers[0], opener(b"one")) == "uploaded"
    client.put_manifest(app, pushed.raw, pushed.media_type)


def subject_manifest(client: RegistryClient, app: Reference, subject: Descriptor, kind: str) -> Manifest:
    client.push_blob(app, layer_of(b"{}"), opener(b"{}"))
    config = Descriptor("application/vnd.oci.empty.v1+json", Digest.of(b"{}"), 2)
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "artifactType": kind,
        "config": config.to_json(),
        "layers": [config.to_json()],
        "subject": subject.to_json(),
    }
    return Manifest.parse(json.dumps(document).encode())


@pytest.mark.parametrize("api", [True, False])
def test_referrers_are_found_with_the_api_and_without(
    client: RegistryClient, app: Reference, registry: FaultyRegistry, api: bool
) -> None:
    pushed = push_image(client, app, [b"one"])
    if not api:
        registry.fault(Without(answer_header="OCI-Subject"), method="PUT", times=None)
        registry.fault(Reply(404), path="/referrers/", times=None)
    assert client.referrers(app, pushed.digest) == []
    expected = []
    for kind in ("application/sbom", "application/signature"):
        manifest = subject_manifest(client, app, pushed.descriptor, kind)
        expected.append(client.put_manifest(app.with_digest(manifest.digest), manifest.raw, manifest.media_type))
    assert {item.digest for item in client.referrers(app, pushed.digest)} == set(expected)
    assert [item.digest for item in client.referrers(app, pushed.digest, "application/sbom")] == expected[:1]
    tag = f"sha256-{pushed.digest.hex}"
    assert (tag in client.tags(app)) is not api


def test_a_corrupt_answer_to_a_push_does_not_pass_for_success(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    registry.fault(Reply(200, {"Content-Type": "text/html"}, b"<html>"), method="POST")
    registry.fault(Corrupt(), method="PUT")
    with pytest.raises(Exception, match="web page"):
        client.push_blob(app, LAYER, opener(BLOB))
