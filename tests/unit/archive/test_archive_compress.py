"""One pass from tar bytes to a named, compressed layer; and back."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import re
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from lifecycle.archive import (
    Entry,
    Kind,
    LayerSink,
    LayerSums,
    Profile,
    TarStyle,
    decompress,
    read_tar,
    tar_digest,
    write_tar,
)
from lifecycle.archive.errors import BadProfile
from lifecycle.oci.digest import Digest

PROFILES = [Profile.GZIP_FAST, Profile.GZIP_PORTABLE, Profile.ZSTD, Profile.NONE]


def sample(size: int) -> bytes:
    rng = random.Random(size)
    words = [rng.randbytes(rng.randrange(1, 12)) for _ in range(500)]
    out = bytearray()
    while len(out) < size:
        out += rng.choice(words)
    return bytes(out[:size])


def packed(data: bytes, profile: Profile, cuts: int | None = None) -> tuple[bytes, LayerSums]:
    out = io.BytesIO()
    sink = LayerSink(out, profile)
    step = cuts or max(len(data), 1)
    for at in range(0, len(data), step):
        sink.write(data[at : at + step])
    sums = sink.close()
    assert sink.close() is sums
    return out.getvalue(), sums


@pytest.mark.parametrize("profile", PROFILES, ids=str)
@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 20, (1 << 20) + 1, (5 << 20) + 17])
def test_sums_are_those_of_the_bytes(profile: Profile, size: int) -> None:
    data = sample(size)
    stored, sums = packed(data, profile)
    assert sums == LayerSums(Digest.of(data), Digest.of(stored), len(stored), size, profile)
    with decompress(io.BytesIO(stored)) as stream:
        assert stream.read() == data


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_bytes_do_not_depend_on_how_they_were_written(profile: Profile) -> None:
    data = sample((3 << 20) + 12345)
    whole, _ = packed(data, profile)
    for cuts in (1 << 20, 70_001, (2 << 20) + 5):
        assert packed(data, profile, cuts)[0] == whole


@pytest.mark.parametrize("size", [0, 1, 10_240, 1 << 20, (1 << 20) + 1, (3 << 20) + 999])
def test_gzip_has_no_time_and_is_what_one_thread_writes(size: int) -> None:
    from isal import igzip_threaded

    data = sample(size)
    stored, _ = packed(data, Profile.GZIP_FAST)
    assert stored[4:8] == bytes(4)
    assert gzip.decompress(stored) == data
    single = io.BytesIO()
    with igzip_threaded.open(single, "wb", compresslevel=2, threads=1) as file:
        for at in range(0, len(data), 1 << 20):
            file.write(data[at : at + (1 << 20)])
    assert single.getvalue() == stored


def test_portable_gzip_is_that_of_zlib_6() -> None:
    data = sample(2 << 20)
    stored, _ = packed(data, Profile.GZIP_PORTABLE)
    plain = zlib.compressobj(6, zlib.DEFLATED, -15)
    assert stored[10:-8] == plain.compress(data) + plain.flush()
    assert stored[:10] == bytes.fromhex("1f8b0800000000000003")


def test_known_bytes_of_the_profiles() -> None:
    sums = {str(profile): packed(sample(1 << 20), profile)[1].digest.short for profile in PROFILES}
    assert sums["none"] == hashlib.sha256(sample(1 << 20)).hexdigest()[:12]
    assert len(set(sums.values())) == 4


@pytest.mark.parametrize(
    ("text", "name"), [("gzip", "gzip:isal2"), ("zstd", "zstd:3"), ("gzip:zlib6", "gzip:zlib6"), ("none", "none")]
)
def test_profiles_are_found_by_codec_or_name(text: str, name: str) -> None:
    assert Profile.parse(text).name == name


@pytest.mark.parametrize("text", ["", "gzip:isal3", "brotli", "GZIP"])
def test_unknown_profiles_are_refused(text: str) -> None:
    with pytest.raises(BadProfile):
        Profile.parse(text)


class Full:
    """A disk that is full after some bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, data: bytes) -> None:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_a_full_disk_is_reported_and_no_thread_stays(profile: Profile) -> None:
    before = threading.active_count()
    sink = LayerSink(Full(1 << 20), profile)
    data = os.urandom(1 << 20)
    with pytest.raises(OSError, match="No space"):
        for _ in range(40):
            sink.write(data)
        sink.close()
    sink.abort()
    assert threading.active_count() == before


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_giving_up_ends_the_threads_and_the_writing(profile: Profile) -> None:
    before = threading.active_count()
    out = io.BytesIO()
    with pytest.raises(KeyError), LayerSink(out, profile) as sink:
        sink.write(os.urandom(3 << 20))
        raise KeyError
    seen = len(out.getvalue())
    assert threading.active_count() == before
    assert seen <= 4 << 20


