"""Git repositories as sources: a ref resolved, a commit fetched into a mirror, its files checked out.

Below ``cache/git`` each remote has a folder with a bare ``mirror.git`` and ``trees``, one for each commit that was
asked for; a tree never changes once it has its name. Writers of one remote take turns by a lock.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from lifecycle.events import step
from lifecycle.record import dataclass
from lifecycle.source.gitref import GitRef, is_commit, parse_git_ref
from lifecycle.source.gitrun import Git
from lifecycle.source.inside import subdirectory
from lifecycle.source.remote_errors import ChecksumMismatch, GitFailed, Offline, UnknownGitRef
from lifecycle.source.remotes import Remotes

_NESTED = 10
_PARTIAL = ".partial-"
_FETCH = ("fetch", "-q", "--no-tags", "--force", "--no-recurse-submodules")
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True, slots=True)
class GitTree:
    """A checked-out commit. ``directory`` lies in the cache and is never to be written to; ``time`` is the commit's,
    in seconds."""

    directory: Path
    commit: str
    time: int


def resolve_git(ref: GitRef, remotes: Remotes) -> str:
    """The commit (full hexadecimal) that ``ref`` means now, by asking the remote; no file is fetched.

    A ref that is a commit needs no request; one that is the beginning of a commit needs the whole history. Raises
    UnknownGitRef, ChecksumMismatch, GitFailed, GitMissing, Offline.
    """
    return _resolve(ref, Git.open(ref, remotes)).commit


def fetch_git(ref: GitRef, remotes: Remotes, *, keep_git: bool = False, submodules: bool = True) -> GitTree:
    """The tree of the commit that ``ref`` means now; what the ref itself says of ``.git`` and submodules wins.

    Files are 0644 or 0755, directories 0755, every time is the commit's. A kept ``.git`` holds that one commit, and
    is the same wherever it was made. Raises as ``resolve_git`` does, and NoSubdirectory.
    """
    git = Git.open(ref, remotes)
    target = _resolve(ref, git)
    keep_git = keep_git if ref.keep_git is None else ref.keep_git
    submodules = submodules if ref.submodules is None else ref.submodules
    tree = _tree(ref, target, git, keep_git=keep_git, submodules=submodules)
    directory = subdirectory(tree.directory, ref.subdir, str(ref)) if ref.subdir else tree.directory
    return GitTree(directory, tree.commit, tree.time)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a ref means: a commit, and the full name of the branch or tag that led to it, where one did."""

    commit: str
    name: str = ""


def _resolve(ref: GitRef, git: Git) -> _Target:
    if ref.commit and ref.ref in ("", ref.commit):
        return _Target(ref.commit)
    if git.remotes.offline:
        raise Offline(f"{ref} cannot be resolved", why="the network may not be used, and it names no commit")
    target = _advertised(ref, git) or _abbreviated(ref, git)
    if target is None:
        why, fix = _near(ref, git)
        raise UnknownGitRef(f"{ref.remote} has no {ref.ref or 'HEAD'}", why=why, fix=fix)
    if not target.commit.startswith(ref.checksum):
        why = f"it is {target.commit}, not {ref.checksum}"
        raise ChecksumMismatch(f"{ref} is not the commit that was pinned", why=why)
    return target


def _advertised(ref: GitRef, git: Git) -> _Target | None:
    """What the remote says of the ref: a branch before a tag, an annotated tag as the commit that it names."""
    if not ref.ref:
        names = ["HEAD"]
    elif ref.ref.startswith("refs/"):
        names = [ref.ref]
    else:
        names = [f"refs/heads/{ref.ref}", f"refs/tags/{ref.ref}", f"refs/{ref.ref}"]
    found = _list(git, *names, *(f"{name}^{{}}" for name in names))
    for name in names:
        if commit := found.get(f"{name}^{{}}") or found.get(name):
            return _Target(commit, "" if name == "HEAD" else name)
    return None


def _abbreviated(ref: GitRef, git: Git) -> _Target | None:
    """The commit whose beginning the ref is, out of the whole history."""
    if not 4 <= len(ref.ref) < 40 or not set(ref.ref) <= set("0123456789abcdef"):
        return None
    parse = ("rev-parse", "-q", "--verify", f"{ref.ref}^{{commit}}")
    with _locked(_home(ref, git.remotes)) as home:
        mirror = _mirror(home, git)
        git.ask(*_FETCH, *_unshallow(mirror), "--", ref.remote, *_EVERYTHING, git_dir=mirror)
        if not git.succeeds(*parse, git_dir=mirror):
            return None
        return _Target(git.run(*parse, git_dir=mirror).decode().strip())


def _list(git: Git, *patterns: str) -> dict[str, str]:
    lines = git.ask("ls-remote", "--", git.ref.remote, *patterns).decode(errors="replace").splitlines()
    pairs = [line.split("\t", 1) for line in lines if "\t" in line]
    return {name: commit for commit, name in pairs if is_commit(commit)}


