"""The apt buildpack: its real executables, with real packages of a small archive."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from debian_archive import Archive, need_apt
from workbench import Bench, make_bench

TABLE = "[com.heroku.buildpacks.deb-packages]\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path / "bench")


@pytest.fixture
def archive(tmp_path: Path, bench: Bench) -> Archive:
    need_apt()
    archive = Archive(tmp_path / "archive")
    archive.add("libmoo", files={"usr/share/moo/cow": "a cow\n", "usr/share/doc/libmoo/changelog": "long\n"})
    archive.add(
        "moo",
        "2.1-3",
        files={"usr/games/moo": "#!/bin/sh\ncat /usr/share/moo/cow\n", "usr/share/man/man6/moo.6": "man\n"},
        depends="libmoo (>= 1.0)",
    )
    bench.env |= archive.env
    return archive


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a folder of the archive's packages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "archive" / "pool")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_no_packages_are_asked_for(bench: Bench) -> None:
    bench.write({"project.toml": "[_]\nschema-version = '0.2'\n"})
    ran, _ = bench.detect("apt")
    assert ran.code == 100
    assert "no Aptfile" in ran.out


@pytest.mark.parametrize(
    "files", [{"Aptfile": "moo\n"}, {"project.toml": TABLE + 'install = ["moo"]\n'}], ids=["aptfile", "project"]
)
def test_detection_says_what_will_be_done(bench: Bench, files: dict[str, str]) -> None:
    ran, plan = bench.write(files).detect("apt")
    assert ran.code == 0
    said = plan["requires"][0]["metadata"]["pylife"]
    assert said["files"] == list(files)
    assert said["commands"] == ["apt-get install --download-only moo"]
    assert plan["provides"] == [{"name": "apt"}]


def test_packages_work_from_their_layer(bench: Bench, archive: Archive) -> None:
    ran = bench.write({"Aptfile": "# cows\nmoo  # the best\n"}).build("apt")
    assert ran.code == 0, ran.err
    root = bench.layer("apt", "packages")
    assert subprocess.run([root / "usr/games/moo"], capture_output=True, text=True).stdout == "a cow\n"
    assert f"{root}/usr/games" in (root / "env/PATH.prepend").read_text().split(":")
    assert f"{root}/usr/share" in (root / "env/XDG_DATA_DIRS.prepend").read_text().split(":")
    assert not (root / "usr/share/man").exists()
    assert not (root / "usr/share/doc").exists()
    for extension, needle in (("cdx", '"pkg:deb/debian/moo@2.1-3?arch=all"'), ("spdx", '"libmoo"')):
        assert needle in bench.layer("apt", f"packages.sbom.{extension}.json").read_text()


def test_unchanged_request_starts_no_apt(bench: Bench, archive: Archive) -> None:
    bench.write({"Aptfile": "moo\n"}).build("apt")
    ran = bench.build("apt", PATH="/nowhere")
    assert ran.code == 0, ran.err
    assert "They are kept from the last build" in ran.out
    bench.write({"Aptfile": "moo\nlibmoo\n"})
    ran = bench.build("apt")
    assert "the list of packages changed" in ran.out


def test_cached_packages_need_no_archive(bench: Bench, archive: Archive) -> None:
    bench.write({"Aptfile": "moo\n"}).build("apt")
    for deb in archive.pool.glob("*.deb"):
        deb.unlink()
    ran = bench.write({"Aptfile": "libmoo\nmoo\n"}).build("apt")
    assert ran.code == 0, ran.err
    assert "Fetching" not in ran.out


def test_damaged_package_of_the_cache_is_fetched_again(bench: Bench, archive: Archive) -> None:
    bench.write({"Aptfile": "moo\n"}).build("apt")
    cached = next(bench.layers.rglob("archives/moo_*.deb"))
    cached.write_bytes(b"x" * cached.stat().st_size)
    ran = bench.write({"Aptfile": "libmoo\nmoo\n"}).build("apt")
    assert ran.code == 0, ran.err
    assert "in the cache is damaged" in ran.out


def test_same_packages_give_the_same_layer(tmp_path: Path, bench: Bench, archive: Archive) -> None:
    def tree(root: Path) -> dict[str, bytes | str]:
        found: dict[str, bytes | str] = {}
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
            found[name + " mode"] = oct(path.lstat().st_mode)
        return found

    bench.write({"Aptfile": "moo\n"}).build("apt")
    one = tree(bench.layer("apt", "packages"))
    bench.build("apt")
    for path in bench.layers.glob("pylife_apt/packages*"):
        subprocess.run(["rm", "-r", path], check=True)
    bench.build("apt")
    assert tree(bench.layer("apt", "packages")) == one


@pytest.mark.parametrize(
    ("files", "failure", "says"),
    [
        ({"aptfile": "moo\n"}, "apt.file-misspelt", "git mv aptfile Aptfile"),
        ({"Aptfile.txt": "moo\n"}, "apt.file-misspelt", "git mv Aptfile.txt Aptfile"),
        ({"Aptfile": "apt-get install -y moo\n"}, "apt.bad-line", "Aptfile:1"),
        ({"Aptfile": "\nMoo\n"}, "apt.bad-line", "lower case"),
        ({"Aptfile": "moo,\n"}, "apt.bad-line", "without commas"),
        ({"Aptfile": "--no-install-recommends\n"}, "apt.bad-line", "Keep the packages alone"),
        ({"Aptfile": "<<<<<<< HEAD\nmoo\n"}, "apt.bad-line", "Finish the merge"),
        ({"Aptfile": "https://example.com/tool.tar.gz\n"}, "apt.bad-line", "address of a .deb"),
        ({"Aptfile": "moo\n".encode("utf-16")}, "apt.bad-line", "UTF-8"),
        ({"Aptfile": ":repo:deb http://example.com/x stable main\n"}, "apt.repository-unsupported", "Aptfile:1"),
        ({"Aptfile": "vendor/moo.deb\n"}, "apt.file-missing", "git add vendor/moo.deb"),
        ({"Aptfile": "../moo.deb\n"}, "apt.file-missing", "Aptfile:1"),
        ({"project.toml": TABLE + "install = 'moo'\n"}, "apt.bad-project-toml", "no list"),
        ({"project.toml": TABLE + "install = [{ version = '1' }]\n"}, "apt.bad-project-toml", "no name"),
        ({"project.toml": TABLE + "install = [\n"}, "apt.bad-project-toml", "no TOML"),
        ({"project.toml": TABLE + "[[com.heroku.buildpacks.deb-packages.sources]]\nuri='x'\n"},
         "apt.repository-unsupported", "project.toml"),
    ],
)  # fmt: skip
def test_request_that_cannot_be_meant(bench: Bench, files: dict[str, str | bytes], failure: str, says: str) -> None:
    bench.write(files)
    detected, plan = bench.detect("apt")
    assert detected.code == 0
    assert plan["requires"][0]["metadata"]["pylife"]["problems"][0]["id"] == failure
    ran = bench.build("apt")
    assert (ran.code, ran.failure) == (1, failure)
    assert says in ran.err


@pytest.mark.parametrize(
    ("line", "failure", "says"),
    [
        ("mooo", "apt.package-not-found", "Write moo if that is meant"),
        ("unheard-of-thing", "apt.package-not-found", "Aptfile:1: unheard-of-thing"),
        ("moo=9", "apt.version-not-found", "Debian has no version 9 of moo"),
        ("broken", "apt.conflict", "nothing-has-this"),
    ],
)
def test_packages_that_cannot_be_had(bench: Bench, archive: Archive, line: str, failure: str, says: str) -> None:
    archive.add("broken", depends="nothing-has-this")
    ran = bench.write({"Aptfile": f"{line}\n"}).build("apt")
    assert (ran.code, ran.failure) == (1, failure), ran.err
    assert says in ran.err


def test_wrong_checksum_of_the_archive(bench: Bench, archive: Archive) -> None:
    archive.add("forged", files={"usr/share/forged": "x"}, sha256="0" * 64)
    ran = bench.write({"Aptfile": "forged\n"}).build("apt")
    assert ran.failure in ("apt.failed", "apt.checksum-mismatch"), ran.err
    assert not bench.layer("apt", "packages.toml").exists()


def test_unsigned_archive_is_refused(tmp_path: Path, bench: Bench) -> None:
    need_apt()
    archive = Archive(tmp_path / "unsigned", options="arch=amd64")
    archive.add("moo")
    bench.env |= archive.env
    ran = bench.write({"Aptfile": "moo\n"}).build("apt")
    assert (ran.code, ran.failure) == (1, "apt.unauthenticated"), ran.err


def test_unreachable_archive(tmp_path: Path, bench: Bench) -> None:
    need_apt()
    archive = Archive(tmp_path / "away")
    (archive.root / "sources.list").write_text("deb [trusted=yes] http://127.0.0.1:9/debian ./\n")
    bench.env |= archive.env
    ran = bench.write({"Aptfile": "moo\n"}).build("apt", NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    assert (ran.code, ran.failure) == (1, "apt.network"), ran.err


def test_package_file_of_the_app_brings_what_it_needs(bench: Bench, archive: Archive) -> None:
    deb = archive.add("own", files={"usr/bin/own": "#!/bin/sh\nexec moo\n"}, depends="moo")
    ran = bench.write({"vendor/own.deb": deb.read_bytes(), "Aptfile": "vendor/own.deb\n"}).build("apt")
    assert ran.code == 0, ran.err
    assert (bench.layer("apt", "packages") / "usr/games/moo").exists()
    assert (bench.layer("apt", "packages") / "usr/bin/own").exists()


def test_package_by_address_needs_its_checksum(bench: Bench, archive: Archive, web: str) -> None:
    deb = archive.add("far", files={"usr/share/far/away": "x"})
    total = hashlib.sha256(deb.read_bytes()).hexdigest()
    url = f"{web}/{deb.name}"
    ran = bench.write({"Aptfile": f"{url}\n"}).build("apt")
    assert ran.failure == "apt.checksum-missing"
    assert f"{url} # sha256:{total}" in ran.err
    ran = bench.write({"Aptfile": f"{url} # sha256:{'0' * 64}\n"}).build("apt")
    assert ran.failure == "apt.checksum-mismatch"
    ran = bench.write({"Aptfile": f"{url} # sha256:{total}\n"}).build("apt")
    assert ran.code == 0, ran.err
    assert (bench.layer("apt", "packages") / "usr/share/far/away").exists()
    ran = bench.write({"Aptfile": f"{web}/gone.deb # sha256:{total}\n"}).build("apt")
    assert (ran.failure, "answers 404" in ran.err) == ("apt.network", True)


def test_dependencies_can_be_left_out(bench: Bench, archive: Archive) -> None:
    text = TABLE + 'install = [{ name = "moo", skip_dependencies = true }]\n'
    ran = bench.write({"project.toml": text}).build("apt")
    assert ran.code == 0, ran.err
    assert "libmoo" not in ran.out
    assert (bench.layer("apt", "packages") / "usr/games/moo").exists()


def test_empty_aptfile_makes_no_layer(bench: Bench) -> None:
    ran = bench.write({"Aptfile": "# later\n"}).build("apt")
    assert ran.code == 0
    assert "names no package" in ran.err
    assert not bench.layer("apt", "packages.toml").exists()
