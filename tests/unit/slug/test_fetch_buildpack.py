"""Buildpacks from git, archives and directories, by real servers on loopback."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import socket
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from classic import write_buildpack

from lifecycle.errors import PylifeError
from lifecycle.slug.environment import with_ssh_key
from lifecycle.slug.fetch import BuildpackUnreachable, HostPathRefused, NotABuildpack, fetch_buildpack
from lifecycle.slug.selection import parse_reference
from lifecycle.source.remote_errors import ChecksumMismatch
from lifecycle.source.remotes import Remotes

sys.path.append(str(Path(__file__).resolve().parents[1] / "source"))
from fileserver import FileServer, serve_files
from gitserver import GitServer, commit, git, serve_git

SCRIPTS = {"bin/detect": "#!/bin/sh\necho Fetched\n", "bin/compile": "#!/bin/sh\n"}


@pytest.fixture
def remotes(tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "cache")


@pytest.fixture
def files() -> Iterator[FileServer]:
    with serve_files() as server:
        yield server


@pytest.fixture
def repositories(tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "srv").mkdir()
    with serve_git(tmp_path / "srv") as server:
        yield server


def tar(entries: Mapping[str, str], *, mode: int = 0o644, how: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=how) as archive:  # type: ignore[call-overload]
        for name, text in entries.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), mode
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def fetch(text: str, remotes: Remotes, into: Path, *, local: bool = True) -> Path:
    return fetch_buildpack(parse_reference(text), remotes, into, local=local)


def detected(buildpack: Path) -> str:
    """What bin/detect prints, run as a buildpack is."""
    return subprocess.run([buildpack / "bin/detect", "/"], capture_output=True, text=True, check=True).stdout.strip()


# -- archives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top", ["", "./", "heroku-buildpack-x-abc123/"])
@pytest.mark.parametrize(("name", "how"), [("x.tgz", "w:gz"), ("x.tar", "w"), ("x.tbz", "w:bz2"), ("x.tar.xz", "w:xz")])
def test_archive_with_one_folder_at_its_top_or_none(
    files: FileServer, remotes: Remotes, tmp_path: Path, top: str, name: str, how: str
) -> None:
    files.files[f"/{name}"] = tar({f"{top}{path}": text for path, text in SCRIPTS.items()}, how=how)
    made = fetch(files.url(f"/{name}"), remotes, tmp_path / "into")
    assert detected(made) == "Fetched"  # the archive had no executable bits


def test_zip_archive(files: FileServer, remotes: Remotes, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in SCRIPTS.items():
            archive.writestr(f"top/{name}", text)
    files.files["/x.zip"] = out.getvalue()
    assert detected(fetch(files.url("/x.zip"), remotes, tmp_path / "into")) == "Fetched"


def test_links_of_a_lifted_archive_still_lead_to_their_files(
    files: FileServer, remotes: Remotes, tmp_path: Path
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in {"top/lib/detect": SCRIPTS["bin/detect"], "top/bin/compile": "#!/bin/sh\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("top/bin/detect")
        link.type, link.linkname = tarfile.SYMTYPE, "../lib/detect"
        archive.addfile(link)
    files.files["/x.tgz"] = out.getvalue()
    assert detected(fetch(files.url("/x.tgz"), remotes, tmp_path / "into")) == "Fetched"


def test_right_checksum_is_taken_and_wrong_one_refused(files: FileServer, remotes: Remotes, tmp_path: Path) -> None:
    files.files["/x.tgz"] = data = tar(SCRIPTS)
    right = hashlib.sha256(data).hexdigest()
    assert detected(fetch(f"{files.url('/x.tgz')}#sha256:{right}", remotes, tmp_path / "right")) == "Fetched"
    with pytest.raises(ChecksumMismatch, match=right):
        fetch(f"{files.url('/x.tgz')}#sha256:{'0' * 64}", remotes, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_checksum_of_a_local_archive(remotes: Remotes, tmp_path: Path) -> None:
    archive = tmp_path / "x.tgz"
    archive.write_bytes(tar(SCRIPTS))
    right = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert detected(fetch(f"file://{archive}#sha256:{right}", remotes, tmp_path / "right")) == "Fetched"
    with pytest.raises(ChecksumMismatch):
        fetch(f"{archive}#sha256:{'0' * 64}", remotes, tmp_path / "wrong")


def test_pinned_archive_is_fetched_once(files: FileServer, remotes: Remotes, tmp_path: Path) -> None:
    files.files["/x.tgz"] = data = tar(SCRIPTS)
    address = f"{files.url('/x.tgz')}#sha256:{hashlib.sha256(data).hexdigest()}"
    fetch(address, remotes, tmp_path / "one")
    fetch(address, remotes, tmp_path / "two")
    assert len(files.requests) == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>Not here</html>", "neither a tar nor a zip|not a tar|cannot be unpacked"),
        (b"", "empty"),
        (tar(SCRIPTS)[:100], "."),
        (tar({"../../etc/passwd": "x"}), "."),
    ],
    ids=["page", "empty", "cut", "outward"],  # the same in every process: archives hold times
)
def test_archive_that_is_none_fails_in_the_familys_words(
    files: FileServer, remotes: Remotes, tmp_path: Path, content: bytes, why: str
) -> None:
    files.files["/x.tgz"] = content
    with pytest.raises(NotABuildpack, match=f"Failed to download buildpack from .*: .*({why})"):
        fetch(files.url("/x.tgz"), remotes, tmp_path / "into")
    assert not (tmp_path / "into").exists()


# -- what it must be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["bin/detect", "bin/compile"])
def test_archive_without_the_contracts_files_is_no_buildpack(
    files: FileServer, remotes: Remotes, tmp_path: Path, gone: str
) -> None:
    files.files["/x.tgz"] = tar({name: text for name, text in SCRIPTS.items() if name != gone})
    with pytest.raises(NotABuildpack, match=f"is no classic buildpack: it has no {gone}"):
        fetch(files.url("/x.tgz"), remotes, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_cloud_native_buildpack_is_recognised(remotes: Remotes, tmp_path: Path) -> None:
    write_buildpack(tmp_path / "cnb", {"detect": "", "build": ""})
    (tmp_path / "cnb/buildpack.toml").write_text("")
    with pytest.raises(NotABuildpack) as caught:
        fetch(str(tmp_path / "cnb"), remotes, tmp_path / "into")
    assert "Cloud Native Buildpack" in caught.value.fix


# -- unreachable -------------------------------------------------------------------------------------------------


UNREACHABLE = "Buildpack URL is not a reachable git remote or a recognised archive: "
WORDS = {"x.git": UNREACHABLE, "x.tgz": "Failed to download buildpack from '", "x": UNREACHABLE}


@pytest.mark.parametrize("name", WORDS)
def test_nothing_at_the_address_is_told_in_the_familys_words(
    files: FileServer, remotes: Remotes, tmp_path: Path, name: str
) -> None:
    expected = f"{WORDS[name]}{files.url(f'/{name}')}"
    with pytest.raises(BuildpackUnreachable, match=expected):
        fetch(files.url(f"/{name}"), remotes, tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("name", WORDS)
def test_host_that_does_not_answer_is_told_in_the_familys_words(remotes: Remotes, tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    expected = f"{WORDS[name]}http://127.0.0.1:{port}/{name}.*: .*(refused|connect)"
    with pytest.raises(BuildpackUnreachable, match=expected):
        fetch(f"http://127.0.0.1:{port}/{name}", remotes, tmp_path / "into")


def test_a_page_at_the_address_is_neither_a_repository_nor_an_archive(
    files: FileServer, remotes: Remotes, tmp_path: Path
) -> None:
    for name in ("/login", "/login/info/refs"):  # a server that answers everything alike
        files.files[name] = b"<html>please log in</html>"
    with pytest.raises(BuildpackUnreachable, match=r"neither a repository nor an archive.*not a tar"):
        fetch(files.url("/login"), remotes, tmp_path / "into")


def test_missing_path_of_this_host(remotes: Remotes, tmp_path: Path) -> None:
    with pytest.raises(BuildpackUnreachable, match="there is nothing at /no/such"):
        fetch("file:///no/such", remotes, tmp_path / "into")


def test_apps_file_may_not_name_a_path_of_this_host(remotes: Remotes, tmp_path: Path) -> None:
    pack = write_buildpack(tmp_path / "pack", {"detect": "", "compile": ""})
    for text in (str(pack), f"file://{pack}"):
        with pytest.raises(HostPathRefused):
            fetch(text, remotes, tmp_path / "into", local=False)
    assert not (tmp_path / "into").exists()


def test_credentials_are_used_and_never_shown(
    repositories: GitServer, files: FileServer, remotes: Remotes, tmp_path: Path
) -> None:
    header = f"Basic {base64.b64encode(b'me:s3cret').decode()}"
    work = tmp_path / "work"
    commit(work, SCRIPTS)
    git(repositories.root, "clone", "-q", "--bare", str(work), "pack.git")
    repositories.authorization = files.authorization = header
    files.files["/x.tgz"] = tar(SCRIPTS)
    for number, url in enumerate((repositories.url("pack.git"), files.url("/x.tgz"))):
        assert detected(fetch(url.replace("://", "://me:s3cret@"), remotes, tmp_path / f"ok{number}")) == "Fetched"
    repositories.authorization = files.authorization = "Basic other"
    for url in (repositories.url("pack.git"), files.url("/y.tgz?sig=s3cret"), repositories.url("pack")):
        with pytest.raises(PylifeError) as caught:
            fetch(url.replace("://", "://me:s3cret@"), remotes, tmp_path / "denied")
        assert "https://USER:TOKEN@HOST" in caught.value.fix and "--secret" not in caught.value.fix
        shown = f"{caught.value} {caught.value.why} {caught.value.fix} {caught.value.details} {caught.value.where}"
        assert "s3cret" not in shown
        assert "127.0.0.1" in shown


# -- git ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def history(repositories: GitServer, tmp_path: Path) -> dict[str, str]:
    """A served repository with a tag, a branch and a default branch that differ; their commits."""
    work = tmp_path / "work"
    found = {}
    for name in ("tagged", "branched", "newest"):
        found[name] = commit(work, {**SCRIPTS, "bin/detect": f"#!/bin/sh\necho {name}\n"}, message=name)
        if name == "tagged":
            git(work, "tag", "-a", "-m", "x", "v1")
        if name == "branched":
            git(work, "branch", "old")
    git(repositories.root, "clone", "-q", "--bare", str(work), "pack.git")
    return found


@pytest.mark.parametrize(
    ("ref", "expected"), [("", "newest"), ("v1", "tagged"), ("old", "branched"), ("main", "newest")]
)
@pytest.mark.parametrize("way", ["http", "file"])
def test_branch_and_tag(
    repositories: GitServer,
    history: dict[str, str],
    remotes: Remotes,
    tmp_path: Path,
    ref: str,
    expected: str,
    way: str,
) -> None:
    base = repositories.url("pack.git") if way == "http" else f"file://{repositories.root}/pack.git"
    made = fetch(f"{base}#{ref}" if ref else base, remotes, tmp_path / "into")
    assert detected(made) == expected
    assert not (made / ".git").exists()


@pytest.mark.parametrize("length", [40, 10])
@pytest.mark.parametrize("way", ["http", "file"])
def test_commit_whole_or_begun(
    repositories: GitServer, history: dict[str, str], remotes: Remotes, tmp_path: Path, length: int, way: str
) -> None:
    base = repositories.url("pack.git") if way == "http" else f"file://{repositories.root}/pack.git"
    assert detected(fetch(f"{base}#{history['tagged'][:length]}", remotes, tmp_path / "into")) == "tagged"


def test_address_that_does_not_tell_may_be_a_repository_or_an_archive(
    repositories: GitServer, history: dict[str, str], files: FileServer, remotes: Remotes, tmp_path: Path
) -> None:
    (repositories.root / "plain").symlink_to("pack.git")
    assert detected(fetch(repositories.url("plain"), remotes, tmp_path / "one")) == "newest"
    files.files["/download"] = tar(SCRIPTS)
    assert detected(fetch(files.url("/download"), remotes, tmp_path / "two")) == "Fetched"


def test_unknown_ref_says_what_may_have_been_meant(
    repositories: GitServer, history: dict[str, str], remotes: Remotes, tmp_path: Path
) -> None:
    with pytest.raises(BuildpackUnreachable, match="has no mian") as caught:
        fetch(f"{repositories.url('pack.git')}#mian", remotes, tmp_path / "into")
    assert "Did you mean 'main'?" in caught.value.fix


@pytest.mark.parametrize("way", ["http", "file"])
def test_submodules_are_there(repositories: GitServer, remotes: Remotes, tmp_path: Path, way: str) -> None:
    library = tmp_path / "library"
    commit(library, {"common.sh": "word=Submodule\n"})
    git(repositories.root, "clone", "-q", "--bare", str(library), "library.git")
    work = tmp_path / "work"
    commit(work, {**SCRIPTS, "bin/detect": '#!/bin/sh\n. "$(dirname "$0")/../lib/common.sh"\necho $word\n'})
    git(work, "submodule", "add", "-q", str(repositories.root / "library.git"), "lib")
    git(work, "config", "-f", ".gitmodules", "submodule.lib.url", "../library.git")
    git(work, "commit", "-qam", "submodule")
    git(repositories.root, "clone", "-q", "--bare", str(work), "pack.git")
    base = repositories.url("pack.git") if way == "http" else f"file://{repositories.root}/pack.git"
    assert detected(fetch(base, remotes, tmp_path / "into")) == "Submodule"


def test_private_repository_is_reached_with_the_ssh_key(
    repositories: GitServer,
    history: dict[str, str],
    remotes: Remotes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"
    programs = write_buildpack(
        tmp_path / "programs",
        {"ssh": f'[ "$1" = -i ] && [ "$(stat -c %a "$2")" = 600 ] && cmp "$2" {tmp_path}/wanted && eval "${{@: -1}}"'},
    )
    (tmp_path / "wanted").write_text(pem)
    monkeypatch.setenv("PATH", f"{programs / 'bin'}:{os.environ['PATH']}")
    address = f"ssh://git@h.example{repositories.root}/pack.git#v1"
    keyed = with_ssh_key(remotes, {"SSH_KEY": base64.b64encode(pem.encode()).decode()}, tmp_path / "my keys")
    with pytest.raises(BuildpackUnreachable):
        fetch(address, remotes, tmp_path / "without")
    assert detected(fetch(address, keyed, tmp_path / "into")) == "tagged"


# -- directories -------------------------------------------------------------------------------------------------


def test_directory_is_copied_and_made_executable_and_itself_left_alone(remotes: Remotes, tmp_path: Path) -> None:
    pack = write_buildpack(tmp_path / "pack", {"detect": "echo Here", "compile": ""}, mode=0o644)
    (pack / ".git").mkdir()
    made = fetch(f"file://{pack}", remotes, tmp_path / "into")
    assert detected(made) == "Here"
    assert not os.access(pack / "bin/detect", os.X_OK) or (pack / "bin/detect").stat().st_mode & 0o111 == 0
    assert not (made / ".git").exists()


def test_work_tree_is_taken_as_it_is_and_with_a_ref_as_it_was(remotes: Remotes, tmp_path: Path) -> None:
    work = tmp_path / "pack"
    commit(work, SCRIPTS)
    (work / "bin/detect").write_text("#!/bin/sh\necho Edited\n")
    assert detected(fetch(str(work), remotes, tmp_path / "now")) == "Edited"
    assert detected(fetch(f"{work}#main", remotes, tmp_path / "then")) == "Fetched"
