from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from lifecycle.oci import Digest, DigestMismatch
from lifecycle.store import DiskBlobs, DiskFull, MemoryBlobs, MissingBlob, NoAccess, put_bytes, read_bytes
from lifecycle.store.blobs import BlobStore, copy_blob, verifying


@pytest.fixture(params=["disk", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return DiskBlobs(tmp_path / "layout") if request.param == "disk" else MemoryBlobs()


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_committed_blob_is_read_back(blobs: BlobStore) -> None:
    with blobs.writer() as writer:
        writer.write(b"hel")
        writer.write(b"lo")
        digest = writer.commit()
    assert digest == Digest.of(b"hello")
    assert blobs.has(digest)
    assert blobs.size(digest) == 5
    assert read_bytes(blobs, digest) == b"hello"


def test_sha512_blob_is_kept_under_its_own_digest(blobs: BlobStore) -> None:
    with blobs.writer("sha512") as writer:
        writer.write(b"hello")
        digest = writer.commit()
    assert digest.algorithm == "sha512"
    assert read_bytes(blobs, digest) == b"hello"


def test_blob_that_is_not_as_expected_is_refused_and_not_kept(blobs: BlobStore) -> None:
    wanted = Digest.of(b"other")
    with pytest.raises(DigestMismatch), blobs.writer() as writer:
        writer.write(b"hello")
        writer.commit(wanted)
    assert not blobs.has(wanted)
    assert not blobs.has(Digest.of(b"hello"))


def test_writer_left_without_commit_leaves_nothing(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    with blobs.writer() as writer:
        writer.write(b"hello")
    assert files(tmp_path) == []


def test_exception_while_writing_leaves_nothing(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    with pytest.raises(RuntimeError), blobs.writer() as writer:
        writer.write(b"hello")
        raise RuntimeError
    assert files(tmp_path) == []


def test_deleted_blob_is_gone_and_deleting_again_frees_nothing(blobs: BlobStore) -> None:
    digest = put_bytes(blobs, b"hello")
    assert blobs.delete(digest) == 5
    assert blobs.delete(digest) == 0
    assert blobs.size(digest) is None
    with pytest.raises(MissingBlob):
        blobs.open(digest)


@pytest.mark.parametrize("damage", [b"hellO", b"hell", b"hello!"])
def test_damaged_blob_fails_at_its_end_whichever_way_it_is_read(tmp_path: Path, damage: bytes) -> None:
    blobs = DiskBlobs(tmp_path)
    digest = put_bytes(blobs, b"hello")
    blobs.path(digest).write_bytes(damage)
    with pytest.raises(DigestMismatch), blobs.open(digest) as stream:
        stream.read()
    with pytest.raises(DigestMismatch), blobs.open(digest) as stream:
        for _ in range(len(damage) + 1):
            stream.read(1)
    with blobs.open(digest, verify=False) as stream:
        assert stream.read() == damage


def test_reader_checks_size_as_well_as_digest() -> None:
    import io

    data = b"x" * 100
    with pytest.raises(DigestMismatch, match="more than its 50"):
        verifying(io.BytesIO(data), Digest.of(data), 50).read()
    with pytest.raises(DigestMismatch, match="100 of its 200"):
        verifying(io.BytesIO(data), Digest.of(data), 200).read()


def test_reader_that_takes_exactly_the_size_has_checked_the_digest() -> None:
    import io

    with pytest.raises(DigestMismatch):
        verifying(io.BytesIO(b"hellO"), Digest.of(b"hello"), 5).read(5)


def test_putting_again_mends_a_truncated_blob(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    digest = put_bytes(blobs, b"hello")
    blobs.path(digest).write_bytes(b"he")
    put_bytes(blobs, b"hello")
    assert read_bytes(blobs, digest) == b"hello"


def test_copy_verifies_on_the_way(blobs: BlobStore) -> None:
    import io

    with pytest.raises(DigestMismatch):
        copy_blob(io.BytesIO(b"hellO"), blobs, Digest.of(b"hello"))
    copy_blob(io.BytesIO(b"hello"), blobs, Digest.of(b"hello"))
    assert blobs.has(Digest.of(b"hello"))


def test_many_threads_may_put_the_same_blob(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    data = bytes(range(256)) * 4000
    failures: list[BaseException] = []

    def put() -> None:
        try:
            with blobs.writer() as writer:
                for start in range(0, len(data), 10_000):
                    writer.write(data[start : start + 10_000])
                writer.commit(Digest.of(data))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert files(tmp_path) == [f"blobs/sha256/{Digest.of(data).hex}"]
    assert read_bytes(blobs, Digest.of(data)) == data


def test_blob_files_follow_the_umask(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    reference = tmp_path / "reference"
    reference.touch()
    digest = put_bytes(blobs, b"hello")
    assert blobs.path(digest).stat().st_mode == reference.stat().st_mode


def test_sweep_removes_what_a_killed_writer_left_and_spares_the_living(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from lifecycle.store import DiskBlobs
        writer = DiskBlobs(Path(sys.argv[1])).writer()
        writer.write(b"x" * 1_000_000)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -9
    blobs = DiskBlobs(tmp_path)
    with blobs.writer() as living:
        living.write(b"hello")
        count, freed = blobs.sweep()
        assert count == 1
        assert freed >= 700_000
        living.commit()
    assert files(tmp_path) == [f"blobs/sha256/{Digest.of(b'hello').hex}"]


def test_file_size_limit_is_a_full_disk_and_leaves_nothing(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from lifecycle.store import DiskBlobs, DiskFull
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            with DiskBlobs(Path(sys.argv[1])).writer() as writer:
                for _ in range(100):
                    writer.write(b"x" * 10_000)
                writer.commit()
        except DiskFull as error:
            assert sys.argv[1] in str(error), error
            assert "are free there" in str(error), error
            sys.exit(42)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == 42
    assert files(tmp_path) == []


def test_full_file_system_is_reported_and_leaves_nothing(tmp_path: Path, tool) -> None:  # type: ignore[no-untyped-def]
    script = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from lifecycle.store import DiskBlobs, DiskFull, put_bytes
        root = Path(sys.argv[1])
        blobs = DiskBlobs(root)
        kept = put_bytes(blobs, b"kept")
        try:
            with blobs.writer() as writer:
                for _ in range(100):
                    writer.write(os.urandom(100_000))
                writer.commit()
        except DiskFull as error:
            left = sorted(path.name for path in root.rglob("*") if path.is_file())
            sys.exit(42 if left == [kept.hex] and "No space left" in str(error) else 1)
        """
    )
    mount = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'
    command = [tool("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(tmp_path)]
    allowed = subprocess.run([*command, "true"], check=False, capture_output=True, text=True)
    if allowed.returncode:
        pytest.skip(f"this host allows no mount in a user namespace: {allowed.stderr.strip()}")
    done = subprocess.run([*command, sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == 42


def test_store_below_a_file_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoAccess, match="file/store"):
        DiskBlobs(tmp_path / "file" / "store").writer()


def test_disk_full_names_the_next_step() -> None:
    assert "pylife gc" in DiskFull("x").fix
