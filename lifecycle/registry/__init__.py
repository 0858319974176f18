"""Registries: the distribution protocol, credentials, mirrors, and a small registry of our own.

Importing this package does not import the HTTP client; the first request does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.registry.client import RegistryClient
    from lifecycle.registry.credentials import Anonymous, Credentials, Keychain, SingleKey
    from lifecycle.registry.keychain import default_keychain
    from lifecycle.registry.settings import RegistrySettings

__getattr__ = exports(
    __name__,
    {
        "client": ("RegistryClient",),
        "credentials": (
            "Anonymous",
            "Credentials",
            "Keychain",
            "SingleKey",
        ),
        "keychain": ("default_keychain",),
        "settings": ("RegistrySettings",),
    },
)

__all__ = [
    "Anonymous",
    "Credentials",
    "Keychain",
    "RegistryClient",
    "RegistrySettings",
    "SingleKey",
    "default_keychain",
]
