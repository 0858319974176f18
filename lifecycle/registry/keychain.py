"""Finding credentials where the ecosystem keeps them: the environment, docker's and podman's files, helpers.

Source: docker config.json reference ("Credential store options"); containers-auth.json(5); CNB platform spec,
"Registry Authentication".
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.registry.credentials import Credentials, Keychain, KeychainChain

HELPER_SECONDS = 60.0
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
_HEADER = re.compile(r"\s*(basic|bearer|x-identity)\s+(\S+)\s*", re.IGNORECASE)
_HELPER_NAME = re.compile(r"[A-Za-z0-9._-]+")


class BadAuthFile(PylifeError):
    """A file of registry credentials cannot be read or is not what docker and podman write."""

    code = "registry.bad-auth-file"
    fix = "Mend the file at the place named, or move it away and log in again with `pylife login`."


class BadAuthVariable(PylifeError):
    """CNB_REGISTRY_AUTH is not a JSON object of registry to Authorization header."""

    code = "registry.bad-auth-variable"
    fix = """Set it like CNB_REGISTRY_AUTH='{"registry.example": "Basic dXNlcjpwYXNz"}' (or Bearer, or X-Identity)."""


class HelperFailed(PylifeError):
    """A docker credential helper is missing, failed or answered with something else than JSON."""

    code = "registry.credential-helper"
    fix = "Run the helper by hand to see what it says, or take its name out of credsStore and credHelpers."


def default_keychain(environ: Mapping[str, str] = os.environ) -> Keychain:
    """The keychain of this user: CNB_REGISTRY_AUTH first, then the auth files in the order of ``auth_files``."""
    keys: list[Keychain] = []
    if text := environ.get("CNB_REGISTRY_AUTH"):
        keys.append(HeaderKeychain.parse(text))
    keys += [FileKeychain(path) for path in auth_files(environ)]
    return KeychainChain(tuple(keys))


def auth_files(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where credentials may be, first wins: $REGISTRY_AUTH_FILE, docker's file, podman's runtime and home files."""
    home = Path(environ.get("HOME") or Path.home())
    files = []
    if named := environ.get("REGISTRY_AUTH_FILE"):
        files.append(Path(named))
    files.append(Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json")
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        files.append(Path(runtime) / "containers/auth.json")
    files.append(Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers/auth.json")
    return files


@dataclass(frozen=True, slots=True)
class HeaderKeychain:
    """The registries of CNB_REGISTRY_AUTH, host to Authorization header."""

    headers: Mapping[str, Credentials]

    @classmethod
    def parse(cls, text: str) -> HeaderKeychain:
        """The keychain in the variable's JSON; raises BadAuthVariable, never showing a value."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadAuthVariable("CNB_REGISTRY_AUTH is not JSON", why=_json_place(error)) from error
        if not isinstance(data, dict):
            raise BadAuthVariable("CNB_REGISTRY_AUTH is not a JSON object")
        found = {}
        for host, value in data.items():
            match = _HEADER.fullmatch(value) if isinstance(value, str) else None
            if match is None:
                raise BadAuthVariable(
                    f"The entry {host!r} of CNB_REGISTRY_AUTH cannot be used",
                    why="its value must begin with Basic, Bearer or X-Identity, followed by one word",
                )
            kind, secret = match[1].lower(), match[2]
            origin = "CNB_REGISTRY_AUTH"
            if kind == "basic":
                pair = _decode_pair(secret)
                if pair is None:
                    raise BadAuthVariable(
                        f"The entry {host!r} of CNB_REGISTRY_AUTH cannot be used",
                        why="it is not base64 of user:password",
                    )
                found[_bare(host)] = Credentials(origin, *pair)
            elif kind == "bearer":
                found[_bare(host)] = Credentials(origin, registry_token=secret)
            else:
                found[_bare(host)] = Credentials(origin, identity_token=secret)
        return cls(found)

    def resolve(self, registry: str, repository: str) -> Credentials | None:
        for key in _keys(registry, repository):
            if found := self.headers.get(_bare(key)):
                return found
        return None


@dataclass(frozen=True, slots=True)
class FileKeychain:
    """The credentials in one config.json or auth.json; a file that does not exist holds none."""

    path: Path

    def resolve(self, registry: str, repository: str) -> Credentials | None:
        """As ``Keychain.resolve``: per-repository keys first (longest wins), helpers before stored secrets."""
        data = read_auth_file(self.path)
        helpers, auths = data.get("credHelpers") or {}, data.get("auths") or {}
        for key in _keys(registry, repository):
            if helper := helpers.get(key):
                return ask_helper(str(helper), key, self.path)
        by_bare = {_bare(key): key for key in auths}
        for key in _keys(registry, repository):
            name = key if key in auths else by_bare.get(_bare(key))
            if name is not None and (found := self._stored(name, auths[name])):
                return found
        if store := data.get("credsStore"):
            return ask_helper(str(store), server_key(registry), self.path)
        return None

    def _stored(self, key: str, entry: Mapping[str, Any]) -> Credentials | None:
        def text(name: str) -> str:
            value = entry.get(name) or ""
            if not isinstance(value, str):
                raise BadAuthFile(f"{self.path} cannot be used", why=f"auths → {key} → {name} is not a string")
            return value

        username, password = text("username"), text("password")
        if encoded := text("auth"):
            pair = _decode_pair(encoded)
            if pair is None:
                raise BadAuthFile(
                    f"{self.path} cannot be used", why=f"auths → {key} → auth is not base64 of user:password"
                )
            username, password = pair
        found = Credentials(str(self.path), username, password, text("identitytoken"), text("registrytoken"))
        return found if username or found.identity_token or found.registry_token else None


def read_auth_file(path: Path) -> dict[str, Any]:
    """The decoded file, empty when there is none; raises BadAuthFile with line and column, or the faulty property."""
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadAuthFile(f"{path} cannot be read", why=str(error)) from error
    if not text.strip():
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadAuthFile(f"{path} is not JSON", why=_json_place(error)) from error
    if not isinstance(data, dict):
        raise BadAuthFile(f"{path} cannot be used", why="it is not a JSON object")
    for name in ("auths", "credHelpers"):
        value = data.get(name) or {}
        if not isinstance(value, dict):
            raise BadAuthFile(f"{path} cannot be used", why=f"{name} is not a JSON object")
        for key, entry in value.items():
            if name == "auths" and not isinstance(entry, dict):
                raise BadAuthFile(f"{path} cannot be used", why=f"auths → {key} is not a JSON object")
    return data


def ask_helper(name: str, server: str, path: Path) -> Credentials | None:
    """What ``docker-credential-NAME get`` knows about ``server``; None when it knows nothing."""
    code, output = run_helper(name, "get", server, path)
    if code != 0:
        if "credentials not found" in output.lower():
            return None
        raise HelperFailed(f"docker-credential-{name} get failed for {server}", why=output[:300] or f"exit code {code}")
    try:
        data = json.loads(output)
        username, secret = str(data["Username"]), str(data["Secret"])
    except (ValueError, KeyError, TypeError):
        raise HelperFailed(
            f"docker-credential-{name} get gave no credentials for {server}",
            why="its answer is not a JSON object with Username and Secret",
        ) from None
    origin = f"docker-credential-{name}"
    if username == "<token>":
        return Credentials(origin, identity_token=secret)
    return Credentials(origin, username, secret) if username or secret else None


def run_helper(name: str, verb: str, text: str, path: Path) -> tuple[int, str]:
    """Exit code and output of ``docker-credential-NAME VERB`` with ``text`` on stdin; raises HelperFailed."""
    if not _HELPER_NAME.fullmatch(name):
        raise BadAuthFile(f"{path} cannot be used", why=f"{name!r} is no name of a credential helper")
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run([program, verb], input=text.encode(), capture_output=True, timeout=HELPER_SECONDS)
    except FileNotFoundError as error:
        raise HelperFailed(f"{program}, named in {path}, is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise HelperFailed(f"{program} {verb} did not finish", why=f"it had {HELPER_SECONDS:.0f} s") from error
    except OSError as error:
        raise HelperFailed(f"{program} {verb} cannot be run", why=str(error)) from error
    output = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode != 0:
        output = output or done.stderr.decode("utf-8", "replace").strip()
    return done.returncode, output


def server_key(registry: str) -> str:
    """The name under which docker files and helpers keep a registry."""
    return _HUB_KEYS[0] if registry == "docker.io" else registry


def _keys(registry: str, repository: str) -> Iterator[str]:
    """The keys that may hold a repository's credentials, the most specific first."""
    parts = [part for part in repository.split("/") if part]
    for count in range(len(parts), 0, -1):
        yield "/".join([registry, *parts[:count]])
    yield from _HUB_KEYS if registry == "docker.io" else (registry,)


def _bare(key: str) -> str:
    """A key without scheme, trailing slash and the ``/v1``, ``/v2`` that old clients wrote."""
    bare = key.partition("://")[2] if "://" in key else key
    bare = bare.rstrip("/")
    return bare.removesuffix("/v1").removesuffix("/v2")


def _decode_pair(encoded: str) -> tuple[str, str] | None:
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (username, password.rstrip("\0")) if colon else None


def _json_place(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is nested too deeply"
