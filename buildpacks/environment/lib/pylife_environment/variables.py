"""BPE_* variables of a build, as changes of the launch environment.

Source: Paketo's environment-variables buildpack, README: BPE_NAME and BPE_OVERRIDE_NAME set, BPE_DEFAULT_NAME sets
what is not set, BPE_APPEND_NAME and BPE_PREPEND_NAME extend, BPE_DELIM_NAME goes between.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "BPE_"
MODES = ("APPEND", "DEFAULT", "DELIM", "OVERRIDE", "PREPEND")
# Variables that are lists of paths: to extend one without a separator is never what is meant.
PATHS = frozenset({"PATH", "LD_LIBRARY_PATH", "CLASSPATH", "PYTHONPATH", "NODE_PATH", "GEM_PATH", "GOPATH", "CPATH"})
# Words of names whose value should not lie in an image for everyone to read.
_SECRETS = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "PRIVATE_KEY", "API_KEY", "APIKEY", "CREDENTIAL")


class Change:
    """One change of the launch environment; ``mode`` is a suffix of the contract, ``source`` the build's variable."""

    __slots__ = ("mode", "name", "source", "value")

    def __init__(self, name: str, mode: str, value: str, source: str) -> None:
        self.name, self.mode, self.value, self.source = name, mode, value, source


def read_changes(env: Mapping[str, str]) -> list[Change]:
    """The changes that the build's variables ask for, by source. Names are not checked."""
    changes = []
    for source in sorted(env):
        if source.startswith(PREFIX):
            rest = source.removeprefix(PREFIX)
            mode, underscore, name = rest.partition("_")
            if not underscore or mode not in MODES:
                mode, name = "OVERRIDE", rest
            changes.append(Change(name, mode.lower(), env[source], source))
    return changes


def looks_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return any(word in name.upper() for word in _SECRETS)
