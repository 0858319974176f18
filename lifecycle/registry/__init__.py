"""Registries: the distribution protocol, credentials, mirrors, and a small registry of our own.

Importing this package does not import the HTTP client; the first request does.
"""

from lifecycle.registry.client import RegistryClient
from lifecycle.registry.credentials import Anonymous, Credentials, Keychain, SingleKey
from lifecycle.registry.keychain import default_keychain
from lifecycle.registry.settings import RegistrySettings

__all__ = [
    "Anonymous",
    "Credentials",
    "Keychain",
    "RegistryClient",
    "RegistrySettings",
    "SingleKey",
    "default_keychain",
]
