"""Reading from a registry: digests hold, and a broken connection is not the end."""

from __future__ import annotations

import io
import threading

import pytest
from registry_fixtures import layer_of, opener, push_image, some_bytes

from lifecycle.events import Message, RecordingSink, StepEnded, StepProgress
from lifecycle.oci import Descriptor, Digest, DigestMismatch, Reference, mediatypes
from lifecycle.registry import RegistryClient
from lifecycle.registry.errors import BadAnswer, NotARegistry, NotFound, RateLimited, Unavailable, Unreachable
from lifecycle.testing.registry import (
    Corrupt,
    Drop,
    DropBody,
    FaultyRegistry,
    Reply,
    Slow,
    Surplus,
    Without,
    failure,
    html,
)

BLOB = some_bytes(3_000_000)


@pytest.fixture
def blob(client: RegistryClient, app: Reference) -> Descriptor:
    client.push_blob(app, layer_of(BLOB), opener(BLOB))
    return layer_of(BLOB)


def test_a_pushed_image_reads_back_the_same(client: RegistryClient, app: Reference) -> None:
    pushed = push_image(client, app, [b"one", b"two"])
    raw, media_type, digest = client.manifest(app)
    assert (raw, media_type, digest) == (pushed.raw, mediatypes.OCI_MANIFEST, pushed.digest)
    assert client.read_blob(app, pushed.layers[1]) == b"two"


