"""The transport as registries use it: with the errors of registries."""

from __future__ import annotations

from lifecycle.registry.errors import BadAnswer, BadCertificate, RegistryError, Unreachable, error_from
from lifecycle.registry.settings import RegistrySettings
from lifecycle.transport import client
from lifecycle.transport.errors import Faults

Answer = client.Answer[RegistryError]
Transport = client.Transport[RegistryError]

_FAULTS: Faults[RegistryError] = Faults(Unreachable, BadCertificate, BadAnswer, error_from)


def open_transport(settings: RegistrySettings) -> Transport:
    """The way to every registry; one for the whole process."""
    return Transport(settings, _FAULTS)
