"""Dockerfiles, contexts and archives made to do harm: nothing from outside gets in, and every build ends in words."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
from dockerfile_command import Pylife

pytestmark = pytest.mark.functional

_PATIENCE = 60.0  # seconds
_CANARY = f"canary-{os.urandom(16).hex()}"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A directory to build, beside what no build of it may read: ``outside/canary`` and ``canary``."""
    place = tmp_path / "place" / "context"
    place.mkdir(parents=True)
    outside = place.parent / "outside"
    outside.mkdir()
    for canary in (outside / "canary", place.parent / "canary"):
        canary.write_text(_CANARY)
    return place


def _attempt(pylife: Pylife, context: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """``pylife build`` of ``context``, which ends in time and without a fault of pylife, however it ends."""
    words = [*pylife.command, "build", *map(str, args), str(context)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=pylife.environment, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"still running after {_PATIENCE} s: {words}")
    stdout, stderr = out.decode(errors="replace"), err.decode(errors="replace")
    assert "Traceback" not in stderr and "pylife has a fault" not in stderr, stderr
    assert process.returncode == 0 or "fix:" in stderr or "error" in stderr.lower(), stderr
    return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


def _write(context: Path, text: str | bytes) -> None:
    (context / "Dockerfile").write_bytes(text.encode() if isinstance(text, str) else text)


def _exported(pylife: Pylife, context: Path, text: str) -> tuple[subprocess.CompletedProcess[str], dict[str, bytes]]:
    """A build of ``text`` and the files that it exports; the canary is in none, nor in what the build prints."""
    _write(context, text)
    out = context.parent / "image.tar"
    done = _attempt(pylife, context, "-f", context / "Dockerfile", "-o", f"type=tar,dest={out}")
    assert _CANARY not in done.stdout + done.stderr
    if not out.exists():
        assert done.returncode != 0
        return done, {}
    assert _CANARY.encode() not in out.read_bytes()
    with tarfile.open(out) as tar:
        return done, {m.name: (tar.extractfile(m) or io.BytesIO()).read() if m.isreg() else b"" for m in tar}


# -- ways out of a context ---------------------------------------------------------------------------------------


@pytest.fixture
def links(context: Path) -> Path:
    """A context with links that lead out of it, relative and absolute, to a file, a directory and the root."""
    outside = context.parent / "outside"
    for name, target in {
        "file": outside / "canary",
        "near": "../canary",
        "directory": outside,
        "root": "/",
        "up": "..",
        "chain": "directory",
        "loop": "loop",
    }.items():
        (context / name).symlink_to(target)
    (context / "real").mkdir()
    (context / "real" / "link").symlink_to("../../outside")
    (context / "real" / "mine").write_text("mine")
    return context


_SOURCES = [
    "../canary",
    "../../../../../../../../etc/passwd",
    "real/../../canary",
    "{outside}/canary",
    "file",
    "near",
    "directory/",
    "directory/canary",
    "directory/*",
    "root{outside}/canary",
    "up/outside/canary",
    "chain/canary",
    "real/link/canary",
    "real/*/canary",
    "*/canary",
    "loop",
    "loop/x",
    "real/mine/../../../canary",
]
_WORDS = [("COPY", _SOURCES), ("COPY --parents", _SOURCES[::3]), ("ADD", _SOURCES[1::4])]


@pytest.mark.parametrize(("word", "source"), [(word, source) for word, sources in _WORDS for source in sources])
def test_no_source_leads_out_of_the_context(busybox_home: Pylife, links: Path, word: str, source: str) -> None:
    source = source.format(outside=links.parent / "outside")
    done, _ = _exported(busybox_home, links, f"FROM scratch\n{word} {source} /got/\n")
    if done.returncode:
        assert "Dockerfile:2" in done.stderr


def test_no_source_leads_out_of_the_context_all(busybox_home: Pylife, links: Path) -> None:
    _, files = _exported(busybox_home, links, "FROM scratch\nCOPY . /all/\nADD . /added/\nCOPY real /real\n")
    assert files["all/real/mine"] == b"mine"


def test_no_source_leads_out_of_a_stage(busybox: Pylife, links: Path) -> None:
    outside = links.parent / "outside"
    text = (
        f"FROM base AS made\nRUN mkdir -p /d && ln -s {outside} /out && ln -s ../../../../../../{outside} /d/up && "
        "ln -s / /slash && ln -s /proc/1/root /proc-root && ln -s /proc/self/cwd /cwd && mkdir -p /some && "
        f"ln -s /out/canary /some/deep\n"
    )
    for source in (
        "/out",
        "/out/canary",
        "/d/up/canary",
        "/slash",
        f"/slash{outside}/canary",
        "/some/",
        "/cwd/",
        f"/proc-root{outside}/canary",
        f"../../../..{outside}/canary",
        "/some/deep",
    ):
        _exported(busybox, links, f"{text}FROM scratch\nCOPY --from=made {source} /got/\n")


# -- ways out of an archive --------------------------------------------------------------------------------------


def _tar(*members: tuple[str, bytes, str]) -> bytes:
    """A tar of ``(name, kind, content or link target)``, names as they are written here."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(text)
            else:
                info.linkname = text
            tar.addfile(info, io.BytesIO(text.encode()) if kind == tarfile.REGTYPE else None)
    return data.getvalue()


_FILE, _LINK, _HARD, _CHAR = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
_WAYS_OUT = {
    "dots": [("../../../../../../../../..{outside}/planted", _FILE, "x")],
    "absolute": [("{outside}/planted", _FILE, "x")],
    "through-link": [("way", _LINK, "{outside}"), ("way/planted", _FILE, "x")],
    "through-dots": [("way", _LINK, "../../../../../../../../..{outside}"), ("way/planted", _FILE, "x")],
    "through-file-link": [("way", _LINK, "{outside}/planted"), ("way", _FILE, "x")],
    "hard-link": [("way", _HARD, "{outside}/canary")],
    "hard-link-dots": [("way", _HARD, "../../../../../../../../..{outside}/canary")],
    "hard-link-through": [("way", _LINK, "{outside}"), ("got", _HARD, "way/canary")],
    "hard-link-to-link": [("way", _LINK, "{outside}/canary"), ("got", _HARD, "way"), ("got", _FILE, "x")],
    "whiteout": [("a/.wh...", _FILE, "")],
    "opaque": [(".wh..wh..opq", _FILE, "")],
    "device": [("sda", _CHAR, "")],
}


@pytest.mark.parametrize("way", _WAYS_OUT)
@pytest.mark.parametrize("place", ["context", "add"])
def test_no_archive_leads_out(busybox_home: Pylife, context: Path, way: str, place: str) -> None:
    outside = context.parent / "outside"
    members = [
        tuple(word.format(outside=outside) if isinstance(word, str) else word for word in item)
        for item in _WAYS_OUT[way]
    ]
    if place == "add":
        (context / "a.tar").write_bytes(_tar(*members))
        _exported(busybox_home, context, "FROM scratch\nADD a.tar /in/deep/\n")
    else:
        archive = context.parent / "context.tar"
        archive.write_bytes(_tar(("Dockerfile", _FILE, "FROM scratch\nCOPY . /\n"), *members))
        out = context.parent / "image"
        done = _attempt(busybox_home, archive, "-f", "Dockerfile", "-o", f"type=tar,dest={out}")
        assert _CANARY not in done.stdout + done.stderr
        assert not out.exists() or _CANARY.encode() not in out.read_bytes()
    assert sorted(os.listdir(outside)) == ["canary"]
    assert (outside / "canary").read_text() == _CANARY
    assert (outside / "canary").stat().st_nlink == 1


def test_an_exported_directory_keeps_what_is_beside_it(busybox_home: Pylife, context: Path) -> None:
    """``-o DIR`` writes what the archive brought: links in it are not followed on this host."""
    outside = context.parent / "outside"
    (context / "a.tar").write_bytes(_tar(("way", _LINK, str(outside)), ("up", _LINK, "../outside")))
    (context / "planted").write_text("x")
    _write(context, "FROM scratch\nADD a.tar /\nCOPY planted /way/\nCOPY planted /up/\n")
    _attempt(busybox_home, context, "-f", context / "Dockerfile", "-o", context.parent / "out")
    _attempt(busybox_home, context, "-f", context / "Dockerfile", "-o", context.parent / "out")
    assert sorted(os.listdir(outside)) == ["canary"]


def test_zeros_without_end_are_refused(busybox_home: Pylife, context: Path) -> None:
    """A tar of 2 GB of zeros in 2 MB: refused after the first GB, with nothing left in the store."""
    info = tarfile.TarInfo("zeros")
    info.size = 1 << 31
    block = gzip.compress(bytes(1 << 26))
    (context / "bomb.tgz").write_bytes(gzip.compress(info.tobuf()) + block * 32)
    _write(context, "FROM scratch\nADD bomb.tgz /\n")
    before = busybox_home("images")
    done = _attempt(busybox_home, context, "-f", context / "Dockerfile", "-t", "bomb")
    assert done.returncode == 1
    assert "bomb.tgz" in done.stderr
    assert "Dockerfile:2" in done.stderr
    assert busybox_home("images") == before


# -- contexts and Dockerfiles that are odd -----------------------------------------------------------------------


def test_a_context_may_hold_anything(busybox_home: Pylife, context: Path) -> None:
    """A FIFO, a socket, names of any bytes, many names of one file, a deep tree: copied, and not waited for."""
    for name in ("fifo", ".dockerignore"):
        os.mkfifo(context / name)
    for name in (b"n" * 255, b"\xff\xfe\x80", b"new\nline", b"\x1b[31mred"):
        (context / os.fsdecode(name)).write_text("x")
    for number in range(1000):
        os.link(context / ("n" * 255), context / f"link{number}")
    at = os.open(context, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    _write(context, "FROM scratch\nCOPY . /all/\nADD fifo /fifo\n")
    done = _attempt(busybox_home, context, "-f", context / "Dockerfile", "-t", "odd")
    subprocess.run(["rm", "-rf", context / "d"], check=True)  # too deep for pytest to remove
    assert done.returncode == 0, done.stderr


_TEXTS = {
    "garbage": bytes(range(128, 256)) * 100,
    "nul": b"FROM base\nRUN echo a\0b\n",
    "long-line": b"FROM scratch\nLABEL a=" + b"x" * 70_000 + b"\n",
    "nested": b"FROM scratch\nLABEL a=" + b"${a:-" * 5000 + b"x" + b"}" * 5000 + b"\n",
    "cycle": b"FROM b AS a\nFROM a AS b\n",
    "onbuild": b"FROM scratch\nONBUILD ONBUILD RUN x\n",
}


@pytest.mark.parametrize("text", _TEXTS)
def test_a_dockerfile_that_makes_no_sense_is_told_its_line(busybox_home: Pylife, context: Path, text: str) -> None:
    _write(context, _TEXTS[text])
    done = _attempt(busybox_home, context, "-f", context / "Dockerfile", "-t", "odd")
    assert done.returncode != 0
    if text != "cycle":
        assert "Dockerfile:" in done.stderr


def test_a_long_comment_takes_no_time(busybox_home: Pylife, context: Path) -> None:
    _write(context, b"# x\n" * 500_000 + b"FROM scratch\nCOPY Dockerfile /\n")
    assert _attempt(busybox_home, context, "-f", context / "Dockerfile", "-t", "odd").returncode == 0


def test_a_dockerfile_that_is_no_file_is_not_waited_for(busybox_home: Pylife, context: Path) -> None:
    os.mkfifo(context / "Dockerfile")
    assert _attempt(busybox_home, context, "-f", context / "Dockerfile", "-t", "odd").returncode == 2


@pytest.mark.parametrize("isolation", ["auto", "chroot"])
@pytest.mark.parametrize(
    "mount",
    [
        "type=bind,source=out,target=/x cat /x/canary",
        "type=bind,source=.,target=/x cat /x/out/canary",
        "type=cache,target=/way touch /way/planted",
        "type=cache,target=/slash{outside} touch {outside}/planted",
        "type=bind,rw,target=/slash{outside} touch {outside}/planted",
        "type=tmpfs,target=/ true",
    ],
)
def test_no_mount_leads_out(busybox_home: Pylife, links: Path, mount: str, isolation: str) -> None:
    outside = links.parent / "outside"
    (links / "out").symlink_to(outside)
    run = mount.format(outside=outside)
    _write(links, f"FROM base\nRUN ln -s / /slash; ln -s {outside} /way\nRUN --mount={run}; false\n")
    words = ("-f", links / "Dockerfile", "-t", "odd", "--allow-degraded", "--isolation", isolation)
    done = _attempt(busybox_home, links, *words)
    assert done.returncode != 0
    assert _CANARY not in done.stdout + done.stderr
    assert "Dockerfile:3" in done.stderr
    assert sorted(os.listdir(outside)) == ["canary"]