def test_several_members_are_one_stream() -> None:
    from lifecycle.archive.compress import _zstd

    with decompress(io.BytesIO(gzip.compress(b"one") + gzip.compress(b"two"))) as stream:
        assert stream.read() == b"onetwo"
    pack = _zstd().compress
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    with decompress(io.BytesIO(skippable + pack(b"one") + pack(b"two") + skippable)) as stream:
        assert stream.read() == b"onetwo"


@pytest.mark.parametrize("data", [b"", b"x", b"plain text that is long enough"])
def test_plain_bytes_pass_through(data: bytes) -> None:
    with decompress(io.BytesIO(data)) as stream:
        assert stream.read() == data


class Recorder(io.RawIOBase):
    """A stream that knows whether its end was seen."""

    def __init__(self, data: bytes) -> None:
        self.inner, self.ended = io.BytesIO(data), False

    def read(self, size: int | None = -1) -> bytes:
        data = self.inner.read(size)
        self.ended |= not data
        return data

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("profile", PROFILES, ids=str)
@pytest.mark.parametrize("tail", [0, 1 << 20])
def test_reading_an_archive_reads_its_source_to_the_end(profile: Profile, tail: int) -> None:
    out = io.BytesIO()
    write_tar([(Entry(b"f", Kind.FILE, size=5), b"hello")], out)
    source = Recorder(packed(out.getvalue() + bytes(tail), profile)[0])
    with decompress(source) as stream:  # type: ignore[arg-type]
        assert [entry.name for entry, _ in read_tar(stream)] == [b"f"]
    assert source.ended


def test_errors_of_the_source_pass_unchanged() -> None:
    class Broken(io.RawIOBase):
        def __init__(self) -> None:
            self.inner = io.BytesIO(gzip.compress(os.urandom(1 << 20)))

        def read(self, size: int | None = -1) -> bytes:
            if self.inner.tell() > 1 << 19:
                raise ConnectionResetError("gone")
            return self.inner.read(min(size or 0, 1 << 16))

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            data = self.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

    with pytest.raises(ConnectionResetError), decompress(Broken()) as stream:  # type: ignore[arg-type]
        while stream.read(1 << 16):
            pass


def test_tar_digest_is_the_diff_id() -> None:
    members = [(Entry(b"a", Kind.DIR, 0o755), None), (Entry(b"a/f", Kind.FILE, size=3), b"abc")]
    sink = LayerSink(io.BytesIO())
    write_tar(members, sink, TarStyle.CNB)
    assert tar_digest(members, TarStyle.CNB) == sink.close().diff_id


class Zeros(io.RawIOBase):
    """So many zero bytes, made as they are read."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int | None = -1) -> bytes:
        count = self.left if size is None or size < 0 else min(size, self.left)
        self.left -= count
        return bytes(count)


def memory(field: str) -> int:
    """A line of this process's status, in KiB."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])  # type: ignore[index]


@pytest.mark.timeout(60)
def test_a_file_of_1_gib_passes_in_bounded_memory(tmp_path_factory: pytest.TempPathFactory) -> None:
    size = 1 << 30
    layer = tmp_path_factory.mktemp("big") / "layer.gz"
    Path("/proc/self/clear_refs").write_text("5")  # let the high-water mark begin again
    before = memory("VmRSS")
    with open(layer, "wb") as out, LayerSink(out) as sink:
        write_tar([(Entry(b"zeros", Kind.FILE, size=size), lambda: Zeros(size))], sink)  # type: ignore[list-item,return-value]
    seen = 0
    with open(layer, "rb") as file, decompress(file) as stream:
        for entry, content in read_tar(stream):
            assert entry.size == size
            while data := content.read(1 << 20):
                seen += len(data)
    assert seen == size
    assert memory("VmHWM") - before < 64 << 10


def test_importing_the_package_loads_no_compressor() -> None:
    code = """
import sys
from lifecycle.archive import Entry, Profile, TarStyle, decompress, extract, read_tar, walk, write_tar
assert not [name for name in sys.modules if name.startswith(("isal", "backports", "compression.zstd"))]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
