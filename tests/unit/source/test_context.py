"""Build contexts of every kind, opened from real files and real servers."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import Case, load_cases
from fileserver import TIME, FileServer, serve_files
from gitserver import commit, git, serve_git

from lifecycle.source.context import BadBuildContext, Context, is_archive, open_context, parse_build_context
from lifecycle.source.errors import BadArchive, SourceNotFound, SourceUnsupported
from lifecycle.source.remote_errors import BadUrl, NoSubdirectory, RemoteNotFound
from lifecycle.source.remotes import Remotes
from lifecycle.source.s3 import object_url, signature

FILES = {"Dockerfile": b"FROM scratch\n", "app/main.py": b"print(1)\n"}


@pytest.fixture
def remotes(tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "cache")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "scratch"
    yield path
    assert not path.exists() or list(path.iterdir()) == []


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve_files() as served:
        yield served


def tar(files: dict[str, bytes] = FILES, times: int = 1234567890) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number, (name, data) in enumerate(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), times - number
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    from lifecycle.archive.compress import LayerSink, Profile

    out = io.BytesIO()
    with LayerSink(out, Profile.ZSTD) as sink:
        sink.write(data)
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(zipfile.ZipInfo(name, (2009, 2, 13, 23, 31, 30)), data)
    return out.getvalue()


ARCHIVES = {
    "tar": tar(),
    "tar.gz": gzip.compress(tar()),
    "tar.bz2": bz2.compress(tar()),
    "tar.xz": lzma.compress(tar()),
    "tar.zst": zstd(tar()),
    "zip": zipped(),
}


def content(context: Context) -> dict[str, bytes]:
    top = context.directory
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("prefix", ["", "dir://"])
def test_a_directory_is_the_context_itself(tmp_path: Path, scratch: Path, remotes: Remotes, prefix: str) -> None:
    with open_context(f"{prefix}{tmp_path}", scratch, remotes) as context:
        assert context == Context(tmp_path, f"{prefix}{tmp_path}")
    assert not scratch.exists()


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("prefix", ["", "tar://", "file://"])
def test_an_archive_is_unpacked(tmp_path: Path, scratch: Path, remotes: Remotes, kind: str, prefix: str) -> None:
    (tmp_path / f"app.{kind}").write_bytes(ARCHIVES[kind])
    with open_context(f"{prefix}{tmp_path}/app.{kind}", scratch, remotes) as context:
        assert content(context) == FILES
        assert (context.ignores, context.epoch, context.dockerfile) == (True, 1234567890, None)


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("text", ["-", "tar://stdin"])
def test_an_archive_on_standard_input(scratch: Path, remotes: Remotes, kind: str, text: str) -> None:
    with open_context(text, scratch, remotes, stdin=io.BytesIO(ARCHIVES[kind])) as context:
        assert content(context) == FILES
        assert (context.name, context.epoch) == ("standard input", 1234567890)


@pytest.mark.parametrize("text", [b"FROM scratch\n", b"FROM scratch\n" + b"# long\n" * 1000, b"\xef\xbb\xbfFROM a\n"])
def test_a_dockerfile_on_standard_input_has_an_empty_context(scratch: Path, remotes: Remotes, text: bytes) -> None:
    with open_context("-", scratch, remotes, stdin=io.BytesIO(text)) as context:
        assert context.dockerfile == text
        assert content(context) == {}


@pytest.mark.parametrize(
    ("data", "why"), [(b"", "empty"), (b" \n", "empty"), (b"\x7fELF\0\0\0", "binary"), (tar()[:700], "ends")]
)
def test_neither_archive_nor_dockerfile(scratch: Path, remotes: Remotes, data: bytes, why: str) -> None:
    with pytest.raises(BadArchive, match=why), open_context("-", scratch, remotes, stdin=io.BytesIO(data)):
        pass


def test_no_standard_input(scratch: Path, remotes: Remotes) -> None:
    with pytest.raises(SourceNotFound), open_context("-", scratch, remotes):
        pass


def test_an_archive_that_leaves_its_place_is_refused(tmp_path: Path, scratch: Path, remotes: Remotes) -> None:
    (tmp_path / "x.tar").write_bytes(tar({"../evil": b"x"}))
    with pytest.raises(BadArchive), open_context(str(tmp_path / "x.tar"), scratch, remotes):
        pass
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_behind_a_url(server: FileServer, scratch: Path, remotes: Remotes, kind: str) -> None:
    server.files["/app"] = ARCHIVES[kind]
    with open_context(server.url("/app?token=secret"), scratch, remotes) as context:
        assert content(context) == FILES
        assert (context.ignores, context.epoch) == (False, TIME)
        assert "secret" not in context.name


def test_an_archive_behind_a_url_without_a_date(server: FileServer, scratch: Path, remotes: Remotes) -> None:
    server.files["/app"], server.dates = ARCHIVES["tar"], False
    with open_context(server.url("/app"), scratch, remotes) as context:
        assert context.epoch == 1234567890


def test_a_dockerfile_behind_a_url(server: FileServer, scratch: Path, remotes: Remotes) -> None:
    server.files["/Dockerfile"] = b"FROM scratch\n"
    with open_context(server.url("/Dockerfile"), scratch, remotes) as context:
        assert context.dockerfile == b"FROM scratch\n"
        assert content(context) == {"context": b"FROM scratch\n"}
        assert context.epoch == TIME


def test_a_url_that_is_not_there(server: FileServer, scratch: Path, remotes: Remotes) -> None:
    with pytest.raises(RemoteNotFound), open_context(server.url("/gone"), scratch, remotes):
        pass


def test_a_git_repository(tmp_path: Path, scratch: Path, remotes: Remotes) -> None:
    (tmp_path / "srv").mkdir()
    head = commit(tmp_path / "work", {"app/Dockerfile": "FROM scratch\n"}, time=1700000001)
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "work"), "srv/app.git")
    with serve_git(tmp_path / "srv") as served:
        with open_context(f"{served.url('app.git')}#main:app", scratch, remotes) as context:
            assert content(context) == {"Dockerfile": b"FROM scratch\n"}
            assert (context.ignores, context.epoch, context.revision) == (False, 1700000001, head)
        kaniko = Remotes(remotes.cache, environment={"GIT_PULL_METHOD": "http"})
        address = served.url("app.git").replace("http://", "git://")
        with open_context(f"{address}#refs/heads/main", scratch, kaniko, sub_path="app") as context:
            assert content(context) == {"Dockerfile": b"FROM scratch\n"}
        with open_context(served.url("app.git"), scratch, remotes, keep_git=True) as context:
            assert (context.directory / ".git").is_dir()


def test_a_sub_path_is_the_context(tmp_path: Path, scratch: Path, remotes: Remotes) -> None:
    (tmp_path / "app.tar").write_bytes(tar())
    with open_context(str(tmp_path / "app.tar"), scratch, remotes, sub_path="app") as context:
        assert content(context) == {"main.py": b"print(1)\n"}
    (tmp_path / "out").symlink_to("/etc")
    for path in ("out", "../", "nothing", "app.tar"):
        with pytest.raises(NoSubdirectory), open_context(str(tmp_path), scratch, remotes, sub_path=path):
            pass


def test_a_directory_with_a_name_like_an_address_wins(
    tmp_path: Path, scratch: Path, remotes: Remotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("github.com/a/b", "git@host:x"):
        Path(name).mkdir(parents=True)
        with open_context(name, scratch, remotes) as context:
            assert context.directory == Path(name)


@pytest.mark.parametrize(
    ("text", "error", "fix"),
    [
        ("nothing-here", SourceNotFound, "Give"),
        ("dir://nothing-here", SourceNotFound, "Give"),
        ("htps://x/y", SourceUnsupported, "Did you mean https://?"),
        ("gs://bucket/x.tar.gz", SourceUnsupported, "pipe it"),
        ("ftp://x/y", SourceUnsupported, "https://|Did you mean"),
        ("s3://bucket", BadUrl, "s3://BUCKET/PATH"),
    ],
)
def test_what_is_no_context(scratch: Path, remotes: Remotes, text: str, error: type[Exception], fix: str) -> None:
    import re

    with pytest.raises(error) as caught, open_context(text, scratch, remotes):
        pass
    assert re.search(fix, caught.value.fix)  # type: ignore[attr-defined]


def test_an_object_in_s3(server: FileServer, scratch: Path, tmp_path: Path) -> None:
    server.files["/bucket/a%20b.tar.gz"] = ARCHIVES["tar.gz"]
    environment = {
        "S3_ENDPOINT": server.url(""),
        "S3_FORCE_PATH_STYLE": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    remotes = Remotes(tmp_path / "cache", environment=environment)
    with open_context("s3://bucket/a b.tar.gz", scratch, remotes) as context:
        assert content(context) == FILES
    sent = server.requests[0][1]
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
    assert sent["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "https://bucket.s3.us-east-1.amazonaws.com/a/b"),
        ({"AWS_REGION": "eu-west-1"}, "https://bucket.s3.eu-west-1.amazonaws.com/a/b"),
        ({"S3_ENDPOINT": "minio:9000"}, "https://bucket.minio:9000/a/b"),
        ({"S3_ENDPOINT": "http://minio:9000/", "S3_FORCE_PATH_STYLE": "1"}, "http://minio:9000/bucket/a/b"),
    ],
)
def test_the_address_of_an_object(environment: dict[str, str], url: str) -> None:
    assert object_url("s3://bucket/a/b", environment) == url


def test_a_signature_is_that_of_the_documentation() -> None:
    """Source: AWS, "Signature Calculations for the Authorization Header", example "GET Bucket Lifecycle"."""
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    }
    found = signature("https://examplebucket.s3.amazonaws.com/?lifecycle=", environment, 1369353600)
    assert found["authorization"].endswith(
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )


def test_a_scratch_that_went_before_is_no_trouble(tmp_path: Path, remotes: Remotes) -> None:
    (tmp_path / "app.tar").write_bytes(tar())
    with open_context(str(tmp_path / "app.tar"), tmp_path / "gone", remotes):
        shutil.rmtree(tmp_path / "gone")


def test_without_credentials_nothing_is_signed() -> None:
    assert signature("https://b.s3.amazonaws.com/x", {}, 0) == {}


@pytest.mark.parametrize("case", load_cases("dockerfile/contexts"), ids=str)
def test_named_context(case: Case) -> None:
    given = case.sections
    if "error" in given:
        with pytest.raises(BadBuildContext) as caught:
            parse_build_context(given["text"])
        assert str(caught.value) == given["error"]
        assert given.get("fix", caught.value.fix) == caught.value.fix
        return
    found = parse_build_context(given["text"])
    parts = [found.name, found.kind, found.value]
    parts += [f"tag={found.tag}"] if found.tag else []
    parts += [f"digest={found.digest}"] if found.digest else []
    assert " ".join(parts) == given["expect"]


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_is_known_by_its_beginning(kind: str) -> None:
    assert is_archive(ARCHIVES[kind][:512])


@pytest.mark.parametrize("head", [b"", b"FROM scratch\n", b"x" * 512, b"\x7fELF" + bytes(508)])
def test_other_files_are_no_archives(head: bytes) -> None:
    assert not is_archive(head)
