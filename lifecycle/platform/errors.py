"""What can be wrong with a file of the Platform API."""

from __future__ import annotations

from lifecycle.errors import PylifeError


class BadContractFile(PylifeError):
    """A TOML file of the Platform API is missing, not TOML, or has a value of the wrong kind."""

    code = "platform.bad-file"
    fix = "Correct the key that is named, or run the phase that writes the file again."
