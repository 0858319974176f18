"""Where runtimes come from: sources in their order, each with real archives, clients and servers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from debian_archive import Archive, need_apt
from pylife_sdk.context import Build, Detect
from pylife_sdk.output import Failure
from pylife_sdk.runtimes import NotFound, Runtime, find
from pylife_sdk.runtimes.order import nearest, newest_first, parse_sources
from pylife_sdk.runtimes.source import arch
from workbench import BUILDPACKS, PYTHON, make_wheel, outer_env

PROGRAM = "#!/bin/sh\necho tool\n"


class Place:
    """An app to build, its folder, and the variables that its user sets."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("app", "layers", "platform", "shared"):
            (root / name).mkdir(parents=True)

    def build(self, sources: str = "", **env: str) -> Build:
        outer = {**outer_env(self.root), "PYLIFE_SHARED_CACHE": str(self.root / "shared"), **env}
        if sources:
            outer["BP_RUNTIME_SOURCES"] = sources
        return Build(str(self.root / "app"), str(self.root / "layers"), str(self.root / "platform"), "", outer)

    def detect(self, sources: str = "") -> Detect:
        return Detect(str(self.root / "app"), str(self.root / "platform"), "", self.build(sources).env)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def starts(text: str) -> Callable[[str], bool]:
    return lambda version: version.startswith(text)


