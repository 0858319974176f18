"""Slug archives: what is in them, that their bytes depend on that alone, and what hostile ones cannot do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fulldisk import small_files

from lifecycle.archive import Limits
from lifecycle.archive.errors import ExtractFailed
from lifecycle.oci.digest import Digest
from lifecycle.slug.archive import (
    BadSizeLimit,
    BadSlug,
    SlugOutputClosed,
    SlugTooLarge,
    parse_size,
    read_slug,
    write_slug,
)
from lifecycle.store.errors import DiskFull


@pytest.fixture
def app(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    (root / "bin").mkdir(parents=True)
    (root / "vendor" / ".git").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".profile.d").mkdir()
    (root / "Procfile").write_text("web: bin/serve\n")
    (root / "bin" / "serve").write_text("#!/bin/sh\n")
    (root / "bin" / "serve").chmod(0o755)
    (root / "bin" / "python").symlink_to("/usr/bin/python3")
    os.link(root / "bin" / "serve", root / "bin" / "again")
    (root / ".git" / "HEAD").write_text("ref")
    (root / "vendor" / ".git" / "HEAD").write_text("ref")
    (root / "vendor" / ".gitignore").write_text("x")
    (root / ".profile.d" / "path.sh").write_text("export PATH\n")
    (root / "ümlaut.txt").write_bytes(os.urandom(70_000))
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


def written(app: Path, **options: object) -> bytes:
    out = io.BytesIO()
    made = write_slug(app, out, **options)  # type: ignore[arg-type]
    assert made.digest == Digest.of(out.getvalue())
    assert made.size == len(out.getvalue())
    return out.getvalue()


def tarred(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
            else:
                tar.addfile(member)
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


# -- writing -----------------------------------------------------------------------------------------------------


def test_a_slug_holds_the_app_under_dotted_names_in_order(app: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(app))) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names == [
        *(".", "./.profile.d", "./.profile.d/path.sh", "./Procfile", "./bin", "./bin/again", "./bin/python"),
        *("./bin/serve", "./vendor", "./vendor/.gitignore", "./ümlaut.txt"),
    ]
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(2000, 2000, 315532801)}
    assert members[names.index("./bin/serve")].islnk()
    assert members[names.index("./bin/python")].linkname == "/usr/bin/python3"


def test_gnu_tar_unpacks_it(app: Path, empty: Path) -> None:
    subprocess.run(["tar", "-xzC", empty], input=written(app), check=True)
    assert (empty / "bin" / "serve").stat().st_mode & 0o777 == 0o755
    assert (empty / "ümlaut.txt").read_bytes() == (app / "ümlaut.txt").read_bytes()


def test_times_and_order_of_making_do_not_count(app: Path, tmp_path: Path) -> None:
    before = written(app)
    for path in app.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    (app / "bin" / "serve").rename(app / "bin" / "x")
    (app / "bin" / "x").rename(app / "bin" / "serve")
    assert written(app) == before
    assert written(app, mtime=5) != before


def test_the_mode_of_the_directory_itself_does_not_count(app: Path) -> None:
    """It is that of the place where the slug was built: a volume's is open to everyone."""
    before = written(app)
    app.chmod(0o777)
    assert written(app) == before


def test_what_the_slugignore_names_and_what_is_excluded_stay_out(app: Path) -> None:
    asked: list[tuple[str, bool]] = []

    def ignore(path: str, is_dir: bool) -> bool:
        asked.append((path, is_dir))
        return path == "vendor"

    with tarfile.open(fileobj=io.BytesIO(written(app, ignore=ignore, exclude=(".git", ".profile.d")))) as tar:
        names = tar.getnames()
    assert names == [".", "./Procfile", "./bin", "./bin/again", "./bin/python", "./bin/serve", "./ümlaut.txt"]
    assert ("vendor", True) in asked
    assert ("Procfile", False) in asked
    assert not any(path.startswith("vendor/") for path, _ in asked)


