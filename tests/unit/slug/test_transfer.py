"""Slugs on their way: to pipes, files, URLs and objects, and what is told when they do not get there."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from fulldisk import small_files
from objectserver import SECRET, ObjectServer, serve_objects

from lifecycle.errors import PylifeError
from lifecycle.events import Event, Message
from lifecycle.oci.digest import Digest
from lifecycle.slug.archive import SlugOutputClosed
from lifecycle.slug.targets import (
    BadTarget,
    FileTarget,
    ObjectTarget,
    StdoutTarget,
    Target,
    UrlTarget,
    check_target,
    finality,
    parse_target,
)
from lifecycle.slug.transfer import NotSent, TargetUnreachable, fetch_slug, is_current, locate, replaced, send
from lifecycle.source.errors import SourceNotFound
from lifecycle.source.remote_errors import BadUrl, Offline, RemoteNotFound
from lifecycle.source.remotes import Remotes
from lifecycle.source.s3 import object_url, signature
from lifecycle.store.errors import DiskFull, NoAccess
from lifecycle.store.partial import PREFIX
from lifecycle.transport.settings import TransportSettings

OLD, NEW = b"the old slug", os.urandom(3 << 20)
QUICK = TransportSettings(attempts=3, backoff=0.01, stall_timeout=0.5, connect_timeout=2.0)


class Told:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, Message):
            self.messages.append(event.text)


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with serve_objects() as state:
        yield state


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def remotes(server: ObjectServer, tmp_path: Path, told: Told) -> Remotes:
    return Remotes(tmp_path / "remotes", QUICK, environment=server.environment, sink=told)


@pytest.fixture
def slug(tmp_path: Path) -> Path:
    path = tmp_path / "made.tgz"
    path.write_bytes(NEW)
    return path


# -- what a target is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("-", StdoutTarget()),
        ("out/slug.tgz", FileTarget(Path("out/slug.tgz"))),
        ("file:///srv/my%20slug.tgz", FileTarget(Path("/srv/my slug.tgz"))),
        ("file://localhost/srv/slug.tgz", FileTarget(Path("/srv/slug.tgz"))),
        ("HTTPS://store.example/a?b=c", UrlTarget("HTTPS://store.example/a?b=c")),
        ("s3://bucket/home/app/slug.tgz", ObjectTarget("s3://bucket/home/app/slug.tgz")),
    ],
)
def test_a_target_is_known_by_its_form(text: str, target: object) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text", ["", " ", "gs://bucket/key", "ftp://host/x", "s3://bucket", "s3:///key", "s3://b//", "."]
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(BadTarget) as caught:
        parse_target(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["https://", "http:///x", "https://store.example:port/x", "https://a host/x"])
def test_a_url_that_nothing_can_be_sent_to_is_known_before_the_build(text: str) -> None:
    with pytest.raises(BadUrl):
        parse_target(text)


def test_a_file_of_nobody_and_one_behind_closed_doors_are_no_faults(tmp_path: Path) -> None:
    with pytest.raises(BadTarget, match="no user of that name"):
        parse_target("~nobody-is-called-so/slug.tgz")
    with pytest.raises(NoAccess, match="too long"):
        parse_target(str(tmp_path / ("x" * 300)))


def test_a_url_is_shown_without_its_secrets() -> None:
    assert (
        str(UrlTarget("https://me:pass@store.example:8443/a/b?X-Amz-Signature=abc#x"))
        == "https://store.example:8443/a/b"
    )


# -- standard output and files -----------------------------------------------------------------------------------


def test_standard_output_gets_every_byte(slug: Path, remotes: Remotes) -> None:
    out = io.BytesIO()
    send(slug, StdoutTarget(), remotes, stdout=out)
    assert out.getvalue() == NEW


def test_a_pipe_closed_early_is_told_once(slug: Path, remotes: Remotes) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out, pytest.raises(SlugOutputClosed):
        send(slug, StdoutTarget(), remotes, stdout=out)  # closing it afterwards must not fail again


def test_a_file_is_replaced_and_its_link_stays(slug: Path, remotes: Remotes, tmp_path: Path) -> None:
    (tmp_path / "real.tgz").write_bytes(OLD)
    (tmp_path / "link.tgz").symlink_to("real.tgz")
    send(slug, FileTarget(tmp_path / "link.tgz"), remotes)
    assert (tmp_path / "real.tgz").read_bytes() == NEW
    assert (tmp_path / "link.tgz").is_symlink()


def test_a_link_that_leads_to_itself_is_replaced(slug: Path, remotes: Remotes, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    send(slug, FileTarget(tmp_path / "loop"), remotes)
    assert (tmp_path / "loop").read_bytes() == NEW


def test_what_another_user_began_in_the_folder_is_not_in_the_way(slug: Path, remotes: Remotes, tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}0123").mkdir()  # cannot be opened for writing, as another user's file
    send(slug, FileTarget(tmp_path / "slug.tgz"), remotes)
    assert (tmp_path / "slug.tgz").read_bytes() == NEW


def test_a_device_is_written_to_and_not_replaced(slug: Path, remotes: Remotes) -> None:
    send(slug, FileTarget(Path("/dev/null")), remotes)
    assert Path("/dev/null").is_char_device()


def test_a_full_device_is_told(slug: Path, remotes: Remotes) -> None:
    with pytest.raises(DiskFull):
        send(slug, FileTarget(Path("/dev/full")), remotes)


def test_a_full_disk_leaves_the_old_file(slug: Path, remotes: Remotes, tmp_path: Path) -> None:
    old = tmp_path / "slug.tgz"
    old.write_bytes(OLD)
    with small_files(), pytest.raises(DiskFull):
        send(slug, FileTarget(old), remotes)
    assert old.read_bytes() == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.tgz", "slug.tgz"]


def test_a_file_that_cannot_be_written_is_known_before_the_build(tmp_path: Path, slug: Path) -> None:
    for target in (FileTarget(tmp_path / "new"), FileTarget(slug), FileTarget(Path("/dev/null")), StdoutTarget()):
        check_target(target)
    for path, words in ((tmp_path / "missing" / "x", "is no directory"), (slug / "x", "is no directory")):
        with pytest.raises(NoAccess, match=words):
            check_target(FileTarget(path))
    with pytest.raises(NoAccess, match="may not write in"):
        check_target(FileTarget(Path("/proc/self/slug.tgz")))


def test_a_folder_that_is_not_there_is_told(slug: Path, remotes: Remotes, tmp_path: Path) -> None:
    with pytest.raises(NoAccess, match="missing"):
        send(slug, FileTarget(tmp_path / "missing" / "slug.tgz"), remotes)


# -- PUT ---------------------------------------------------------------------------------------------------------


def test_a_url_gets_the_file_with_its_length(slug: Path, remotes: Remotes, server: ObjectServer) -> None:
    send(slug, UrlTarget(server.url("/open/slug.tgz?signature=x")), remotes)
    assert server.objects["/open/slug.tgz"][0] == NEW
    _, path, headers = server.requests[0]
    assert path == "/open/slug.tgz?signature=x"
    assert headers["content-length"] == str(len(NEW))
    assert "content-type" not in headers  # a signature may cover it


def test_an_empty_file_is_sent_too(remotes: Remotes, server: ObjectServer, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    send(tmp_path / "empty", UrlTarget(server.url("/open/x")), remotes)
    assert server.objects["/open/x"][0] == b""
    assert server.requests[0][2]["content-length"] == "0"


def test_what_signs_for_a_store_goes_to_its_own_host_only(slug: Path, remotes: Remotes, server: ObjectServer) -> None:
    with serve_objects() as other:
        server.redirects["/bucket/a"] = other.url("/open/b")
        environment = {**server.environment, "AWS_SESSION_TOKEN": "session"}
        send(slug, ObjectTarget("s3://bucket/a"), replace(remotes, environment=environment))
        assert other.objects["/open/b"][0] == NEW
        assert not {"authorization", "x-amz-security-token"} & set(other.requests[0][2])
    assert server.requests[0][2]["x-amz-security-token"] == "session"


def test_user_and_password_of_a_url_go_to_its_own_host_only(slug: Path, remotes: Remotes, server: ObjectServer) -> None:
    with serve_objects() as other:
        server.redirects["/open/a"] = other.url("/open/b")
        send(slug, UrlTarget(f"http://me:pass@127.0.0.1:{server.port}/open/a"), remotes)
        assert other.objects["/open/b"][0] == NEW
        assert "authorization" not in other.requests[0][2]
    assert server.requests[0][2]["authorization"].startswith("Basic ")


@pytest.mark.parametrize("trouble", [{"statuses": [500, 503]}, {"cut": 2}, {"stall": 1, "stall_seconds": 0.8}])
def test_passing_troubles_are_tried_again(
    slug: Path, remotes: Remotes, server: ObjectServer, told: Told, trouble: dict[str, object]
) -> None:
    for name, value in trouble.items():
        setattr(server, name, value)
    send(slug, UrlTarget(server.url("/open/slug.tgz?signature=secret")), remotes)
    assert server.objects["/open/slug.tgz"][0] == NEW
    assert any("trying again" in text for text in told.messages)
    assert not any("secret" in text for text in told.messages)


@pytest.mark.parametrize(
    ("trouble", "code", "tries", "words"),
    [
        ({"statuses": [403]}, "slug.not-sent", 1, ["HTTP 403", "AccessDenied: Request has expired", "signed for PUT"]),
        ({"statuses": [500] * 3}, "slug.not-sent", 3, ["HTTP 500", "try again later"]),
        ({"statuses": [405]}, "slug.not-sent", 1, ["HTTP 405", "takes PUT"]),
        ({"statuses": [302]}, "slug.not-sent", 1, ["HTTP 302"]),
        ({"cut": 9}, "slug.target-unreachable", 3, ["127.0.0.1"]),
        ({"stall": 9, "stall_seconds": 0.8}, "slug.target-unreachable", 3, ["too long"]),
        ({"early": True}, "slug.not-sent", 1, ["HTTP 413", ".slugignore"]),
    ],
)
def test_a_put_that_fails_is_one_clear_error_and_the_old_slug_stays(
    slug: Path,
    remotes: Remotes,
    server: ObjectServer,
    trouble: dict[str, object],
    code: str,
    tries: int,
    words: list[str],
) -> None:
    server.objects["/open/slug.tgz"] = OLD, {}
    for name, value in trouble.items():
        setattr(server, name, value)
    url = f"http://me:pass@127.0.0.1:{server.port}/open/slug.tgz?X-Amz-Signature=secret"
    with pytest.raises(NotSent) as caught:
        send(slug, UrlTarget(url), remotes)
    error = caught.value
    assert (error.code, error.exit_code, len(server.requests)) == (code, 1, tries)
    shown = f"{error} {error.fix} {error.as_dict()}"
    assert f"The slug cannot be sent to http://127.0.0.1:{server.port}/open/slug.tgz" in shown
    assert all(word in shown for word in words)
    assert "secret" not in shown
    assert "pass" not in shown
    assert server.objects["/open/slug.tgz"] == (OLD, {})


def test_a_host_that_does_not_answer_is_told(slug: Path, remotes: Remotes) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TargetUnreachable, match="cannot be sent"):
        send(slug, UrlTarget(f"http://127.0.0.1:{port}/slug.tgz"), remotes)


def test_nothing_is_sent_offline(slug: Path, server: ObjectServer, tmp_path: Path) -> None:
    remotes = Remotes(tmp_path, offline=True, environment=server.environment)
    for target in (UrlTarget(server.url("/open/x")), ObjectTarget("s3://bucket/key")):
        with pytest.raises(Offline):
            send(slug, target, remotes)
    assert not is_current(ObjectTarget("s3://bucket/key"), Digest.of(NEW), len(NEW), remotes)
    assert not server.requests


def test_a_url_without_a_host_is_refused(slug: Path, remotes: Remotes) -> None:
    with pytest.raises(BadUrl):
        send(slug, UrlTarget("http:///x"), remotes)


# -- objects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["slug.tgz", "home/app:git-1a2b/push/slug.tgz", "a b/ü+&=~(x)*'.tgz"])
def test_an_object_is_put_signed_found_current_and_got_back(
    slug: Path, remotes: Remotes, server: ObjectServer, key: str
) -> None:
    target = ObjectTarget(f"s3://bucket/{key}")
    assert not is_current(target, Digest.of(NEW), len(NEW), remotes)
    send(slug, target, remotes)
    assert is_current(target, Digest.of(NEW), len(NEW), remotes)
    assert not is_current(target, Digest.of(OLD), len(OLD), remotes)
    with fetch_slug(target.address, remotes) as stream:
        assert stream.read() == NEW
    path = object_url(target.address, remotes.environment).removeprefix(server.url(""))
    assert server.methods(path) == ["HEAD", "PUT", "HEAD", "HEAD", "GET"]


def test_a_wrong_secret_is_told_and_the_old_object_stays(slug: Path, remotes: Remotes, server: ObjectServer) -> None:
    server.objects["/bucket/slug.tgz"] = OLD, {}
    environment = {**server.environment, "AWS_SECRET_ACCESS_KEY": "wrong"}
    told = Remotes(remotes.cache, QUICK, environment=environment)
    with pytest.raises(NotSent) as caught:
        send(slug, ObjectTarget("s3://bucket/slug.tgz"), told)
    shown = f"{caught.value} {caught.value.fix}"
    assert "s3://bucket/slug.tgz" in shown
    assert "SignatureDoesNotMatch: another signature" in shown
    assert "AWS_SECRET_ACCESS_KEY" in shown
    assert SECRET not in shown
    assert server.objects["/bucket/slug.tgz"] == (OLD, {})


def test_an_object_of_somebody_else_is_not_current(remotes: Remotes, server: ObjectServer) -> None:
    server.objects["/bucket/slug.tgz"] = NEW, {}  # without our note nothing is known of it
    assert not is_current(ObjectTarget("s3://bucket/slug.tgz"), Digest.of(NEW), len(NEW), remotes)


def test_a_store_that_fails_when_asked_is_sent_to(remotes: Remotes, server: ObjectServer) -> None:
    server.objects["/bucket/slug.tgz"] = NEW, {"x-amz-meta-pylife-digest": str(Digest.of(NEW))}
    assert is_current(ObjectTarget("s3://bucket/slug.tgz"), Digest.of(NEW), len(NEW), remotes)
    server.fails, server.cut = ("HEAD",), 1
    assert not is_current(ObjectTarget("s3://bucket/slug.tgz"), Digest.of(NEW), len(NEW), remotes)


def test_a_file_is_current_by_its_content(slug: Path, remotes: Remotes, tmp_path: Path) -> None:
    assert is_current(FileTarget(slug), Digest.of(NEW), len(NEW), remotes)
    assert not is_current(FileTarget(slug), Digest.of(OLD), len(OLD), remotes)
    assert not is_current(FileTarget(tmp_path / "missing"), Digest.of(NEW), len(NEW), remotes)
    assert not is_current(StdoutTarget(), Digest.of(NEW), len(NEW), remotes)
    os.mkfifo(tmp_path / "pipe")  # is not waited for
    assert not is_current(FileTarget(tmp_path / "pipe"), Digest.of(NEW), len(NEW), remotes)


@pytest.mark.parametrize(
    ("held", "methods", "current"),
    [
        (NEW, ["HEAD", "GET"], True),
        (NEW[::-1], ["HEAD", "GET"], False),
        (OLD, ["HEAD"], False),
        (None, ["HEAD"], False),
    ],
    ids=["the same", "other bytes", "another size", "nothing"],
)
def test_a_url_that_can_be_read_is_current_by_its_content(
    held: bytes | None, methods: list[str], current: bool, remotes: Remotes, server: ObjectServer
) -> None:
    if held is not None:
        server.objects["/open/x"] = held, {}
    target = UrlTarget(server.url("/open/x?signature=y"))
    assert is_current(target, Digest.of(NEW), len(NEW), remotes) is current
    assert server.methods("/open/x") == methods


def test_no_more_of_a_url_is_read_than_it_said_to_hold(remotes: Remotes) -> None:
    given = 0

    class Endless(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return None

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(NEW)))
            self.end_headers()

        def do_GET(self) -> None:
            nonlocal given
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                while given < 400:
                    self.wfile.write(bytes(1 << 20))
                    given += 1

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as endless:
        Thread(target=endless.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        target = UrlTarget(f"http://127.0.0.1:{endless.server_port}/x")
        assert not is_current(target, Digest.of(NEW), len(NEW), remotes)
        endless.shutdown()
    assert given < 100


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [403, 405, 0])
def test_a_url_that_cannot_be_read_is_not_current(
    method: str, status: int, remotes: Remotes, server: ObjectServer
) -> None:
    server.objects["/open/x"] = NEW, {}
    server.fails = (method,)
    server.statuses, server.cut = ([status], 0) if status else ([], 1)
    assert not is_current(UrlTarget(server.url("/open/x")), Digest.of(NEW), len(NEW), remotes)


# -- together with others ----------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "url", "object"])
def target(request: pytest.FixtureRequest, tmp_path: Path, server: ObjectServer) -> Target:
    return {
        "file": FileTarget(tmp_path / "there.tgz"),
        "url": UrlTarget(server.url("/open/there.tgz")),
        "object": ObjectTarget("s3://bucket/there.tgz"),
    }[request.param]


@pytest.fixture
def old(target: Target, remotes: Remotes, tmp_path: Path) -> Path:
    path = tmp_path / "old"
    path.write_bytes(OLD)
    send(path, target, remotes)
    return path


def test_what_replaces_is_there_when_all_went_well(slug: Path, target: Target, old: Path, remotes: Remotes) -> None:
    with replaced(slug, target, remotes, old=old):
        assert locate(target, remotes).read_bytes() == (OLD if finality(target) == 0 else NEW)
    assert locate(target, remotes).read_bytes() == NEW


def test_what_was_there_is_there_when_something_else_failed(
    slug: Path, target: Target, old: Path, remotes: Remotes
) -> None:
    with pytest.raises(KeyboardInterrupt), replaced(slug, target, remotes, old=old):
        raise KeyboardInterrupt
    assert locate(target, remotes).read_bytes() == OLD


@pytest.mark.parametrize("size", [100, 700_000], ids=["in the buffer", "with a rest in the buffer"])
def test_a_disk_that_is_full_is_known_before_the_others_are_sent(size: int, remotes: Remotes, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(bytes(size))
    (tmp_path / "there").write_bytes(OLD)
    new, target = tmp_path / "made", FileTarget(tmp_path / "there")
    with small_files(size - 1), pytest.raises(DiskFull), replaced(new, target, remotes):
        pytest.fail("the others were sent")
    assert (tmp_path / "there").read_bytes() == OLD


def test_what_was_there_comes_back_when_nobody_knows_whether_the_new_was_taken(
    slug: Path, remotes: Remotes, server: ObjectServer, tmp_path: Path
) -> None:
    (tmp_path / "old").write_bytes(OLD)
    server.objects["/open/x"], server.silent = (OLD, {}), 3
    target = UrlTarget(server.url("/open/x"))
    with pytest.raises(TargetUnreachable), replaced(slug, target, remotes, old=tmp_path / "old"):
        pytest.fail("it was sent")
    assert server.objects["/open/x"][0] == OLD


def test_what_a_server_refused_is_not_sent_back(
    slug: Path, remotes: Remotes, server: ObjectServer, tmp_path: Path, told: Told
) -> None:
    (tmp_path / "old").write_bytes(OLD)
    server.refused = {"/open/x"}
    target = UrlTarget(server.url("/open/x"))
    with pytest.raises(NotSent), replaced(slug, target, remotes, old=tmp_path / "old"):
        pytest.fail("it was sent")
    assert server.methods("/open/x") == ["PUT"]
    assert told.messages == []


def test_what_was_there_and_is_gone_here_does_not_hide_what_failed(
    slug: Path, remotes: Remotes, server: ObjectServer, tmp_path: Path, told: Told
) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(ZeroDivisionError), replaced(slug, UrlTarget(server.url("/open/x")), remotes, old=gone):
        raise ZeroDivisionError
    assert "could not be put back" in told.messages[-1]


def test_a_device_is_the_last_to_be_written_to(tmp_path: Path) -> None:
    assert finality(FileTarget(tmp_path / "new")) == 0
    assert finality(FileTarget(Path("/dev/null"))) == finality(StdoutTarget()) == 2


def test_a_put_is_signed_as_in_the_documentation() -> None:
    """Source: AWS, "Signature Calculations for the Authorization Header", example "PUT Object"."""
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    }
    extra = {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    found = signature(
        "https://examplebucket.s3.amazonaws.com/test%24file.text",
        environment,
        1369353600,
        method="PUT",
        payload="44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        extra=extra,
    )
    assert found["authorization"].endswith(
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )
    assert not set(extra) & set(found)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:9000", "http://localhost:9000/bucket/key"),
        ("http://10.0.0.7:9000", "http://10.0.0.7:9000/bucket/key"),
        ("http://[::1]:9000", "http://[::1]:9000/bucket/key"),
        ("http://store.example:9000", "http://bucket.store.example:9000/key"),
    ],
)
def test_a_bucket_is_not_put_before_an_address_that_has_no_names_below_it(endpoint: str, url: str) -> None:
    assert object_url("s3://bucket/key", {"S3_ENDPOINT": endpoint}) == url


# -- getting slugs -----------------------------------------------------------------------------------------------


def test_a_slug_is_got_from_everywhere(slug: Path, remotes: Remotes, server: ObjectServer) -> None:
    server.objects["/open/slug.tgz"] = NEW, {}
    for place in ("-", str(slug), slug.as_uri(), server.url("/open/slug.tgz?x=y")):
        with fetch_slug(place, remotes, io.BytesIO(NEW)) as stream:
            assert stream.read() == NEW, place


@pytest.mark.parametrize(
    ("place", "error"), [("-", SourceNotFound), ("/nowhere/slug.tgz", SourceNotFound), ("gs://b/k", BadTarget)]
)
def test_a_slug_that_is_not_there_is_told(place: str, error: type[PylifeError], remotes: Remotes) -> None:
    with pytest.raises(error), fetch_slug(place, remotes):
        pass


def test_advice_for_a_slug_that_is_to_be_read_is_about_reading(remotes: Remotes, tmp_path: Path) -> None:
    with pytest.raises(BadTarget, match="it is a directory") as caught, fetch_slug(str(tmp_path), remotes):
        pass
    assert "PUT" not in caught.value.fix


def test_a_slug_behind_a_url_that_is_gone_is_told(remotes: Remotes, server: ObjectServer) -> None:
    with pytest.raises(RemoteNotFound), fetch_slug(server.url("/open/none"), remotes):
        pass