def _near(ref: GitRef, git: Git) -> tuple[str | None, str | None]:
    """Why a ref may not be there, and what else may have been meant."""
    names = [_short(name) for name in _list(git) if not name.endswith("^{}")]
    if not names:
        return "it is empty", None
    near = difflib.get_close_matches(_short(ref.ref), names, 1)
    return None, f"Did you mean {near[0]!r}?" if near else None


def _short(name: str) -> str:
    return name.removeprefix("refs/heads/").removeprefix("refs/tags/")


# -- the tree ----------------------------------------------------------------------------------------------------


def _tree(ref: GitRef, target: _Target, git: Git, *, keep_git: bool, submodules: bool, depth: int = 0) -> GitTree:
    home, commit = _home(ref, git.remotes), target.commit
    name = commit + ("" if submodules else "-alone")
    if keep_git:
        name += f"-git-{hashlib.sha256(target.name.encode()).hexdigest()[:8]}"
    place, note = home / "trees" / name, home / "trees" / f"{name}.time"
    if (time := _time(place, note)) is not None:
        return GitTree(place, commit, time)
    with step(git.remotes.sink, f"git/{git.ref.remote}/{name}", f"Fetch {ref}"):
        with _locked(home):
            mirror = _mirror(home, git)
            _fetch(target, git, mirror)
        # Unlocked, since a submodule may be of the same repository; what follows only reads the mirror.
        commit = git.run("rev-parse", "--verify", f"{commit}^{{commit}}", git_dir=mirror).decode().strip()
        time = int(git.run("show", "-s", "--format=%ct", commit, git_dir=mirror).split()[-1])
        partial = home / "trees" / f"{_PARTIAL}{secrets.token_hex(8)}"
        try:
            partial.mkdir()
            partial.chmod(0o755)  # whatever the umask is
            _check_out(commit, git, mirror, partial)
            if submodules:
                _submodules(commit, git, mirror, partial, depth)
            if keep_git:
                _keep_git(_Target(commit, target.name), git, mirror, partial)
            _set_times(partial, time)
            note.write_text(str(time))
            with suppress(OSError):  # another process was first: its tree is the same
                partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return GitTree(place, commit, time)


