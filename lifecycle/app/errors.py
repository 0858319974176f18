"""What can be wrong with the settings."""

from __future__ import annotations

from lifecycle.errors import UsageError


class BadSettingsFile(UsageError):
    """The settings file cannot be read, is not TOML, or has a key that pylife does not know."""

    code = "settings.bad-file"
    fix = "Mend the file, or set PYLIFE_CONFIG to another one."


class BadSetting(UsageError):
    """A setting has a value that cannot be meant."""

    code = "settings.bad-value"
    fix = "Correct the value where it was given."
