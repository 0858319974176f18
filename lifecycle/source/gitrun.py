"""Running git: without the user's and the system's settings, without prompts, over safe protocols only.

Credentials go in by the environment, bound to their host: never as an argument, never into a repository's config.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lifecycle.errors import PylifeError
from lifecycle.events import Message
from lifecycle.record import dataclass
from lifecycle.source.gitref import GitRef
from lifecycle.source.remote_errors import GitDenied, GitFailed, GitMissing, RemoteCertificate
from lifecycle.source.remotes import Remotes

_TIMEOUT = 3600.0
_TRIES = 3
_PROTOCOLS = "http:https:ssh:git"
_SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=20"
_SETTINGS = {
    "advice.detachedHead": "false",
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.symlinks": "true",
    "gc.auto": "0",
    "init.defaultBranch": "main",
    "maintenance.auto": "false",
    "safe.directory": "*",  # the cache may be seen through a user namespace, where its files seem another's
}
_UPLOAD_PACK = "--upload-pack=git -c 'safe.directory=*' upload-pack"
"""git's other half, which reads a repository of this host, gets no settings by the environment."""
_DENIED = re.compile(
    rb"Authentication failed|could not read (Username|Password)|prompts disabled|Permission denied|"
    rb"error: 40[13]\b|HTTP 40[13]\b|Host key verification failed|access denied",
    re.IGNORECASE,
)
_PASSING = re.compile(
    rb"Could not resolve host|Connection (reset|timed out|refused)|Operation timed out|early EOF|RPC failed|"
    rb"error: 5\d\d\b|HTTP 5\d\d\b|unexpected disconnect|transfer closed|remote end hung up",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Git:
    """git, for the repository of one remote. ``main`` is False for submodules, which get no credentials but those
    that name their host."""

    ref: GitRef
    remotes: Remotes
    main: bool = True
    config: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, ref: GitRef, remotes: Remotes, *, main: bool = True) -> Git:
        return cls(ref, remotes, main, dict(_access(ref, remotes, main)))

    def ask(self, *arguments: str, git_dir: Path | None = None) -> bytes:
        """The output of a command that talks to the remote; tried again when the network fails it.

        A remote that begins with ``file://`` is a repository of this host: ``parse_git_ref`` never gives one.

        Raises GitDenied, GitFailed, GitMissing.
        """
        for failures in range(1, _TRIES + 1):
            done = self._call(arguments, git_dir, files=self.ref.remote.startswith("file://"))
            if done.returncode == 0:
                return done.stdout
            if _DENIED.search(done.stderr) or not _PASSING.search(done.stderr) or failures == _TRIES:
                raise self.failure(done.stderr)
            text = f"{self.ref.remote}: {_last_words(done.stderr)}; trying again (try {failures + 1} of {_TRIES})"
            self.remotes.sink.emit(Message(text, "warning", GitFailed.code))
            time.sleep(0.5 * 2 ** (failures - 1))
        raise AssertionError("unreachable")

    def run(
        self,
        *arguments: str,
        git_dir: Path | None = None,
        work_tree: Path | None = None,
        index: Path | None = None,
        files: bool = False,
    ) -> bytes:
        """The output of a command that works here; ``files`` allows it to read repositories of this host."""
        done = self._call(arguments, git_dir, work_tree, index, files)
        if done.returncode:
            raise self.failure(done.stderr)
        return done.stdout

    def succeeds(self, *arguments: str, git_dir: Path) -> bool:
        """True when a command that works here ends well."""
        return self._call(arguments, git_dir).returncode == 0

    def failure(self, stderr: bytes) -> PylifeError:
        """The error for git's last words."""
        why = _last_words(stderr)
        if _DENIED.search(stderr):
            return GitDenied(f"The repository {self.ref.remote} may not be read", why=why)
        fix = RemoteCertificate.fix if b"certificate" in stderr else None
        return GitFailed(f"git could not do its work on {self.ref.remote}", why=why, fix=fix)

    def _call(
        self,
        arguments: tuple[str, ...],
        git_dir: Path | None = None,
        work_tree: Path | None = None,
        index: Path | None = None,
        files: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        if files and arguments[0] in ("fetch", "ls-remote"):
            arguments = (arguments[0], _UPLOAD_PACK, *arguments[1:])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {
            "GIT_ALLOW_PROTOCOL": f"{_PROTOCOLS}:file" if files else _PROTOCOLS,
            "GIT_ASKPASS": "",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_HTTP_LOW_SPEED_LIMIT": "100",
            "GIT_HTTP_LOW_SPEED_TIME": "60",
            "GIT_SSH_COMMAND": self.remotes.environment.get("GIT_SSH_COMMAND")
            or os.environ.get("GIT_SSH_COMMAND", _SSH),
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }
        if self.remotes.ssh_agent is not None:
            environment["SSH_AUTH_SOCK"] = self.remotes.ssh_agent
        for name, path in (("GIT_DIR", git_dir), ("GIT_WORK_TREE", work_tree), ("GIT_INDEX_FILE", index)):
            if path is not None:
                environment[name] = str(path)
        config = {**_SETTINGS, **self.config}
        environment["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config.items()):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        try:
            return subprocess.run(
                ["git", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=environment,
                cwd=work_tree or git_dir or "/",
                timeout=_TIMEOUT,
                umask=0o022,
                check=False,
            )
        except FileNotFoundError as error:
            raise GitMissing(f"{self.ref.remote} needs git, which this host does not have") from error
        except subprocess.TimeoutExpired as error:
            raise GitFailed(f"git did not end its work on {self.ref.remote}", why=f"after {_TIMEOUT:.0f} s") from error


def _last_words(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "remote:"))] or lines
    return "; ".join(line for line in told if line)[-500:] or "it said nothing"


def _access(ref: GitRef, remotes: Remotes, main: bool) -> Iterator[tuple[str, str]]:
    """The settings that let git in: credentials and trust, for the host of the remote alone."""
    parts = urlsplit(ref.remote)
    if parts.scheme not in ("http", "https"):
        return
    base = f"{parts.scheme}://{parts.netloc}/"
    if header := _authorization(ref, remotes, main):
        yield f"http.{base}.extraHeader", f"Authorization: {header}"
    settings = remotes.settings
    if settings is not None and settings.is_insecure(parts.netloc):
        yield f"http.{base}.sslVerify", "false"
    elif settings is not None and settings.ca_files:
        from lifecycle.transport.settings import joined_bundle

        try:
            yield "http.sslCAInfo", str(joined_bundle(settings.ca_files, remotes.cache))
        except OSError as error:
            raise RemoteCertificate(f"{error.filename} holds no usable CA certificates", why=error.strerror) from error
    elif os.path.isfile(bundle := os.environ.get("SSL_CERT_FILE", "")):  # which git's own TLS may not know of
        yield "http.sslCAInfo", bundle


def _authorization(ref: GitRef, remotes: Remotes, main: bool) -> str | None:
    parts = urlsplit(ref.remote)
    hosts = [f".{parts.netloc}", f".{parts.hostname}"] + ([""] if main else [])
    for host in dict.fromkeys(hosts):
        if (header := remotes.secrets(f"GIT_AUTH_HEADER{host}")) is not None:
            return header.decode(errors="replace").strip()
        if (token := remotes.secrets(f"GIT_AUTH_TOKEN{host}")) is not None:
            return _basic("x-access-token", token.decode(errors="replace").strip())
    if ref.userinfo:
        user, _, password = ref.userinfo.partition(":")
        return _basic(unquote(user), unquote(password))
    if not main:
        return None
    user, password = remotes.environment.get("GIT_USERNAME", ""), remotes.environment.get("GIT_PASSWORD", "")
    if token_ := remotes.environment.get("GIT_TOKEN"):
        return _basic(user or "x-access-token", token_)
    return _basic(user, password) if user or password else None


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