def make_tar(path: Path, prefix: str, mode: str = "w:gz", **files: str) -> Path:
    """An archive of a runtime: bin/tool and its link bin/alias below ``prefix``, and ``files``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, text in {"bin/tool": PROGRAM, "lib/data": "data", **files}.items():
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mode, info.mtime = len(text), 0o755 if name.startswith("bin/") else 0o644, 1_700_000_000
            tar.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo(prefix + "bin/alias")
        link.type, link.linkname = tarfile.SYMTYPE, "tool"
        tar.addfile(link)
    return path


def runs(directory: Path, program: str = "tool") -> bool:
    return subprocess.run([directory / "bin" / program], capture_output=True, text=True).stdout == "tool\n"


def test_versions_sort_by_number_and_before_their_releases() -> None:
    versions = ["9.0.0", "22.1.0", "22.0.0-rc.1", "22.0.0", "v20.10.0", "3.13.0rc1", "3.13.0", "22.1.0"]
    assert newest_first(versions) == [
        "22.1.0", "22.0.0", "22.0.0-rc.1", "v20.10.0", "9.0.0", "3.13.0", "3.13.0rc1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("want", "near"),
    [("20.3", ["20.2.0", "20.1.0"]), ("^19.9.9", ["20.2.0", "20.1.0"]), ("*", ["22.0.0", "20.2.0"])],
)
def test_nearest_versions_are_those_with_the_nearest_numbers(want: str, near: list[str]) -> None:
    assert nearest(["18.0.0", "20.1.0", "20.2.0", "22.0.0"], want, limit=2) == near


@pytest.mark.parametrize("text", ["nmp", "npm:x", "image,,web", ",", "mirror:https://u:secret@h/x,oops"])
def test_unknown_source_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_sources(text, "$BP_RUNTIME_SOURCES")
    assert caught.value.id == "runtime.bad-sources"
    assert "secret" not in caught.value.found + caught.value.what


def test_build_image_comes_first_and_a_link_out_of_it_is_followed(tmp_path: Path, place: Place) -> None:
    home = tmp_path / "image"
    (home / "bin").mkdir(parents=True)
    (tmp_path / "outside").write_text(PROGRAM)
    (tmp_path / "outside").chmod(0o755)
    (home / "bin/tool").symlink_to(tmp_path / "outside")
    runtime = Runtime("tool", image=lambda: ("2.0", str(home)))
    for context in (place.build(), place.detect()):
        found = find(runtime, starts("2"), context)
        assert (found.version, found.origin) == ("2.0", "the build image")
    find(runtime, starts("2"), place.build()).place(str(tmp_path / "out"))
    assert runs(tmp_path / "out")
    assert not (tmp_path / "out/bin/tool").is_symlink()


@pytest.mark.parametrize(
    ("name", "prefix", "mode"),
    [
        ("tool-1.2.0.tar.gz", "", "w:gz"),
        ("tool-v1.2.0-linux-{}.tar.xz", "tool-v1.2.0/", "w:xz"),
        ("tool-1.2.0.tar.zst", "tool/install/", "w"),
        ("ctool-1.2.0+20241016-{machine}-unknown-linux-gnu-install_only.tar.gz", "python/", "w:gz"),
    ],
)
def test_folder_takes_archives_as_their_makers_name_them(place: Place, name: str, prefix: str, mode: str) -> None:
    folder = place.root / "app/vendor"
    path = make_tar(folder / name.format(arch(), machine=os.uname().machine), prefix, mode)
    if path.suffix == ".zst":
        path.rename(path.with_suffix(""))
        subprocess.run(["zstd", "-q", "--rm", path.with_suffix("")], check=True)
    make_tar(folder / "tool-9.0.0-darwin-x64.tar.gz", "")
    found = find(Runtime("tool"), starts("1"), place.detect("folder:vendor"))
    assert found.version == "1.2.0"
    assert found.origin.startswith("folder vendor/")
    found.place(str(place.root / "out"))
    assert runs(place.root / "out")
    assert runs(place.root / "out", "alias")
    assert sorted(os.listdir(place.root / "out")) == ["bin", "lib"]


def test_folder_takes_unpacked_runtimes_and_its_key_follows_their_content(place: Place) -> None:
    for version in ("1.9.0", "1.10.0"):
        (place.root / f"app/vendor/tool/{version}/bin").mkdir(parents=True)
        (place.root / f"app/vendor/tool/{version}/bin/tool").write_text(PROGRAM)
    found = find(Runtime("tool"), starts("1"), place.build("folder:vendor"))
    assert found.version == "1.10.0"
    (place.root / "app/vendor/tool/1.10.0/bin/tool").write_text(PROGRAM + "# changed\n")
    assert find(Runtime("tool"), starts("1"), place.build("folder:vendor")).key != found.key


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no archive", "cannot be unpacked"),
        (None, "bin/"),
        ("../evil", "../evil"),
        ("link", "leads out of it"),
        ("through", "behind its link"),
    ],
)
def test_bad_archives_are_refused(place: Place, content: bytes | str | None, says: str) -> None:
    path = place.root / "app/vendor/tool-1.0.tar.gz"
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name in ("share/x", *(["../evil"] if content == "../evil" else [])):
                tar.addfile(tarfile.TarInfo(name), io.BytesIO())
            if content == "through":
                link = tarfile.TarInfo("bin")
                link.type, link.linkname = tarfile.SYMTYPE, "share"
                tar.addfile(link)
                tar.addfile(tarfile.TarInfo("bin/tool"), io.BytesIO())
            if content == "link":
                link = tarfile.TarInfo("bin/tool")
                link.type, link.linkname = tarfile.SYMTYPE, "../../../etc/passwd"
                tar.addfile(link)
    with pytest.raises(Failure) as caught:
        find(Runtime("tool"), starts("1"), place.build("folder:vendor")).place(str(place.root / "out"))
    assert caught.value.id == "runtime.bad-archive"
    assert says in caught.value.what


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Mirror:
    """A mirror on loopback: its folder, its address, and the requests that it got."""

    def __init__(self, root: Path) -> None:
        self.root, self.seen = root, list[tuple[str, str]]()
        root.mkdir()
        seen = self.seen

        class Handler(Quiet):
            def do_GET(self) -> None:
                seen.append((self.path, self.headers.get("Authorization", "")))
                super().do_GET()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def index(self, sha256: str = "", **more: object) -> None:
        path = make_tar(self.root / "tool-1.5.0.tar.gz", "tool/")
        total = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
        entry = {f"linux-{arch()}": {"url": path.name, "sha256": total}}
        (self.root / "index.json").write_text(json.dumps({"tool": {"1.5.0": entry, "2.0.0": {"other": {}}}, **more}))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mirror = Mirror(tmp_path / "mirror")
    yield mirror
    mirror.close()


def test_mirror_is_checked_and_then_not_needed_again(place: Place, mirror: Mirror) -> None:
    mirror.index()
    sources = f"mirror:{mirror.url.replace('//', '//me:secret@')}"
    found = find(Runtime("tool"), starts("1"), place.build(sources), want="1")
    assert found.version == "1.5.0"
    assert "secret" not in found.origin + found.key
    found.place(str(place.root / "one"))
    assert runs(place.root / "one")
    assert mirror.seen[0] == ("/index.json", "Basic bWU6c2VjcmV0")
    asked = len(mirror.seen)
    again = find(Runtime("tool"), starts("1"), place.build(sources), want="1")
    again.place(str(place.root / "two"))
    assert len(mirror.seen) == asked, "neither its index nor the archive is fetched again"
    (place.root / "three").mkdir()
    mirror.close()
    other = Place(place.root / "other-app")
    shared = {"PYLIFE_SHARED_CACHE": str(place.root / "shared")}
    found = find(Runtime("tool"), starts("1"), other.build(sources, **shared), want="1")
    assert found.version == "1.5.0", "another app takes what the shared cache has while the mirror is away"
    kept = [path.read_bytes() for path in (place.root / "layers").rglob("*") if path.is_file()]
    assert not any(b"secret" in content for content in kept)
    mirror.__init__(place.root / "again")  # type: ignore[misc]


def test_detection_does_not_ask_a_network(place: Place, mirror: Mirror) -> None:
    mirror.index()
    with pytest.raises(NotFound) as caught:
        find(Runtime("tool"), starts("1"), place.detect(f"folder:none,mirror:{mirror.url}"), want="1")
    assert caught.value.unasked == ("mirror",)
    assert mirror.seen == []


def test_wrong_checksum_of_a_mirror(place: Place, mirror: Mirror) -> None:
    mirror.index(sha256="0" * 64)
    found = find(Runtime("tool"), starts("1"), place.build(f"mirror:{mirror.url}"))
    with pytest.raises(Failure) as caught:
        found.place(str(place.root / "out"))
    assert caught.value.id == "runtime.checksum-mismatch"
    assert os.listdir(place.root / "out") == []
    assert not list((place.root / "shared").rglob("tool-1.5.0*"))


@pytest.mark.parametrize(
    ("text", "failure"),
    [("<html>", "runtime.bad-index"), ('{"tool": []}', "runtime.bad-index"), (None, "runtime.download-failed")],
)
def test_broken_mirror(place: Place, mirror: Mirror, text: str | None, failure: str) -> None:
    if text is not None:
        (mirror.root / "index.json").write_text(text)
    with pytest.raises(Failure) as caught:
        find(Runtime("tool"), starts("1"), place.build(f"mirror:{mirror.url}"))
    assert caught.value.id == failure


def test_unreachable_source_ends_the_search(place: Place) -> None:
    with pytest.raises(Failure) as caught:
        find(Runtime("tool", debian=("tool",)), starts("1"), place.build("mirror:http://127.0.0.1:9,debian"))
    assert caught.value.id == "runtime.network"


def test_choice_stays_while_the_request_stays(place: Place, mirror: Mirror) -> None:
    mirror.index()
    sources = f"mirror:{mirror.url}"
    assert find(Runtime("tool"), starts("1"), place.build(sources), want="1.x").version == "1.5.0"
    index = json.loads((mirror.root / "index.json").read_text())
    index["tool"]["1.6.0"] = index["tool"]["1.5.0"]
    (mirror.root / "index.json").write_text(json.dumps(index))
    assert find(Runtime("tool"), starts("1"), place.build(sources), want="1.x").version == "1.5.0"
    assert find(Runtime("tool"), starts("1"), place.build(sources), want="^1").version == "1.6.0"


def test_choice_of_one_runtime_is_not_taken_for_another(place: Place, mirror: Mirror) -> None:
    mirror.index()
    index = json.loads((mirror.root / "index.json").read_text())
    index["other"] = {"1.1.0": index["tool"]["1.5.0"]}
    (mirror.root / "index.json").write_text(json.dumps(index))
    build = place.build(f"mirror:{mirror.url}")
    assert find(Runtime("tool"), starts("1"), build, want="1.x").version == "1.5.0"
    assert find(Runtime("other"), starts("1"), build, want="1.x").version == "1.1.0"


def test_not_found_tells_of_every_source(place: Place, mirror: Mirror) -> None:
    mirror.index()
    make_tar(place.root / "app/vendor/tool-3.0.0.tar.gz", "")
    runtime = Runtime("tool", default=f"image,folder:vendor,npm,mirror:{mirror.url}")
    with pytest.raises(NotFound) as caught:
        find(runtime, starts("2"), place.build(), want="2.x")
    failure = caught.value
    assert (failure.id, failure.unasked) == ("runtime.not-found", ())
    assert [row.versions for row in failure.seen] == [(), ("3.0.0",), (), ("1.5.0",)]
    assert "no npm package brings tool" in failure.found
    assert "nearest 3.0.0" in failure.found


def test_wheels_by_pip(place: Place, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("1.0", "1.4", "2.0"):
        make_wheel(wheels, "tool_wheel", version, {"tool_wheel/home/bin/tool": PROGRAM, "tool_wheel/__init__.py": ""})
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    runtime = Runtime("tool", pypi="tool-wheel")
    found = find(runtime, starts("1"), place.build("pypi", **env), want="1")
    assert (found.version, found.origin) == ("1.4", "Python package tool-wheel")
    found.place(str(place.root / "out"))
    assert (place.root / "out/bin/tool").read_text() == PROGRAM
    assert [component.purl for component in found.components()] == ["pkg:pypi/tool-wheel@1.4"]
    with pytest.raises(NotFound):
        find(Runtime("tool", pypi="no-such-tool"), starts("1"), place.build("pypi", **env))


@pytest.mark.parametrize("shared", [True, False])
def test_debian_packages_with_their_libraries(place: Place, tmp_path: Path, shared: bool) -> None:
    need_apt()
    archive = Archive(tmp_path / "archive")
    library = f"usr/lib/{os.uname().machine}-linux-gnu"
    archive.add("libtool-core", "9", {f"{library}/libcore.so.1": "x"})
    archive.add("tool", "2:1.8.4+dfsg-1~deb12u1", {"usr/bin/tool": PROGRAM}, depends="libtool-core")
    env = archive.env if shared else {**archive.env, "PYLIFE_SHARED_CACHE": ""}
    found = find(Runtime("tool", debian=("tool",)), starts("1"), place.build("debian", **env), want="1")
    assert found.version == "1.8.4"
    out = place.root / "out"
    found.place(str(out))
    assert runs(out)
    assert found.libraries(str(out))[0] == str(out / library)
    assert [component.name for component in found.components()] == ["libtool-core", "tool"]
    kept = {path.name.partition("_")[0] for path in place.root.rglob("archives/*.deb")}
    assert kept == ({"libtool-core", "tool"} if shared else set())  # a cache of one app does not hold things twice


def test_npm_package_with_the_npm_of_a_wheel(place: Place) -> None:
    """Asks the real registries: a bootstrap npm from the Python index, and a small package with bin/ from npm's."""
    # What an app asks of Node and npm is not meant for those that fetch the runtime.
    engines = {"devEngines": {"runtime": {"name": "node", "version": "1.0.0"}, "packageManager": {"name": "pnpm"}}}
    (place.root / "app/package.json").write_text(json.dumps(engines))
    found = find(Runtime("semver", npm="semver"), starts("7.3."), place.build("npm"), want="7.3.x")
    assert (found.version, found.origin) == ("7.3.8", "npm package semver")
    found.place(str(place.root / "out"))
    assert (place.root / "out/bin/semver.js").stat().st_mode & 0o111
    offline = {"npm_config_registry": "http://127.0.0.1:9", "npm_config_fetch_retries": "0", "PIP_NO_INDEX": "1"}
    other = Place(place.root / "other-app")
    build = other.build("npm", PYLIFE_SHARED_CACHE=str(place.root / "shared"), **offline)
    again = find(Runtime("semver", npm="semver"), starts("7.3."), build, want="7.3.x")
    again.place(str(other.root / "out"))
    assert again.version == "7.3.8"
    build = other.build("npm", PYLIFE_SHARED_CACHE=str(place.root / "shared"))
    (other.root / "app/.npmrc").write_text("registry=http://127.0.0.1:9\nfetch-retries=0\n")
    with pytest.raises(Failure) as caught:
        find(Runtime("semver", npm="semver"), starts("7.5."), build, want="7.5.x")
    assert caught.value.id == "runtime.network"


def test_full_disk(place: Place, tmp_path: Path) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode:
        pytest.skip("a small file system can only be mounted by root")
    make_tar(place.root / "app/vendor/tool-1.0.tar.gz", "", **{"lib/large": "x" * (4 << 20)})
    script = tmp_path / "place.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(BUILDPACKS / 'sdk')!r})\n"
        "from pylife_sdk.context import Build\n"
        "from pylife_sdk.output import Failure\n"
        "from pylife_sdk.runtimes import Runtime, find\n"
        f"build = Build({str(place.root / 'app')!r}, '', '', '', {{'BP_RUNTIME_SOURCES': 'folder:vendor'}})\n"
        "try:\n    find(Runtime('tool'), bool, build).place(sys.argv[1])\n"
        "except Failure as failure:\n    print(failure.id)\n"
    )
    (tmp_path / "small").mkdir()
    line = f"mount -t tmpfs -o size=1m none {tmp_path}/small && exec {PYTHON} {script} {tmp_path}/small/out"
    ran = subprocess.run(["unshare", "-m", "sh", "-c", line], capture_output=True, text=True)
    assert ran.stdout == "runtime.disk-full\n", ran.stderr
