"""Having a buildpack on this host: from git, an archive, or a directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.oci import Digest
from lifecycle.slug.buildpack import ClassicBuildpack, make_executable
from lifecycle.slug.selection import BadBuildpackUrl, BuildpackReference
from lifecycle.source.clone import fetch_git
from lifecycle.source.directory import copy_directory
from lifecycle.source.errors import BadArchive
from lifecycle.source.fetch import fetch_url
from lifecycle.source.gitref import GitRef, parse_git_ref
from lifecycle.source.place import remove_tree, unpack
from lifecycle.source.remote_errors import (
    ChecksumMismatch,
    GitDenied,
    GitFailed,
    RemoteDenied,
    RemoteError,
    UnknownGitRef,
)
from lifecycle.source.remotes import Remotes

_LITTER = frozenset({"__MACOSX", ".DS_Store", "pax_global_header"})


_LOCAL_FIX = "Check the path: give the buildpack's folder, in which its bin is, an archive of it, or a repository."


class BuildpackUnreachable(PylifeError):
    """There is no buildpack at the address given, or it cannot be read."""

    code = "slug.buildpack-unreachable"
    fix = (
        "Check the address and the ref behind #. A login can be in the address (https://USER:TOKEN@HOST/…); a private "
        "repository also takes GIT_TOKEN in the environment, or the config variable SSH_KEY."
    )


class NotABuildpack(PylifeError):
    """What was fetched is no classic buildpack."""

    code = "slug.not-a-buildpack"
    fix = (
        "Name a classic buildpack: a directory, an archive or a repository with bin/detect and bin/compile at its top."
    )


class HostPathRefused(PylifeError):
    """A file of the app names a buildpack by a path of the host."""

    code = "slug.host-path-refused"
    exit_code = 2
    fix = "Name the buildpack yourself (--buildpack PATH), or give the app's file an address that is not a path."


def fetch_buildpack(reference: BuildpackReference, remotes: Remotes, into: Path, *, local: bool = True) -> Path:
    """The directory ``into``, new, with a copy of the buildpack whose executables are executable.

    ``local`` tells whether paths of this host may be read: only when the user named them. Raises
    BuildpackUnreachable, NotABuildpack, HostPathRefused, ChecksumMismatch, and what git and downloads raise else;
    ``into`` is then gone.
    """
    if reference.kind == "local" and not local:
        what = f"The buildpack {reference} cannot be used"
        raise HostPathRefused(what, why="a file of the app names it, and it is a path of this host")
    fetch_directory(reference, remotes, into)
    try:
        _check(reference, into)
        make_executable(ClassicBuildpack(reference.name, "/"), BuildRoot(into))
    except BaseException:
        remove_tree(into)
        raise
    return into


def fetch_directory(reference: BuildpackReference, remotes: Remotes, into: Path) -> Path:
    """The directory ``into``, new, with what is at that address, whichever kind of buildpack it is.

    Raises what ``fetch_buildpack`` raises, but NotABuildpack only for an archive that cannot be unpacked.
    """
    into.mkdir(parents=True)
    try:
        _fill(reference, remotes, into)
        _lift(into)
    except BaseException:
        remove_tree(into)
        raise
    return into


def _fill(reference: BuildpackReference, remotes: Remotes, into: Path) -> None:
    match reference.kind:
        case "git":
            _telling(reference, lambda: _from_git(_git_ref(reference), remotes, into))
        case "archive":
            _telling(reference, lambda: _from_url(reference, remotes, into))
        case "local":
            _from_path(reference, remotes, into)
        case "web":
            _telling(reference, lambda: _from_web(reference, remotes, into))
        case "named":
            raise BadBuildpackUrl(f"Invalid buildpack URL: {reference.name!r}", why="it is no address")


def _telling(reference: BuildpackReference, fetch: Callable[[], None]) -> None:
    """Fetch, saying of a failure what it means for the buildpack."""
    try:
        fetch()
    except (GitFailed, GitDenied, UnknownGitRef, RemoteError) as error:
        what = f"Buildpack URL is not a reachable git remote or a recognised archive: {reference}"
        if reference.kind == "archive":
            what = f"Failed to download buildpack from {str(reference)!r}"
        denied = isinstance(error, GitDenied | RemoteDenied)  # what they advise are options of other commands
        fix = BuildpackUnreachable.fix if denied else f"{BuildpackUnreachable.fix} {error.fix}"
        raise BuildpackUnreachable(what, why=str(error), fix=fix) from error
    except BadArchive as error:
        what = f"Failed to download buildpack from {str(reference)!r}"
        raise NotABuildpack(what, why=error.why or str(error)) from error


def _git_ref(reference: BuildpackReference) -> GitRef:
    address = f"{reference.url}#{reference.ref}" if reference.ref else reference.url
    found = parse_git_ref(address, any_path=True)
    if found is None:
        raise BadBuildpackUrl(f"Invalid buildpack URL: {str(reference)!r}", why="it is no git address")
    return found


def _from_git(ref: GitRef, remotes: Remotes, into: Path) -> None:
    copy_directory(fetch_git(ref, remotes).directory, into)


def _from_url(reference: BuildpackReference, remotes: Remotes, into: Path) -> None:
    checksum = Digest.parse(reference.checksum) if reference.checksum else None
    fetched = fetch_url(reference.url, remotes, checksum=checksum)
    with open(fetched.path, "rb") as file:
        unpack(file, into, str(reference))


def _from_web(reference: BuildpackReference, remotes: Remotes, into: Path) -> None:
    """An address that does not tell what it is of: a repository, and if that cannot be, an archive."""
    try:
        _from_git(_git_ref(reference), remotes, into)
    except (GitFailed, GitDenied, UnknownGitRef) as error:
        if reference.ref:
            raise
        try:
            _from_url(reference, remotes, into)
        except (BadArchive, RemoteError) as other:
            why = f"as a repository: {error.why or error}; as an archive: {other.why or other}"
            raise GitFailed(f"{reference} is neither a repository nor an archive", why=why) from other


def _from_path(reference: BuildpackReference, remotes: Remotes, into: Path) -> None:
    path = Path(unquote(reference.url.removeprefix("file://"))) if "://" in reference.url else Path(reference.url)
    if path.is_dir():
        if _is_repository(path) and (reference.ref or not (path / "bin").is_dir()):
            ref = GitRef(f"file://{path.absolute()}", unquote(reference.ref))
            _telling(reference, lambda: _from_git(ref, remotes, into))
        else:
            copy_directory(path, into)
    elif path.is_file():
        _telling(reference, lambda: _from_archive(path, reference, into))
    else:
        what = f"Buildpack URL is not a reachable git remote or a recognised archive: {reference}"
        raise BuildpackUnreachable(what, why=f"there is nothing at {path.absolute()}", fix=_LOCAL_FIX)


def _from_archive(path: Path, reference: BuildpackReference, into: Path) -> None:
    try:
        with open(path, "rb") as file:
            if reference.checksum:
                wanted = Digest.parse(reference.checksum)
                found = Digest.of(file.read())
                file.seek(0)
                if found != wanted:
                    why = f"it is {found}, not {wanted}"
                    raise ChecksumMismatch(f"{path} is not the file that was named", why=why)
            unpack(file, into, str(reference))
    except OSError as error:
        raise BadArchive(f"{path} cannot be read", why=error.strerror) from error


def _is_repository(path: Path) -> bool:
    return any((top / "HEAD").is_file() and (top / "objects").is_dir() for top in (path, path / ".git"))


def _lift(into: Path) -> None:
    """Make the only folder of an archive the whole, as servers pack repositories."""
    if (into / "bin").is_dir():
        return
    names = [name for name in os.listdir(into) if name not in _LITTER]
    if len(names) != 1 or not (into / names[0]).is_dir() or (into / names[0]).is_symlink():
        return
    aside = into.with_name(f"{into.name}.lifted")
    (into / names[0]).rename(aside)
    remove_tree(into)
    aside.rename(into)


def _check(reference: BuildpackReference, into: Path) -> None:
    root = BuildRoot(into)
    missing = [f"bin/{name}" for name in ("detect", "compile") if not root.is_file(f"/bin/{name}")]
    if not missing:
        return
    fix = None
    if root.is_file("/buildpack.toml") and root.is_file("/bin/build"):
        fix = "It is a Cloud Native Buildpack: build an image with it, `pylife build --buildpack PLACE --image NAME`."
    raise NotABuildpack(f"{reference} is no classic buildpack", why=f"it has no {' and no '.join(missing)}", fix=fix)
