"""From a registry's challenge to an Authorization header.

Source: RFC 9110 §11.6.1 (challenges); distribution, "Token Authentication Specification" and "OAuth2 Token
Authentication"; RFC 7617 (Basic).
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from urllib.parse import urlencode, urlsplit

from lifecycle.record import dataclass
from lifecycle.registry.credentials import Credentials, Keychain
from lifecycle.registry.errors import BadAnswer, Denied, Refused, Unauthorized
from lifecycle.registry.transport import Answer
from lifecycle.transport.settings import is_loopback

_TOKEN_LIMIT = 1 << 20
_DEFAULT_LIFE = 60.0
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PARAMETER = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*""")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")

Scopes = frozenset[str]
Send = Callable[[str, str, Mapping[str, str], bytes | None], Answer]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that a registry offers; ``scheme`` and the parameters' names are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of WWW-Authenticate headers, several to a header allowed; what cannot be read ends its header."""
    found: list[Challenge] = []
    for text in headers:
        at = 0
        while at < len(text):
            if text[at] in ", \t":
                at += 1
                continue
            scheme = _TOKEN.match(text, at)
            if scheme is None:
                break
            at = scheme.end()
            parameters: dict[str, str] = {}
            if at < len(text) and text[at] == " " and (token68 := _TOKEN68.match(text, at + 1)):
                at = token68.end()
            while parameter := _PARAMETER.match(text, at):
                quoted = parameter[2]
                value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else parameter[3]
                parameters.setdefault(parameter[1].lower(), value)
                at = parameter.end()
                comma = re.compile(r"[\s,]*").match(text, at)
                if comma is None or "," not in comma[0] or not _PARAMETER.match(text, comma.end()):
                    break
                at = comma.end()
            found.append(Challenge(scheme[0].lower(), parameters))
    return tuple(found)


def merge_scopes(scopes: Iterable[str]) -> Scopes:
    """The scopes with one entry per resource, its actions united: ``repository:a:pull`` + ``…:push`` is one."""
    actions: dict[str, set[str]] = {}
    for scope in scopes:
        resource, colon, wanted = scope.rpartition(":")
        if colon:
            actions.setdefault(resource, set()).update(wanted.split(","))
    return frozenset(f"{resource}:{','.join(sorted(wanted))}" for resource, wanted in actions.items())


def _covers(held: Scopes, wanted: Scopes) -> bool:
    have = {scope.rpartition(":")[0]: set(scope.rpartition(":")[2].split(",")) for scope in held}
    for scope in wanted:
        resource, _, actions = scope.rpartition(":")
        if not set(actions.split(",")) <= have.get(resource, set()):
            return False
    return True


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    expires: float  # on the monotonic clock
    scopes: Scopes
    credentials: Credentials | None


