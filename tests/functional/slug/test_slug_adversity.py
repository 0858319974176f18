"""What goes wrong with slugs: a sentence that says so, an exit code that is not 0, and the old slug and cache stay."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from objectserver import ObjectServer
from pylife_command import Pylife, Run, user_environment

pytestmark = pytest.mark.functional

AppMaker = Callable[..., Path]
BuildpackMaker = Callable[..., Path]
NOISE = 'head -c 3000000 /dev/urandom > "$1/noise"'


@dataclass(frozen=True)
class Case:
    """A bad app or buildpack, and what is said of it; ``env`` and ``options`` of the command."""

    error: str
    texts: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=lambda: {"x": ""})
    scripts: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    code: int = 1


CASES = {
    "unreachable buildpack": Case(
        "slug.buildpack-unreachable",
        ("not a reachable git remote or a recognised archive", "http://127.0.0.1:9/none.git"),
        options=("-b", "http://127.0.0.1:9/none.git"),
    ),
    "no address": Case("slug.bad-buildpack-url", ("Invalid buildpack URL: 'ruby'",), options=("-b", "ruby"), code=2),
    "no buildpack takes it": Case("slug.nothing-detected", ("none of python, nodejs, java, static takes the app", "x")),
    "the one asked for does not": Case(
        "slug.not-detected", ("needs a main.x",), scripts={"detect": "echo needs a main.x; exit 1"}
    ),
    "compile fails": Case(
        "slug.compile-failed", ("out of luck", "exited with 7"), scripts={"compile": "echo out of luck >&2; exit 7"}
    ),
    "hook fails": Case(
        "slug.hook-failed",
        ("bin/pre-compile", "not today"),
        files={"bin/pre-compile": "#!/bin/sh\necho not today; exit 1\n"},
        scripts={},
    ),
    "merge marker": Case(
        "procfile.merge-marker",
        ("Procfile", "<<<<<<<"),
        files={"Procfile": "<<<<<<< HEAD\nweb: a\n=======\nweb: b\n>>>>>>> other\n"},
        scripts={"compile": "echo this must not run; exit 9"},
    ),
    "a type twice": Case("procfile.duplicate", ("Procfile:2",), files={"Procfile": "web: a\nweb: b\n"}),
    "no colon": Case("procfile.syntax", ("Procfile:2",), files={"Procfile": "web: a\nworker b\n"}),
    "release is no YAML": Case("slug.bad-release", ("bad",), scripts={"release": "echo 'default_process_types: [web'"}),
    "release is a list": Case("slug.bad-release", ("bad",), scripts={"release": "echo '- web'"}),
    "release fails": Case("slug.release-failed", ("bad",), scripts={"release": "exit 3"}),
    "too large": Case(
        "slug.too-large",
        ("Compiled slug size: 2.9M is too large (max is 1M)", ".slugignore"),
        scripts={"compile": NOISE},
        options=("--max-size", "1m"),
    ),
    "too slow": Case("timeout", scripts={"compile": "sleep 60"}, options=("--timeout", "1"), code=51),
    "output cannot be taken": Case(
        "slug.target-unreachable",
        ("127.0.0.1:9",),
        scripts={},
        options=("-o", "http://127.0.0.1:9/slug.tgz?sig=5ecre7"),
    ),
}


@dataclass(frozen=True)
class Place:
    """Where a slug and a cache of an earlier build are."""

    slug: Path
    cache: Path

    @property
    def files(self) -> dict[str, bytes]:
        """Everything there, by name."""
        return {str(path): path.read_bytes() for top in (self.slug.parent, self.cache) for path in top.iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path / "out" / "slug.tgz", tmp_path / "cache")
    found.slug.parent.mkdir()
    found.cache.mkdir()
    found.slug.write_bytes(b"the slug of yesterday")
    with tarfile.open(found.cache / "cache.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("./old")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"old"))
    return found


@contextmanager
def nothing_left(pylife: Pylife) -> Iterator[None]:
    """Neither scratch directories nor root filesystems are more after the block than before."""

    def there() -> list[list[str]]:
        tops = ("scratch", "snapshots", *(f"snapshots/{name}" for name in os.listdir(pylife.home / "snapshots")))
        return [sorted(os.listdir(pylife.home / top)) for top in tops if (pylife.home / top).is_dir()]

    before = there()
    yield
    assert there() == before


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_told_and_what_was_there_stays(
    pylife: Pylife, place: Place, app: AppMaker, buildpack: BuildpackMaker, name: str
) -> None:
    case, before = CASES[name], place.files
    chosen = () if "-b" in case.options or name == "no buildpack takes it" else ("-b", buildpack("bad", **case.scripts))
    with nothing_left(pylife):
        done = pylife(
            *("slug", "build", "--app", app(case.files), *chosen, "--cache", place.cache),
            *case.options,
            *(() if "-o" in case.options else ("-o", place.slug)),
            code=case.code,
        )
    for text in (case.error, *case.texts, "fix:", "Failed"):
        assert text in done.err, done.err
    assert "Traceback" not in done.err and "5ecre7" not in done.err and "must not run" not in done.err
    assert done.out == ""
    assert place.files == before


def test_a_limit_of_0_is_none_as_the_advice_says(pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker) -> None:
    words = ("slug", "build", "--app", app({"x": ""}), "-b", buildpack("any"), "--no-cache", "-o", "/dev/null")
    pylife(*words, "--max-size", "0")
    wrong = pylife(*words, "--max-size", "large", code=2)
    assert "slug.bad-size-limit" in wrong.err


def test_what_of_the_source_cannot_be_in_a_slug_is_named(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    source, slug = app({"Procfile": "web: true\n"}), tmp_path / "slug.tgz"
    os.mkfifo(source / "pipe")
    (source / "out").symlink_to("/etc/passwd")
    done = pylife("slug", "build", "--app", source, "-b", buildpack("a"), "--no-cache", "-o", slug)
    assert "Warning: pipe (FIFO): left out of the build" in done.err
    assert "Warning: out: copied as it is, though it leads out of the source" in done.err
    with tarfile.open(slug) as archive:
        assert "./out" in archive.getnames() and "./pipe" not in archive.getnames()


def test_tabs_in_a_procfile_are_warned_of(pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker) -> None:
    words = ("slug", "build", "--app", app({"Procfile": "web:\ta\n"}), "-b", buildpack("any"), "--no-cache")
    said = pylife(*words, "-o", "/dev/null").err
    assert "Warning: Procfile:1: a tab" in said and "Processes: web (Procfile)" in said


@pytest.mark.parametrize("what", ["text", "cut", "page"])
def test_what_is_no_archive_is_called_so(
    pylife: Pylife, objects: ObjectServer, place: Place, app: AppMaker, buildpack: BuildpackMaker, what: str
) -> None:
    pack = buildpack("whole")
    packed = subprocess.run(["tar", "-C", pack, "-cz", "."], check=True, capture_output=True).stdout
    data = {"text": b"no archive", "cut": packed[: len(packed) // 2], "page": b"<html>Sign in</html>"}[what]
    objects.objects["/open/pack.tgz"] = (data, {})
    before = place.files
    url = objects.url("/open/pack.tgz?sig=5ecre7")
    done = pylife("slug", "build", "--app", app({"x": ""}), "-o", place.slug, "--no-cache", "-b", url, code=1)
    assert "slug.not-a-buildpack" in done.err
    assert f"Failed to download buildpack from '{objects.url('/open/pack.tgz')}'" in done.err
    assert place.files == before
    source = pylife("slug", "build", "--app", url, "-o", place.slug, "--no-cache", code=1)
    assert "source.bad-archive" in source.err and "5ecre7" not in source.err
    run = pylife("slug", "run", url, "start", "web", code=1)
    assert "slug.bad-archive" in run.err


def test_nothing_on_standard_input_is_no_source(pylife: Pylife, place: Place) -> None:
    for raw, why in ((b"", "it is empty"), (b"FROM scratch\n", "neither a tar nor a zip")):
        done = pylife("slug", "build", "--app", "-", "-o", place.slug, "--no-cache", stdin=raw, code=1)
        assert "source.bad-archive" in done.err and why in done.err
    assert place.slug.read_bytes() == b"the slug of yesterday"


def test_a_broken_cache_is_told_and_not_used(
    pylife: Pylife, place: Place, app: AppMaker, buildpack: BuildpackMaker
) -> None:
    (place.cache / "cache.tgz").write_bytes(b"no cache")
    pack = buildpack("one", compile='ls -A "$2"; echo new > "$2/new"')
    words = ("slug", "build", "--app", app({"x": ""}), "-o", place.slug, "--cache", place.cache, "-b", pack)
    assert "Cache: not used, because" in pylife(*words).err
    again = pylife(*words).err
    assert "Cache: restored" in again and "  new" in again.splitlines()


def test_a_full_disk_is_named_and_the_old_slug_stays(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, place: Place, tmp_path: Path
) -> None:
    words = ("slug", "build", "--app", app({"x": ""}), "-b", buildpack("large", compile=NOISE))
    full = pylife(*words, "--no-cache", "-o", "/dev/full", code=1)
    assert "fix:" in full.err and "full" in full.err
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        (disk / "slug.tgz").write_bytes(b"old")
        done = pylife(*words, "--no-cache", "-o", disk / "slug.tgz", code=1)
        assert str(disk) in done.err and "fix:" in done.err
        assert {file.name: file.read_bytes() for file in disk.iterdir()} == {"slug.tgz": b"old"}
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_reader_that_goes_away_ends_the_build_with_a_sentence(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker
) -> None:
    words = [
        *pylife.command,
        "slug",
        "build",
        "--no-cache",
        "--app",
        app({"x": ""}),
        "-b",
        buildpack("a", compile=NOISE),
    ]
    process = subprocess.Popen(
        words, env=user_environment(pylife), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read().decode()
    assert process.wait(timeout=30) != 0
    assert "slug.output-closed" in said and "Traceback" not in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_build_that_is_interrupted_leaves_nothing_behind(
    pylife: Pylife, place: Place, app: AppMaker, buildpack: BuildpackMaker, number: signal.Signals, code: int
) -> None:
    seconds = f"6{os.getpid():07}{number.value}"
    pack = buildpack("slow", compile=f'echo new > "$2/new"; sleep {seconds} & echo started; sleep {seconds}')
    before = place.files
    words = ("slug", "build", "--app", app({"x": ""}), "-o", place.slug, "--cache", place.cache, "-b", pack)
    with nothing_left(pylife):
        process = subprocess.Popen(
            [*pylife.command, *map(str, words)],
            env=user_environment(pylife),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                if b"started" in line:
                    break
            began = time.monotonic()
            process.send_signal(number)
            rest = process.stderr.read().decode()
        assert process.wait(timeout=20) == code
        assert time.monotonic() - began < 10
    assert "Traceback" not in rest
    assert place.files == before
    assert seconds not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_two_builds_of_one_app_at_once_share_a_cache(
    pylife: Pylife, place: Place, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    pack = buildpack(
        "both", compile='sleep 1; head -c 200000 /dev/urandom > "$2/$RANDOM"; cat "$2"/* | wc -c; echo x > "$1/made"'
    )
    source = app({"Procfile": "web: true\n"})

    def words(name: str) -> list[str]:
        options = ("-o", tmp_path / f"{name}.tgz", "--cache", place.cache, "-b", pack)
        return [*pylife.command, "slug", "build", "--app", str(source), *map(str, options)]

    env = user_environment(pylife)
    both = [
        subprocess.Popen(words(name), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in "ab"
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert (tmp_path / "a.tgz").read_bytes() == (tmp_path / "b.tgz").read_bytes()
    assert [path.name for path in place.cache.iterdir()] == ["cache.tgz"]
    subprocess.run(["tar", "tzf", place.cache / "cache.tgz"], check=True, capture_output=True)


def test_a_slug_with_hostile_names_is_refused(pylife: Pylife, tmp_path: Path) -> None:
    slug = tmp_path / "hostile.tgz"
    with tarfile.open(slug, "w:gz") as archive:
        for name in ("./Procfile", "../../outside"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"a: b"))
    done: Run = pylife("slug", "run", slug, "start", "a", code=1)
    assert "fix:" in done.err and "outside" in done.err


def test_a_type_that_the_slug_has_not_is_told_with_those_it_has(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    slug = tmp_path / "slug.tgz"
    source = app({"Procfile": "clock: tick\n"})
    pylife("slug", "build", "--app", source, "-b", buildpack("any"), "--no-cache", "-o", slug)
    done = pylife("slug", "run", slug, "start", "web", code=1)
    assert "Proc entrypoint web does not exist" in done.err and "clock" in done.err
    assert "slug.nothing-to-start" in pylife("slug", "run", slug, code=2).err
    assert "SLUG_URL" in pylife("slug", "run", "start", "web", code=2).err