def test_head_describes_without_a_body(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    pushed = push_image(client, app, [b"one"])
    assert client.head(app) == pushed.descriptor
    assert not registry.requests("GET", "/manifests/")
    assert client.head(app.with_tag("none")) is None


@pytest.mark.parametrize("refusal", [Reply(405), Reply(400), Without(answer_header="Docker-Content-Digest")])
def test_head_falls_back_to_get(
    client: RegistryClient, app: Reference, registry: FaultyRegistry, refusal: Reply
) -> None:
    pushed = push_image(client, app, [b"one"])
    registry.fault(refusal, method="HEAD", times=None)
    assert client.head(app) == pushed.descriptor


def test_a_missing_manifest_is_not_found_with_the_registrys_words(client: RegistryClient, app: Reference) -> None:
    with pytest.raises(NotFound) as caught:
        client.manifest(app)
    error = caught.value
    assert error.status == 404
    assert [fault.code for fault in error.faults] == ["MANIFEST_UNKNOWN"]
    assert "MANIFEST_UNKNOWN" in str(error) and "/v2/team/app/manifests/1" in str(error)


def test_a_manifest_is_asked_for_once_by_digest(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    pushed = push_image(client, app, [b"one"])
    by_digest = app.with_digest(pushed.digest)
    assert client.manifest(by_digest)[0] == pushed.raw
    assert not registry.requests("GET", "/manifests/")


def test_a_manifest_with_other_bytes_than_asked_for_is_refused(
    make_client: object, client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    pushed = push_image(client, app, [b"one"])
    registry.fault(Corrupt(at=-1), method="GET", path="/manifests/", times=None)
    registry.fault(Without(answer_header="Docker-Content-Digest"), method="GET", path="/manifests/", times=None)
    fresh = make_client()  # type: ignore[operator]
    with pytest.raises(DigestMismatch):
        fresh.manifest(app.with_digest(pushed.digest))


def test_a_manifest_under_a_tag_must_have_the_digest_that_the_registry_says(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    push_image(client, app, [b"one"])
    registry.fault(Corrupt(at=-1), method="GET", path="/manifests/")
    with pytest.raises(DigestMismatch, match="registry says"):
        client.manifest(app)


def test_a_huge_manifest_is_refused(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(Reply(200, {"Content-Type": mediatypes.OCI_MANIFEST}, b" " * (9 << 20)), path="/manifests/")
    with pytest.raises(BadAnswer, match="too long"):
        client.manifest(app)


def test_an_answer_in_html_is_said_plainly(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(html(), path="/manifests/")
    with pytest.raises(NotARegistry, match="answered with a web page, not a registry"):
        client.manifest(app)


def test_html_in_place_of_a_blob_is_said_plainly(
    client: RegistryClient, app: Reference, blob: Descriptor, registry: FaultyRegistry
) -> None:
    registry.fault(html(), method="GET", path="/blobs/")
    with pytest.raises(NotARegistry, match="web page"):
        client.open_blob(app, blob)


def test_a_web_server_is_no_registry(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(html(404), path="/v2/$", times=None)
    with pytest.raises(NotARegistry, match="web page"):
        client.manifest(app)


def test_nobody_there_is_unreachable_and_tried_thrice(client: RegistryClient, sink: RecordingSink) -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1 cannot be reached"):
        client.manifest(Reference.parse("127.0.0.1:1/app:1"))
    assert len([event for event in sink.events if isinstance(event, Message)]) == 2


def test_a_blob_is_read_in_pieces_of_any_size(client: RegistryClient, app: Reference, blob: Descriptor) -> None:
    with client.open_blob(app, blob) as stream:
        parts = [stream.read(1), stream.read(70_000), stream.read(0)]
        into = bytearray(100)
        assert stream.readinto(into) == 100  # type: ignore[attr-defined]
        rest = stream.read()
        assert stream.read(1) == b""
    assert b"".join([*parts, bytes(into), rest]) == BLOB
    assert [len(part) for part in parts] == [1, 70_000, 0]


def test_a_blob_of_no_bytes_is_read(client: RegistryClient, app: Reference) -> None:
    client.push_blob(app, layer_of(b""), opener(b""))
    with client.open_blob(app, layer_of(b"")) as stream:
        assert stream.read() == b""


def test_a_blob_with_other_bytes_is_refused_before_its_end(
    client: RegistryClient, app: Reference, blob: Descriptor, registry: FaultyRegistry
) -> None:
    registry.fault(Corrupt(at=10), method="GET", path="/blobs/")
    got = io.BytesIO()
    with client.open_blob(app, blob) as stream, pytest.raises(DigestMismatch):
        while piece := stream.read(65536):
            got.write(piece)
    assert len(got.getvalue()) < len(BLOB)


def test_a_blob_of_another_size_is_refused_at_once(client: RegistryClient, app: Reference, blob: Descriptor) -> None:
    wrong = Descriptor(blob.media_type, blob.digest, blob.size + 1)
    with pytest.raises(DigestMismatch, match="another size"):
        client.open_blob(app, wrong)


def test_a_blob_with_surplus_bytes_is_refused(
    client: RegistryClient, app: Reference, blob: Descriptor, registry: FaultyRegistry
) -> None:
    registry.fault(Surplus(5), method="GET", path="/blobs/")
    with pytest.raises(DigestMismatch):
        client.open_blob(app, blob)


@pytest.mark.parametrize("after", [0, 1, 1_000_000, 2_999_999])
def test_a_dropped_blob_goes_on_where_it_stopped(
    client: RegistryClient, app: Reference, blob: Descriptor, registry: FaultyRegistry, after: int
) -> None:
    registry.fault(DropBody(after), method="GET", path="/blobs/")
    with client.open_blob(app, blob) as stream:
        assert stream.read() == BLOB
    ranges = [seen.headers.get("range") for seen in registry.requests("GET", "/blobs/")]
    assert ranges == [None, f"bytes={after}-2999999" if after else None]


def test_a_blob_dropped_many_times_with_progress_arrives(
    client: RegistryClient, app: Reference, registry: FaultyRegistry, sink: RecordingSink
) -> None:
    data = some_bytes(12 << 20)
    client.push_blob(app, layer_of(data), opener(data))
    registry.fault(DropBody((1 << 20) + 1), method="GET", path="/blobs/", times=11)
    with client.open_blob(app, layer_of(data)) as stream:
        assert stream.read() == data
    assert len(registry.requests("GET", "/blobs/")) == 12
    assert sum(isinstance(event, Message) and "trying again" in event.text for event in sink.events) == 11


def test_a_registry_without_range_is_read_past_what_is_there(
    client: RegistryClient, app: Reference, blob: Descriptor, registry: FaultyRegistry
) -> None:
    registry.fault(DropBody(1_000_000), method="GET", path="/blobs/")
    registry.fault(Without(header="Range"), method="GET", path="/blobs/", times=None)
    with client.open_blob(app, blob) as stream:
        assert stream.read() == BLOB


def test_a_blob_that_changes_after_a_drop_is_refused(
    client: RegistryClient, app: Reference, blob: Descriptor, registry: FaultyRegistry
) -> None:
    registry.fault(DropBody(1_000_000), method="GET", path="/blobs/")
    registry.fault(Without(header="Range"), method="GET", path="/blobs/", times=None)
    with client.open_blob(app, blob) as stream:
        stream.read(500)
        registry.fault(Corrupt(at=3), method="GET", path="/blobs/")
        with pytest.raises(DigestMismatch, match="other bytes"):
            stream.read()


def test_a_range_that_begins_elsewhere_is_refused(
    client: RegistryClient, app: Reference, blob: Descriptor, registry: FaultyRegistry
) -> None:
    registry.fault(DropBody(1000), method="GET", path="/blobs/")
    with client.open_blob(app, blob) as stream:
        stream.read(500)
        registry.fault(
            Reply(206, {"Content-Range": "bytes 999-2999999/3000000"}, BLOB[999:]), method="GET", path="/blobs/"
        )
        with pytest.raises(BadAnswer, match="bytes 999-"):
            stream.read()


def test_a_blob_that_always_drops_fails_after_a_bounded_number_of_tries(
    client: RegistryClient, app: Reference, blob: Descriptor, registry: FaultyRegistry, sink: RecordingSink
) -> None:
    registry.fault(DropBody(10), method="GET", path="/blobs/", times=None)
    with client.open_blob(app, blob) as stream, pytest.raises(Unreachable):
        stream.read()
    assert len(registry.requests("GET", "/blobs/")) == 6
    ended = [event for event in sink.events if isinstance(event, StepEnded) and event.step.startswith("pull/")]
    assert [event.outcome for event in ended] == ["failed"]


def test_a_stalled_answer_is_given_up(make_client: object, app: Reference, registry: FaultyRegistry) -> None:
    client = make_client(stall_timeout=0.1, attempts=2)  # type: ignore[operator]
    registry.fault(Slow(0.5), method="GET", path="/manifests/", times=None)
    with pytest.raises(Unreachable, match="too long"):
        client.manifest(app)


def test_a_dropped_connection_is_tried_again(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    pushed = push_image(client, app, [b"one"])
    registry.fault(Drop(), method="GET", path="/manifests/", times=2)
    assert client.manifest(app)[2] == pushed.digest


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_passing_server_error_is_tried_again_and_told(
    client: RegistryClient, app: Reference, registry: FaultyRegistry, sink: RecordingSink, status: int
) -> None:
    pushed = push_image(client, app, [b"one"])
    registry.fault(failure(status), method="GET", path="/manifests/", times=3)
    assert client.manifest(app)[2] == pushed.digest
    told = [event.text for event in sink.events if isinstance(event, Message)]
    assert len(told) == 3 and all(f"HTTP {status}" in text and "trying again" in text for text in told)


def test_a_lasting_server_error_ends_after_six_tries(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    registry.fault(failure(500, "UNKNOWN", "disk on fire"), path="/manifests/", times=None)
    with pytest.raises(Unavailable, match="disk on fire"):
        client.manifest(app)
    assert len(registry.requests("GET", "/manifests/")) == 6


def test_a_gateways_html_error_is_unavailable(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(html(502), path="/manifests/", times=None)
    with pytest.raises(Unavailable, match="web page"):
        client.manifest(app)


def test_retry_after_is_waited_for(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    pushed = push_image(client, app, [b"one"])
    registry.fault(failure(429, headers={"Retry-After": "1"}), method="GET", path="/manifests/")
    assert client.manifest(app)[2] == pushed.digest


def test_a_retry_after_of_hours_fails_at_once(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(failure(429, "TOOMANYREQUESTS", headers={"Retry-After": "7200"}), path="/manifests/", times=None)
    with pytest.raises(RateLimited, match="asks to wait 7200 s"):
        client.manifest(app)
    assert len(registry.requests("GET", "/manifests/")) == 1


def test_an_error_body_is_read_only_so_far(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(Reply(400, {"Content-Type": "text/plain"}, b"no " * (1 << 20)), path="/manifests/")
    with pytest.raises(Exception, match="no no no") as caught:
        client.manifest(app)
    assert len(str(caught.value)) < 1000


def test_progress_is_told_in_bytes(
    client: RegistryClient, app: Reference, blob: Descriptor, sink: RecordingSink
) -> None:
    with client.open_blob(app, blob) as stream:
        stream.read()
    step = f"pull/team/app/{blob.digest.short}"
    told = [event for event in sink.events if isinstance(event, StepProgress) and event.step == step]
    assert told[-1] == StepProgress(step, len(BLOB), len(BLOB))
    assert [event.outcome for event in sink.events if isinstance(event, StepEnded) and event.step == step] == ["done"]


def test_many_threads_share_one_client(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    blobs = [some_bytes(100_000, seed) for seed in range(12)]
    for data in blobs:
        client.push_blob(app, layer_of(data), opener(data))
    got: dict[int, bytes] = {}

    def read(number: int) -> None:
        with client.open_blob(app, layer_of(blobs[number])) as stream:
            got[number] = stream.read()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[number] for number in range(12)] == blobs
    assert len(registry.requests("GET", "/v2/$")) == 1


def test_tags_follow_the_pages(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    config = layer_of(b"x")
    client.push_blob(app, config, opener(b"x"))
    manifest = push_image(client, app, [b"one"])
    for number in range(7):
        client.put_manifest(app.with_tag(f"v{number}"), manifest.raw, manifest.media_type)
    next_page = '</v2/team/app/tags/list?n=3&last=v1>; rel="next"'
    registry.fault(
        Reply(200, {"Content-Type": "application/json", "Link": next_page}, b'{"tags":["1","v0","v1"]}'), path="/tags/"
    )
    assert client.tags(app) == ["1", *(f"v{number}" for number in range(7))]
    assert len(registry.requests("GET", "/tags/list")) == 3


def test_pages_that_go_in_a_circle_are_refused(
    client: RegistryClient, app: Reference, registry: FaultyRegistry
) -> None:
    link = "</v2/team/app/tags/list?n=1000>; rel=next"
    registry.fault(
        Reply(200, {"Content-Type": "application/json", "Link": link}, b'{"tags":[]}'), path="/tags/", times=None
    )
    with pytest.raises(BadAnswer, match="astray"):
        client.tags(app)


def test_has_blob_is_asked_once(client: RegistryClient, app: Reference, registry: FaultyRegistry) -> None:
    assert not client.has_blob(app, Digest.of(b"one"))
    client.push_blob(app, layer_of(b"one"), opener(b"one"))
    asked = len(registry.requests("HEAD", "/blobs/"))
    assert client.has_blob(app, Digest.of(b"one"))
    assert len(registry.requests("HEAD", "/blobs/")) == asked
