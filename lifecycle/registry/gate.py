"""Who may do what at ``pylife registry serve``: nobody asked, Basic, or Bearer tokens from its own token service."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import field
from typing import Protocol
from urllib.parse import parse_qs

from lifecycle.record import dataclass


class Gate(Protocol):
    """Decides about requests. ``actions`` are ``pull``, ``push``, ``delete``; none for the bare API."""

    def challenge(self, authorization: str | None, repository: str, actions: frozenset[str], base: str) -> str | None:
        """None to let a request in, else the WWW-Authenticate header of the 401. ``base`` is this server's URL."""
        ...


def read_basic(authorization: str | None) -> tuple[str, str] | None:
    """User name and password of a Basic header."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def _knows(users: Mapping[str, str], pair: tuple[str, str] | None) -> bool:
    return pair is not None and pair[0] in users and hmac.compare_digest(users[pair[0]].encode(), pair[1].encode())


@dataclass(frozen=True, slots=True)
class BasicGate:
    """User names and passwords; ``public`` lets everybody pull."""

    users: Mapping[str, str] = field(repr=False)
    public: bool = False

    def challenge(self, authorization: str | None, repository: str, actions: frozenset[str], base: str) -> str | None:
        if self.public and repository and actions <= {"pull"}:
            return None
        return None if _knows(self.users, read_basic(authorization)) else 'Basic realm="pylife registry"'


class BearerGate:
    """Tokens for exactly the scopes asked for, from ``/token`` on the same server (GET with Basic, POST by OAuth2).

    ``identity_tokens`` may be traded for tokens; ``life`` is how many seconds a token is good for.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        public: bool = False,
        life: float = 300.0,
        identity_tokens: frozenset[str] = frozenset(),
        read_only: frozenset[str] = frozenset(),
    ) -> None:
        self._users = users
        self._public = public
        self._life = life
        self._identity_tokens = identity_tokens
        self._read_only = read_only
        self._tokens: dict[str, tuple[float, dict[str, frozenset[str]]]] = {}
        self._lock = threading.Lock()

    def challenge(self, authorization: str | None, repository: str, actions: frozenset[str], base: str) -> str | None:
        scheme, _, token = (authorization or "").partition(" ")
        with self._lock:
            expires, granted = self._tokens.get(token, (0.0, {})) if scheme.lower() == "bearer" else (0.0, {})
        if time.monotonic() < expires and (not repository or actions <= granted.get(repository, frozenset())):
            return None
        text = f'Bearer realm="{base}/token",service="pylife"'
        if repository:
            text += f',scope="repository:{repository}:{",".join(sorted(actions))}"'
        if authorization:
            text += ',error="invalid_token"'
        return text

    def issue(self, query: str, authorization: str | None, form: str | None) -> dict[str, object] | None:
        """The token service's answer to a GET's query or a POST's form; None to refuse."""
        fields = parse_qs(query if form is None else form)
        pair = read_basic(authorization)
        known = _knows(self._users, pair)
        if form is not None:
            known = fields.get("refresh_token", [""])[0] in self._identity_tokens
            name = "<token>"
        else:
            name = pair[0] if pair else ""
        if not known and (pair or form is not None or not self._public):
            return None
        allowed = {"pull"} if not known or name in self._read_only else {"pull", "push", "delete"}
        granted: dict[str, frozenset[str]] = {}
        for scope in " ".join(fields.get("scope", [])).split():
            kind, _, rest = scope.partition(":")
            repository, _, actions = rest.rpartition(":")
            if kind == "repository":
                granted[repository] = granted.get(repository, frozenset()) | (frozenset(actions.split(",")) & allowed)
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens[token] = (time.monotonic() + self._life, granted)
        return {"token" if form is None else "access_token": token, "expires_in": max(1, int(self._life))}

    def revoke(self) -> None:
        """Make every token that was given out worthless."""
        with self._lock:
            self._tokens.clear()