class Authorizer:
    """What pylife sends to one registry to be let in; remembers challenges, credentials and tokens. Thread-safe.

    ``base`` is the registry's URL; ``send`` reaches the token service, with retries.
    """

    def __init__(self, registry: str, base: str, keychain: Keychain, send: Send) -> None:
        self._registry = registry
        self._base = base
        self._keychain = keychain
        self._send = send
        self._lock = threading.RLock()
        self._challenges: tuple[Challenge, ...] = ()
        self._asked_for: Scopes = frozenset()
        self._credentials: dict[str, Credentials | None] = {}
        self._tokens: list[_Token] = []

    def learn(self, headers: Iterable[str]) -> None:
        """Take note of a 401's WWW-Authenticate headers."""
        challenges = parse_challenges(headers)
        with self._lock:
            if challenges:
                self._challenges = challenges
            for challenge in challenges:
                scope = challenge.parameters.get("scope", "")
                self._asked_for = merge_scopes([*self._asked_for, *scope.split()])

    @property
    def challenged(self) -> bool:
        """True once the registry asked for credentials."""
        return bool(self._challenges)

    def header(self, repository: str, scopes: Scopes) -> str | None:
        """The Authorization header for a request, or None to send none; raises Unauthorized and what a fetch raises."""
        with self._lock:
            schemes = {challenge.scheme: challenge for challenge in self._challenges}
            if not schemes:
                return None
            credentials = self._resolve(repository)
            if credentials and credentials.registry_token:
                return f"Bearer {credentials.registry_token}"
            if bearer := schemes.get("bearer"):
                return f"Bearer {self._token(bearer, credentials, self._wanted(scopes)).value}"
            if "basic" in schemes:
                if credentials is None:
                    raise Unauthorized(f"{self._registry} wants credentials, and none were found", url=self._base)
                if not credentials.username:
                    raise Unauthorized(
                        f"{self._registry} wants a user name and password",
                        why=f"{credentials.origin} holds only a token for it",
                        url=self._base,
                    )
                return credentials.basic
            raise Unauthorized(
                f"{self._registry} wants an authentication that pylife does not speak",
                why=", ".join(sorted(schemes)),
                url=self._base,
            )

    def forget(self, header: str | None) -> None:
        """Drop the tokens held, of which the registry did not take the one in ``header``; they fall together.

        Nothing is dropped when another thread has renewed them meanwhile.
        """
        with self._lock:
            if any(f"Bearer {token.value}" == header for token in self._tokens):
                self._tokens.clear()

    def origin(self, repository: str) -> str | None:
        """Where the credentials for a repository come from, in words for an error; None when anonymous."""
        with self._lock:
            found = self._credentials.get(repository)
            return found.origin if found else None

    def _wanted(self, scopes: Scopes) -> Scopes:
        """The scopes of a request, widened by actions that the registry itself asked for on the same resources."""
        resources = {scope.rpartition(":")[0] for scope in scopes}
        return merge_scopes([*scopes, *(scope for scope in self._asked_for if scope.rpartition(":")[0] in resources)])

    def _resolve(self, repository: str) -> Credentials | None:
        if repository not in self._credentials:
            self._credentials[repository] = self._keychain.resolve(self._registry, repository)
        return self._credentials[repository]

    def _token(self, challenge: Challenge, credentials: Credentials | None, scopes: Scopes) -> _Token:
        now = time.monotonic()
        self._tokens = [token for token in self._tokens if token.expires > now]
        for token in self._tokens:
            if token.credentials == credentials and _covers(token.scopes, scopes):
                return token
        token = self._fetch(challenge, credentials, scopes)
        self._tokens.append(token)
        return token

    def _fetch(self, challenge: Challenge, credentials: Credentials | None, scopes: Scopes) -> _Token:
        realm = challenge.parameters.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BadAnswer(
                f"{self._registry} names no usable token service", why=f"its realm is {realm[:200]!r}", url=self._base
            )
        host = parts.netloc.rpartition("@")[2]
        if credentials and parts.scheme == "http" and self._base.startswith("https:") and not is_loopback(host):
            raise BadAnswer(
                f"{self._registry} wants its credentials sent over plain HTTP", why=f"to {host}", url=self._base
            )
        fields = [("service", challenge.parameters["service"])] if challenge.parameters.get("service") else []
        headers: dict[str, str] = {}
        began = time.monotonic()
        if credentials and credentials.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token, "client_id": "pylife"}
            body = urlencode([*form.items(), *fields, ("scope", " ".join(sorted(scopes)))]).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            answer = self._send("POST", realm, headers, body)
        else:
            query = urlencode([*fields, *(("scope", scope) for scope in sorted(scopes))])
            if credentials:
                headers["Authorization"] = credentials.basic
            joint = "&" if parts.query else "?"
            answer = self._send("GET", f"{realm}{joint}{query}" if query else realm, headers, None)
        if answer.status != 200:
            raise self._refused(answer, credentials)
        return self._read_token(answer, began, scopes, credentials)

    def _refused(self, answer: Answer, credentials: Credentials | None) -> Exception:
        whose = f"the credentials from {credentials.origin}" if credentials else "an anonymous request"
        what = f"The token service of {self._registry} refused {whose}"
        error = answer.error(what)
        if answer.status in (400, 401, 403) and isinstance(error, Unauthorized | Denied | Refused):
            refused = Unauthorized(what, why=error.why, **answer.place)
            refused.faults = error.faults
            return refused
        return error

    def _read_token(self, answer: Answer, began: float, scopes: Scopes, credentials: Credentials | None) -> _Token:
        place = answer.place
        body = answer.read(_TOKEN_LIMIT)
        try:
            data = json.loads(body)
            value = data.get("token") or data.get("access_token")
            life = float(data.get("expires_in") or _DEFAULT_LIFE)
        except (ValueError, AttributeError, TypeError, RecursionError):
            value, life = None, 0.0
        if not isinstance(value, str) or not value or not value.isprintable():
            raise BadAnswer(f"The token service of {self._registry} gave no token", **place)
        return _Token(value, began + life - min(10.0, life / 4), scopes, credentials)
