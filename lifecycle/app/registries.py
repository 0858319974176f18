"""Registries by name."""

from __future__ import annotations

from lifecycle.oci import BadReference, Reference


def parse_registry(text: str) -> str:
    """The registry ``host[:port]`` in ``text``, as image names have it; raises BadReference."""
    bare = text.removeprefix("https://").removeprefix("http://").rstrip("/")
    why = "a registry is a host with a dot or a port, or localhost"
    try:
        found = Reference.parse(f"{bare}/name")
    except BadReference as error:
        raise BadReference(f"{text!r} is no registry", why=error.why or why, fix=_FIX) from None
    if not found.explicit or "/" in found.repository.removeprefix("library/"):
        raise BadReference(f"{text!r} is no registry", why=why, fix=_FIX)
    return found.registry


_FIX = "Write it as in an image name, for example localhost:5000 or reg.example."
