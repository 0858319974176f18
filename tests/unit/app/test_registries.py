"""Registries by name."""

from __future__ import annotations

import pytest

from lifecycle.app.registries import parse_registry
from lifecycle.oci import BadReference


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("localhost:5000", "localhost:5000"),
        ("localhost", "localhost"),
        ("https://reg.example/", "reg.example"),
        ("index.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_registry_is_read_as_image_names_have_it(text: str, registry: str) -> None:
    assert parse_registry(text) == registry


@pytest.mark.parametrize("text", ["", "myhost", "reg.example/team", "reg example", "reg.example:port"])
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(BadReference, match="is no registry"):
        parse_registry(text)