def test_a_slug_over_the_limit_is_told_with_its_size_and_what_is_large(app: Path) -> None:
    out = io.BytesIO()
    with pytest.raises(SlugTooLarge) as caught:
        write_slug(app, out, limit=50_000)
    assert len(out.getvalue()) <= 50_000
    whole = len(written(app, limit=0)) / 1024
    assert str(caught.value) == f"Compiled slug size: {whole:.1f}K is too large (max is 48.8K)"
    assert (caught.value.details or "").splitlines()[1].split() == ["68.4K", "ümlaut.txt"]
    assert len(written(app, limit=len(written(app)))) > 50_000  # just as large as it may be


@pytest.mark.parametrize("data", [os.urandom(8 << 20), b""], ids=["large", "small"])
def test_a_full_disk_is_told(app: Path, data: bytes) -> None:
    (app / "large").write_bytes(data)
    with open("/dev/full", "wb", buffering=0) as out, pytest.raises(DiskFull):
        write_slug(app, out)


def test_a_reader_that_went_away_is_told(app: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as out, pytest.raises(SlugOutputClosed):
        write_slug(app, out)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("1048576", 1 << 20), ("500M", 500 << 20), ("1.5 GiB", 3 << 29), ("10kb", 10 << 10)]
)
def test_a_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "large", "-1", "1T", "M", "1e9", "9" * 30])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadSizeLimit):
        parse_size(text)


# -- reading -----------------------------------------------------------------------------------------------------


def content(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        kind = path.lstat().st_mode
        name = str(path.relative_to(root))
        if stat.S_ISLNK(kind):
            found[name] = os.readlink(path)
        elif stat.S_ISREG(kind):
            found[name] = (stat.S_IMODE(kind), path.read_bytes())
        elif stat.S_ISDIR(kind):
            found[name] = stat.S_IMODE(kind)
    return found


def test_what_was_written_is_read(app: Path, empty: Path) -> None:
    done = read_slug(io.BytesIO(written(app)), empty, "the slug")
    (app / "pipe").unlink()
    wanted = {name: value for name, value in content(app).items() if ".git/" not in name and not name.endswith(".git")}
    assert content(empty) == wanted
    assert done.entries == len(wanted) + 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["tar", "gz", "bz2", "xz"])
def test_every_compression_of_the_family_is_read(pack: Callable[[bytes], bytes], empty: Path) -> None:
    plain = gzip.decompress(tarred(("./Procfile", b"web: x\n")))
    read_slug(io.BytesIO(pack(plain)), empty, "the slug")
    assert (empty / "Procfile").read_bytes() == b"web: x\n"


def test_a_slug_of_heroku_loses_its_prefix(empty: Path) -> None:
    frozen = special("./app/app", tarfile.DIRTYPE, mode=0o555)
    slug = tarred(special("./app", tarfile.DIRTYPE, mode=0o555), ("./app/Procfile", b"web: x\n"), frozen)
    read_slug(io.BytesIO(slug), empty, "the slug")
    assert sorted(os.listdir(empty)) == ["Procfile", "app"]
    assert stat.S_IMODE((empty / "app").stat().st_mode) == 0o555


def test_an_app_with_a_folder_called_app_keeps_it(empty: Path) -> None:
    read_slug(io.BytesIO(tarred(("./app/models.rb", b""), ("./Procfile", b""))), empty, "the slug")
    assert sorted(os.listdir(empty)) == ["Procfile", "app"]