def _time(place: Path, note: Path) -> int | None:
    """The time of a finished tree, which is thereby used; None when there is none."""
    try:
        if not place.is_dir():
            return None
        os.utime(note)
        return int(note.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _home(ref: GitRef, remotes: Remotes) -> Path:
    return remotes.cache / "git" / hashlib.sha256(ref.remote.encode()).hexdigest()[:32]


@contextmanager
def _locked(home: Path) -> Iterator[Path]:
    (home / "trees").mkdir(parents=True, exist_ok=True)
    fd = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.utime(fd)  # the mirror is in use
        yield home
    finally:
        os.close(fd)


def _mirror(home: Path, git: Git) -> Path:
    mirror = home / "mirror.git"
    if not (mirror / "HEAD").exists():
        shutil.rmtree(mirror, ignore_errors=True)
        git.run("init", "-q", "--bare", "--template=", "--", str(mirror))
    return mirror


def _unshallow(mirror: Path) -> Sequence[str]:
    return ("--unshallow",) if (mirror / "shallow").exists() else ()


def _fetch(target: _Target, git: Git, mirror: Path) -> None:
    """Have the commit in the mirror: it alone where the server allows that, else with everything before it."""
    remote, commit = git.ref.remote, target.commit
    have = ("cat-file", "-e", f"{commit}^{{tree}}")
    if git.succeeds(*have, git_dir=mirror):
        return
    if git.remotes.offline:
        raise Offline(f"The commit {commit} of {remote} is not in the cache", why="the network may not be used")
    try:
        git.ask(*_FETCH, "--depth=1", "--", remote, f"+{commit}:refs/pylife/{commit}", git_dir=mirror)
        return
    except GitFailed:  # a server without shallow clones, or one that gives no commit by its name
        refs = [*_EVERYTHING, *([f"+{target.name}:{target.name}"] if target.name else [])]
        git.ask(*_FETCH, *_unshallow(mirror), "--", remote, *dict.fromkeys(refs), git_dir=mirror)
    if not git.succeeds(*have, git_dir=mirror):
        raise UnknownGitRef(f"{remote} has no commit {commit}", why="no branch and no tag leads to it")


def _check_out(commit: str, git: Git, mirror: Path, place: Path) -> None:
    index = place.with_name(f"{place.name}.index")
    try:
        git.run("read-tree", commit, git_dir=mirror, index=index)
        git.run("checkout-index", "-a", "-q", git_dir=mirror, index=index, work_tree=place)
    finally:
        index.unlink(missing_ok=True)


def _keep_git(target: _Target, git: Git, mirror: Path, place: Path) -> None:
    """A repository of the one commit. Packed anew by one thread and with an index that knows no file times, its
    bytes depend on the commit alone."""
    own = place / ".git"
    git.run("init", "-q", "--template=", "--", str(place))
    git.run(*_FETCH, "--depth=1", "--", f"file://{mirror}", target.commit, git_dir=own, files=True)
    packing = ("-c", "pack.threads=1", "-c", "pack.writeReverseIndex=false")
    git.run(*packing, "repack", "-a", "-d", "-q", "-F", git_dir=own)
    head = f"{target.commit}\n"
    if target.name:
        git.run("update-ref", target.name, target.commit, git_dir=own)
        if target.name.startswith("refs/heads/"):
            head = f"ref: {target.name}\n"
    (own / "HEAD").write_text(head)
    git.run("config", "remote.origin.url", git.ref.remote, git_dir=own)
    git.run("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*", git_dir=own)
    git.run("read-tree", target.commit, git_dir=own)
    for name in ("FETCH_HEAD", "ORIG_HEAD", "logs", "branches", "hooks", "info", "objects/info"):
        path = own / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _submodules(commit: str, git: Git, mirror: Path, place: Path, depth: int) -> None:
    """Put the submodules of the commit, and theirs, where they belong."""
    listed = git.run("ls-tree", "-r", "-z", "--full-tree", commit, git_dir=mirror).split(b"\0")
    links = dict(_link(line) for line in listed if line.startswith(b"160000 "))
    if not links:
        return
    if depth >= _NESTED:
        raise GitFailed(f"The submodules of {git.ref.remote} nest too deep", why=f"the limit is {_NESTED}")
    urls = _submodule_urls(commit, git, mirror)
    for path, linked in sorted(links.items()):
        if path not in urls:  # a link without a line in .gitmodules stays an empty directory, as git leaves it
            continue
        found = _submodule_ref(git.ref.remote, urls[path])
        if found is None:
            raise GitFailed(
                f"The submodule {os.fsdecode(path)} of {git.ref.remote} cannot be fetched",
                why=f"its address is {urls[path]!r}",
                fix="Leave submodules out with ?submodules=false after the address.",
            )
        ref = GitRef(found.remote, linked, userinfo=found.userinfo)
        own = Git.open(ref, git.remotes, main=False)
        tree = _tree(ref, _Target(linked), own, keep_git=False, submodules=True, depth=depth + 1)
        target = place / os.fsdecode(path)
        target.mkdir(parents=True, exist_ok=True)
        if target.resolve() != place.resolve() / os.fsdecode(path):
            raise GitFailed(f"The submodule {os.fsdecode(path)} of {git.ref.remote} lies behind a link")
        shutil.copytree(tree.directory, target, symlinks=True, dirs_exist_ok=True)


def _link(line: bytes) -> tuple[bytes, str]:
    facts, _, path = line.partition(b"\t")
    return path, facts.split()[2].decode()


def _submodule_urls(commit: str, git: Git, mirror: Path) -> dict[bytes, str]:
    modules = f"{commit}:.gitmodules"
    if not git.succeeds("cat-file", "-e", modules, git_dir=mirror):
        return {}
    values: dict[bytes, dict[bytes, bytes]] = {}
    for pair in git.run("config", "-z", "--blob", modules, "--list", git_dir=mirror).split(b"\0"):
        key, _, value = pair.partition(b"\n")
        section, _, rest = key.partition(b".")
        name, _, field = rest.rpartition(b".")
        if section == b"submodule" and field in (b"path", b"url"):
            values.setdefault(name, {})[field] = value
    return {item[b"path"]: os.fsdecode(item[b"url"]) for item in values.values() if len(item) == 2}


def _submodule_ref(remote: str, url: str) -> GitRef | None:
    """The repository of a submodule; an address that begins with ``./`` or ``../`` starts at the remote's own."""
    if url.startswith(("./", "../")):
        parts = urlsplit(remote)
        if parts.scheme == "file":  # beside a repository of this host, which is one too
            return GitRef(f"file://{os.path.normpath(f'{parts.path}/{url}')}")
        if parts.netloc:
            url = urlunsplit((parts.scheme, parts.netloc, os.path.normpath(f"{parts.path}/{url}"), "", ""))
        else:
            host, _, path = remote.partition(":")
            url = f"{host}:{os.path.normpath(f'{path}/{url}')}"
    return parse_git_ref(url, any_path=True)


def _set_times(top: Path, time: int) -> None:
    for directory, directories, files in os.walk(top, topdown=False):
        for name in (*files, *directories):
            os.utime(os.path.join(directory, name), (time, time), follow_symlinks=False)
    os.utime(top, (time, time))
