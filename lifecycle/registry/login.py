"""``pylife login`` and ``logout``: credentials tried at the registry, and kept where docker and podman keep theirs."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle.events import Message, NullSink, Sink
from lifecycle.registry.credentials import Credentials, SingleKey
from lifecycle.registry.keychain import BadAuthFile, HelperFailed, auth_files, read_auth_file, run_helper, server_key
from lifecycle.registry.session import Access, Session
from lifecycle.registry.settings import RegistrySettings


def login(
    registry: str,
    username: str,
    password: str,
    *,
    settings: RegistrySettings | None = None,
    environ: Mapping[str, str] = os.environ,
    sink: Sink | None = None,
) -> str:
    """Try the credentials at the registry's /v2/ and keep them; returns where (a path, or the helper's name).

    They go into $REGISTRY_AUTH_FILE, else docker's config.json, through the credential helper named there.
    Raises Unauthorized, and keeps nothing, when the registry refuses them.
    """
    verify(registry, Credentials("the command line", username, password), settings, sink)
    path = _writable_file(environ)
    data = read_auth_file(path)
    key = server_key(registry)
    if helper := _helper(data, key):
        entry = json.dumps({"ServerURL": key, "Username": username, "Secret": password})
        _tell_helper(helper, "store", entry, key, path)
        return f"docker-credential-{helper}"
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    data["auths"] = {**(data.get("auths") or {}), key: {"auth": auth}}
    _write(path, data)
    return str(path)


def verify(registry: str, credentials: Credentials, settings: RegistrySettings | None, sink: Sink | None) -> None:
    """Return when the registry takes the credentials; raises Unauthorized when not."""
    sink = sink or NullSink()
    session = Session(settings or RegistrySettings.of(), SingleKey(registry, credentials), sink)
    try:
        access = Access(registry, "", frozenset())
        what = f"{registry} does not take the credentials of {credentials.username!r}"
        answer = session.request("GET", access, "/v2/", what=what)
        if answer.status not in (200, 403):
            raise answer.error(what)
        answer.drain()
        if not session.endpoint(registry).authorizer.challenged:
            text = f"{registry} asks nobody for credentials: these are kept without having been tried"
            sink.emit(Message(text, level="warning"))
    finally:
        session.close()


def logout(registry: str, *, environ: Mapping[str, str] = os.environ, sink: Sink | None = None) -> str | None:
    """Remove the credentials that ``login`` kept; returns from where, None when there were none.

    Warns of another file that still knows the registry: it belongs to another tool and stays as it is.
    """
    path = _writable_file(environ)
    data = read_auth_file(path)
    key = server_key(registry)
    removed: str | None = None
    if (auths := data.get("auths")) and key in auths:
        data["auths"] = {name: entry for name, entry in auths.items() if name != key}
        _write(path, data)
        removed = str(path)
    if helper := _helper(data, key):
        _tell_helper(helper, "erase", key, key, path)
        removed = f"docker-credential-{helper}"
    for other in auth_files(environ):
        if other != path and key in (read_auth_file(other).get("auths") or {}):
            text = f"{other} still holds credentials for {registry}"
            (sink or NullSink()).emit(Message(text, level="warning"))
    return removed


def _writable_file(environ: Mapping[str, str]) -> Path:
    """The first of the files that credentials are looked for in."""
    return auth_files(environ)[0]


def _helper(data: Mapping[str, Any], key: str) -> str | None:
    name = (data.get("credHelpers") or {}).get(key) or data.get("credsStore")
    return str(name) if name else None


def _tell_helper(helper: str, verb: str, text: str, key: str, path: Path) -> None:
    code, output = run_helper(helper, verb, text, path)
    if code != 0 and "credentials not found" not in output.lower():
        raise HelperFailed(
            f"docker-credential-{helper} {verb} failed for {key}", why=output[:300] or f"exit code {code}"
        )


def _write(path: Path, data: Mapping[str, Any]) -> None:
    """Replace the file in one step, readable by its owner only; a symbolic link stays one."""
    target = path.resolve()
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=".auth-", delete=False) as out:  # mode 0600
            temporary = out.name
            out.write(json.dumps(data, indent=2) + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise BadAuthFile(f"{path} cannot be written", why=str(error)) from error