def test_a_link_called_app_is_no_prefix(empty: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()
    read_slug(io.BytesIO(tarred(special("app", tarfile.SYMTYPE, "../victim"))), empty, "the slug")
    assert os.listdir(empty) == ["app"]
    assert os.listdir(tmp_path / "victim") == ["file"]


def test_setuid_bits_are_dropped(empty: Path) -> None:
    info = tarfile.TarInfo("mount")
    info.mode, info.size = 0o6755, 1
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(info, io.BytesIO(b"x"))
    read_slug(io.BytesIO(out.getvalue()), empty, "the slug")
    assert stat.S_IMODE((empty / "mount").stat().st_mode) == 0o755


def test_files_are_given_to_the_user_of_the_build(app: Path, empty: Path) -> None:
    owner = (1234, 4321) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    read_slug(io.BytesIO(written(app)), empty, "the slug", owner=owner)
    found = {(path.lstat().st_uid, path.lstat().st_gid) for path in empty.rglob("*")}
    assert found == {owner}


@pytest.mark.skipif(os.geteuid() != 0, reason="being another user needs root")
def test_a_volume_that_belongs_to_another_user_takes_a_slug(app: Path) -> None:
    """As in a pod: the volume is root's and open to everyone, whoever runs there is not root."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom lifecycle.slug.archive import read_slug\n"
        "os.setgid(0); os.setuid(65534)\n"
        "print(read_slug(sys.stdin.buffer, Path(sys.argv[1]), 'slug').entries)"
    )
    with tempfile.TemporaryDirectory() as volume:  # the directories of tests are root's alone
        os.chmod(volume, 0o777)
        plain = gzip.decompress(written(app))  # what decompresses may be nobody's to import
        done = subprocess.run([sys.executable, "-c", program, volume], input=plain, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        assert (Path(volume) / "Procfile").read_bytes() == (app / "Procfile").read_bytes()
        assert stat.S_IMODE(os.stat(volume).st_mode) == 0o777


def test_names_with_a_leading_slash_stay_inside(empty: Path) -> None:
    read_slug(io.BytesIO(tarred(("/etc/passwd", b"x"))), empty, "the slug")
    assert (empty / "etc" / "passwd").read_bytes() == b"x"


def test_nothing_is_written_through_a_link_that_leads_out(empty: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    slug = tarred(special("out", tarfile.SYMTYPE, str(tmp_path / "victim")), ("out/file", b"x"), ("Procfile", b""))
    read_slug(io.BytesIO(slug), empty, "the slug")
    assert os.listdir(tmp_path / "victim") == []


BOMB = tarred(("bomb", bytes(40 << 20)))


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        (b"", "no tar archive"),
        (b"<html>Sign in</html>" * 100, "no tar archive"),
        (b"PK\x03\x04" + bytes(600), "no tar archive"),
        (tarred(), "holds no slug"),
        (tarred(special(".", tarfile.DIRTYPE)), "holds no slug"),
        (tarred(("Procfile", b"x"), ("../escape", b"x")), "leads out"),
        (tarred(("Procfile", b"x"), special("link", tarfile.LNKTYPE, "/etc/passwd")), "not in the tree"),
        (tarred(("Procfile", b"x"), special("null", tarfile.CHRTYPE)), "device"),
        (tarred(("Procfile", b"x"), special("sda", tarfile.BLKTYPE)), "device"),
        (tarred(("Procfile", b"x"), special("pipe", tarfile.FIFOTYPE)), "FIFO"),
        (tarred(("Procfile", os.urandom(100_000)))[:-5000], "cannot be unpacked"),
        (BOMB, "without measure"),
    ],
    ids=["empty", "html", "zip", "nothing", "root", "dots", "hardlink", "char", "block", "fifo", "cut", "bomb"],
)
def test_an_archive_that_cannot_be_a_slug_is_refused_and_nothing_stays(slug: bytes, words: str, empty: Path) -> None:
    limits = Limits(ratio=100, ratio_from=1 << 20)
    with pytest.raises(BadSlug) as caught:
        read_slug(io.BytesIO(slug), empty, "slug.tgz", limits=limits)
    assert words in str(caught.value)
    assert "slug.tgz" in str(caught.value)
    assert os.listdir(empty) == []
    assert not (empty.parent / "escape").exists()


def test_the_signature_of_an_address_is_not_told(empty: Path) -> None:
    with pytest.raises(BadSlug, match="is no tar archive") as caught:
        read_slug(io.BytesIO(b"no tar"), empty, "https://me:pass@store.example/slug.tgz?X-Amz-Signature=5ecre7")
    assert "https://store.example/slug.tgz" in str(caught.value)
    assert "5ecre7" not in str(caught.value) and "pass" not in str(caught.value)


def test_a_slug_that_does_not_fit_is_told_and_nothing_stays(empty: Path) -> None:
    with small_files(), pytest.raises(ExtractFailed, match="File too large"):
        read_slug(io.BytesIO(BOMB), empty, "the slug", limits=Limits())
    assert os.listdir(empty) == []
