"""Files behind URLs, from a real server on loopback."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fileserver import TIME, FileServer, serve_files

from lifecycle.events import Message, RecordingSink, StepEnded
from lifecycle.oci import Digest
from lifecycle.source.fetch import UNNAMED, fetch_url, url_name
from lifecycle.source.forget import forget_remotes
from lifecycle.source.remote_errors import (
    BadUrl,
    ChecksumMismatch,
    DownloadTooLarge,
    Offline,
    RemoteBadAnswer,
    RemoteDenied,
    RemoteFailed,
    RemoteNotFound,
    RemoteUnreachable,
)
from lifecycle.source.remotes import Remotes
from lifecycle.transport import TransportSettings

FAST = TransportSettings(backoff=0.002, longest_backoff=0.005, connect_timeout=5.0, stall_timeout=5.0)
BIG = random.Random(1).randbytes(3 << 20)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve_files() as served:
        served.files["/app.tar.gz"] = b"some bytes"
        yield served


@pytest.fixture
def remotes(tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "cache", FAST)


def sha256(data: bytes) -> Digest:
    return Digest("sha256", hashlib.sha256(data).hexdigest())


def test_a_file_is_downloaded_and_described(server: FileServer, remotes: Remotes) -> None:
    found = fetch_url(server.url("/app.tar.gz"), remotes)
    assert found.path.read_bytes() == b"some bytes"
    assert (found.digest, found.size, found.last_modified) == (sha256(b"some bytes"), 10, TIME)
    assert (found.name, found.mode, found.reused) == ("app.tar.gz", 0o600, False)


@pytest.mark.parametrize(("etags", "dates"), [(True, True), (True, False), (False, True)])
def test_an_unchanged_file_is_not_sent_again(server: FileServer, remotes: Remotes, etags: bool, dates: bool) -> None:
    server.etags, server.dates = etags, dates
    first = fetch_url(server.url("/app.tar.gz"), remotes)
    sent = server.sent
    again = fetch_url(server.url("/app.tar.gz"), remotes)
    assert again.reused
    assert (again.path, again.digest, again.last_modified) == (first.path, first.digest, first.last_modified)
    assert server.sent == sent


@pytest.mark.parametrize("size", [(1 << 20) + 1, 3 << 20])
def test_a_download_for_which_there_is_no_room_is_named_and_leaves_nothing(
    server: FileServer, remotes: Remotes, size: int
) -> None:
    server.files["/big"] = BIG[:size]
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(DownloadTooLarge, match="/big does not fit on the disk"):
            fetch_url(server.url("/big"), remotes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list((remotes.cache / "http/files").iterdir()) == []


def test_a_server_without_conditions_is_believed_by_its_etag(server: FileServer, remotes: Remotes) -> None:
    server.conditions = False
    fetch_url(server.url("/app.tar.gz"), remotes)
    assert fetch_url(server.url("/app.tar.gz"), remotes).reused


def test_a_server_that_says_nothing_is_read_again(server: FileServer, remotes: Remotes) -> None:
    server.etags = server.dates = False
    fetch_url(server.url("/app.tar.gz"), remotes)
    server.files["/app.tar.gz"] = b"other data"
    found = fetch_url(server.url("/app.tar.gz"), remotes)
    assert (found.path.read_bytes(), found.reused, found.last_modified) == (b"other data", False, None)


def test_a_changed_file_is_noticed_and_the_old_one_stays(server: FileServer, remotes: Remotes) -> None:
    before = fetch_url(server.url("/app.tar.gz"), remotes)
    server.files["/app.tar.gz"] = b"changed"
    after = fetch_url(server.url("/app.tar.gz"), remotes)
    assert after.path.read_bytes() == b"changed"
    assert before.path.read_bytes() == b"some bytes"


def test_a_file_lost_from_the_cache_is_downloaded_again(server: FileServer, remotes: Remotes) -> None:
    found = fetch_url(server.url("/app.tar.gz"), remotes)
    found.path.unlink()
    assert fetch_url(server.url("/app.tar.gz"), remotes).path.read_bytes() == b"some bytes"


def test_a_damaged_note_is_no_trouble(server: FileServer, remotes: Remotes) -> None:
    fetch_url(server.url("/app.tar.gz"), remotes)
    (note,) = remotes.cache.glob("http/urls/*")
    note.write_text("{")
    assert not fetch_url(server.url("/app.tar.gz"), remotes).reused


def test_a_checksum_that_fits(server: FileServer, remotes: Remotes) -> None:
    assert fetch_url(server.url("/app.tar.gz"), remotes, checksum=sha256(b"some bytes")).size == 10


def test_a_checksum_in_the_cache_needs_no_request(server: FileServer, remotes: Remotes) -> None:
    fetch_url(server.url("/app.tar.gz"), remotes)
    asked = len(server.requests)
    offline = Remotes(remotes.cache, offline=True)
    assert fetch_url(server.url("/app.tar.gz"), offline, checksum=sha256(b"some bytes")).reused
    assert len(server.requests) == asked


def test_a_wrong_checksum_is_refused(server: FileServer, remotes: Remotes) -> None:
    with pytest.raises(ChecksumMismatch, match=f"it is {sha256(b'some bytes')}, not {sha256(b'other')}"):
        fetch_url(server.url("/app.tar.gz"), remotes, checksum=sha256(b"other"))


def test_a_checksum_of_another_algorithm(server: FileServer, remotes: Remotes) -> None:
    right = Digest("sha512", hashlib.sha512(b"some bytes").hexdigest())
    assert fetch_url(server.url("/app.tar.gz"), remotes, checksum=right).size == 10
    wrong = Digest("sha512", hashlib.sha512(b"other").hexdigest())
    with pytest.raises(ChecksumMismatch, match="it is sha512:"):
        fetch_url(server.url("/app.tar.gz"), remotes, checksum=wrong)


@pytest.mark.parametrize("dates", [True, False])
def test_a_broken_download_goes_on_where_it_broke(server: FileServer, remotes: Remotes, dates: bool) -> None:
    server.files["/big"], server.dates = BIG, dates
    server.cut, server.cut_after = 2, 1 << 20
    assert fetch_url(server.url("/big"), remotes).path.read_bytes() == BIG
    assert server.sent == len(BIG)
    assert [headers.get("range") for _, headers in server.requests] == [None, "bytes=1048576-", "bytes=2097152-"]


def test_a_broken_download_begins_anew_where_it_must(server: FileServer, remotes: Remotes) -> None:
    server.files["/big"], server.ranges = BIG, False
    server.cut, server.cut_after = 1, 1 << 20
    assert fetch_url(server.url("/big"), remotes).path.read_bytes() == BIG
    assert server.sent == len(BIG) + (1 << 20)


def test_a_file_that_changes_between_two_tries_is_not_mixed(server: FileServer, remotes: Remotes) -> None:
    server.files["/big"] = BIG
    server.cut, server.cut_after = 1, 1 << 20
    other = random.Random(2).randbytes(2 << 20)

    class Swap(RecordingSink):
        def emit(self, event: object) -> None:
            if isinstance(event, Message):
                server.files["/big"] = other

    found = fetch_url(server.url("/big"), Remotes(remotes.cache, FAST, sink=Swap()))
    assert found.path.read_bytes() == other


def test_a_download_that_keeps_breaking_fails_and_leaves_nothing(server: FileServer, remotes: Remotes) -> None:
    server.files["/big"] = BIG[:1000]
    server.cut, server.cut_after, server.ranges = 99, 10, False
    with pytest.raises(RemoteUnreachable):
        fetch_url(server.url("/big"), remotes)
    assert [path for path in remotes.cache.rglob("*") if path.is_file()] == []


def test_passing_trouble_is_waited_out(server: FileServer, remotes: Remotes) -> None:
    server.statuses = [503, 429, 500]
    assert fetch_url(server.url("/app.tar.gz"), remotes).size == 10


@pytest.mark.parametrize(
    ("status", "error"), [(404, RemoteNotFound), (410, RemoteNotFound), (403, RemoteDenied), (400, RemoteFailed)]
)
def test_a_failing_status_says_which(server: FileServer, remotes: Remotes, status: int, error: type[Exception]) -> None:
    server.statuses = [status]
    with pytest.raises(error, match=f"HTTP {status}"):
        fetch_url(server.url("/app.tar.gz"), remotes)


def test_a_failure_does_not_fall_back_to_an_old_file(server: FileServer, remotes: Remotes) -> None:
    fetch_url(server.url("/app.tar.gz"), remotes)
    del server.files["/app.tar.gz"]
    with pytest.raises(RemoteNotFound):
        fetch_url(server.url("/app.tar.gz"), remotes)


def test_redirects_are_followed_and_the_first_name_stays(server: FileServer, remotes: Remotes) -> None:
    server.redirects = {"/latest": "/a/b?x=1", "/a/b": server.url("/app.tar.gz")}
    found = fetch_url(server.url("/latest"), remotes)
    assert (found.size, found.name) == (10, "latest")


def test_redirects_without_end(server: FileServer, remotes: Remotes) -> None:
    server.redirects = {"/loop": "/loop"}
    with pytest.raises(RemoteBadAnswer, match="without end"):
        fetch_url(server.url("/loop"), remotes)


def test_a_redirect_to_a_file_of_this_host_is_refused(server: FileServer, remotes: Remotes) -> None:
    server.redirects = {"/sly": "file:///etc/passwd"}
    with pytest.raises(RemoteBadAnswer, match="not HTTP"):
        fetch_url(server.url("/sly"), remotes)


@pytest.mark.parametrize(
    ("secrets", "userinfo", "header"),
    [
        ({"HTTP_AUTH_HEADER_127.0.0.1": b"Custom x\n"}, "", "Custom x"),
        ({"HTTP_AUTH_TOKEN_127.0.0.1": b"tok\n"}, "", "Bearer tok"),
        ({}, "me:p%40ss@", f"Basic {base64.b64encode(b'me:p@ss').decode()}"),
    ],
)
def test_credentials_go_to_the_host_and_nowhere_else(
    server: FileServer, tmp_path: Path, secrets: dict[str, bytes], userinfo: str, header: str
) -> None:
    server.authorization = header
    sink = RecordingSink()
    remotes = Remotes(tmp_path / "cache", FAST, secrets=secrets.get, sink=sink)
    url = f"http://{userinfo}127.0.0.1:{server.port}/app.tar.gz"
    assert fetch_url(url, remotes).size == 10
    server.redirects = {"/away": server.url("/app.tar.gz", "localhost")}
    with pytest.raises(RemoteDenied):
        fetch_url(url.replace("app.tar.gz", "away"), remotes)
    assert [headers.get("authorization") for _, headers in server.requests] == [header, header, None]
    assert "p%40ss" not in str(sink.events)
    for path in remotes.cache.rglob("*"):
        assert "p%40ss" not in str(path)
        assert not path.is_file() or b"p%40ss" not in path.read_bytes()


def test_secrets_of_another_host_are_not_sent(server: FileServer, tmp_path: Path) -> None:
    remotes = Remotes(tmp_path / "cache", FAST, secrets={"HTTP_AUTH_TOKEN_files.example": b"tok"}.get)
    fetch_url(server.url("/app.tar.gz"), remotes)
    assert "authorization" not in server.requests[0][1]


def test_query_values_are_not_shown(server: FileServer, tmp_path: Path) -> None:
    sink = RecordingSink()
    with pytest.raises(RemoteNotFound) as caught:
        fetch_url(server.url("/gone?signature=secret"), Remotes(tmp_path / "cache", FAST, sink=sink))
    assert "secret" not in f"{caught.value} {caught.value.as_dict()} {sink.events}"


def test_nobody_listening(remotes: Remotes) -> None:
    with pytest.raises(RemoteUnreachable, match="refused"):
        fetch_url("http://127.0.0.1:9/x", remotes)


def test_offline_nothing_is_asked(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(Offline):
        fetch_url(server.url("/app.tar.gz"), Remotes(tmp_path / "cache", FAST, offline=True))
    assert server.requests == []


@pytest.mark.parametrize("url", ["http:///x", "ftp://h/x", "/x", "http://h/a b", "http://h:99999/", "http://h/a\nb"])
def test_what_is_no_address(remotes: Remotes, url: str) -> None:
    with pytest.raises(BadUrl):
        fetch_url(url, remotes)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b.tar.gz", "b.tar.gz"),
        ("https://h/a/b.tar.gz?x=y#z", "b.tar.gz"),
        ("https://h/a%20b", "a b"),
        ("https://h/a/b/", "b"),
        ("https://h", UNNAMED),
        ("https://h/", UNNAMED),
        ("https://h/..", UNNAMED),
        ("https://h/%2e%2e", UNNAMED),
        ("https://h/a%2Fb", "b"),
        ("https://h/a%00b", UNNAMED),
    ],
)
def test_a_download_is_called_as_its_url_ends(url: str, name: str) -> None:
    assert url_name(url) == name


def test_downloads_that_nobody_asks_for_are_forgotten(server: FileServer, remotes: Remotes) -> None:
    server.files["/other"] = b"other"
    kept = fetch_url(server.url("/app.tar.gz"), remotes)
    gone = fetch_url(server.url("/other"), remotes)
    for path in (*remotes.cache.glob("http/files/*"), *remotes.cache.glob("http/urls/*")):
        os.utime(path, (0, 0))
    fetch_url(server.url("/app.tar.gz"), remotes)
    assert forget_remotes(remotes.cache) == 1
    assert (kept.path.exists(), gone.path.exists()) == (True, False)
    assert not fetch_url(server.url("/other"), remotes).reused


def test_the_step_tells_what_became_of_it(server: FileServer, tmp_path: Path) -> None:
    sink = RecordingSink()
    remotes = Remotes(tmp_path / "cache", FAST, sink=sink)
    fetch_url(server.url("/app.tar.gz"), remotes)
    fetch_url(server.url("/app.tar.gz"), remotes)
    assert [event.outcome for event in sink.events if isinstance(event, StepEnded)] == ["done", "reused"]
