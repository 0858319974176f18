"""Credentials as a value, and the port that finds them."""

from __future__ import annotations

import base64
from dataclasses import field
from typing import Protocol

from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who pylife is to one registry. ``origin`` says where they were found; the secrets never show in a repr.

    One of three: user name and password; an ``identity_token`` to be traded for access tokens; a ``registry_token``
    that is sent as it is.
    """

    origin: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of a Basic Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Keychain(Protocol):
    """Finds credentials. Asked only when a registry wants some, at most once per repository."""

    def resolve(self, registry: str, repository: str) -> Credentials | None:
        """The credentials for a repository of a registry (``host[:port]``), or None to stay anonymous."""
        ...


class Anonymous:
    """A keychain without keys."""

    def resolve(self, registry: str, repository: str) -> Credentials | None:
        return None


@dataclass(frozen=True, slots=True)
class SingleKey:
    """A keychain with one key, for one registry: what ``pylife login`` tries before it writes."""

    registry: str
    credentials: Credentials

    def resolve(self, registry: str, repository: str) -> Credentials | None:
        return self.credentials if registry == self.registry else None


@dataclass(frozen=True, slots=True)
class KeychainChain:
    """Several keychains; the first that knows wins."""

    keychains: tuple[Keychain, ...]

    def resolve(self, registry: str, repository: str) -> Credentials | None:
        for keychain in self.keychains:
            if found := keychain.resolve(registry, repository):
                return found
        return None
