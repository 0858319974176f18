"""Versions of the Buildpack API and the Platform API."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lifecycle.errors import PylifeError

_API = re.compile(r"(0|[1-9]\d*)(?:\.(0|[1-9]\d*))?")


class BadApi(PylifeError):
    """An API version is not written as major.minor."""

    code = "buildpack.bad-api"
    exit_code = 12
    fix = 'Write it as a string such as api = "0.11".'


class UnsupportedApi(PylifeError):
    """A buildpack or extension asks for a Buildpack API that pylife does not speak."""

    code = "buildpack.unsupported-api"
    exit_code = 12
    fix = "Use a release of the buildpack whose buildpack.toml has an api of 0.7 to 0.12, or a newer pylife."


@dataclass(frozen=True, slots=True, order=True)
class Api:
    """An API version: compares as numbers, so 0.9 < 0.10.

    Source: CNB buildpack.md, "Buildpack API Version".
    """

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Api:
        """The version written as ``major.minor`` or ``major`` (the same as ``major.0``)."""
        match = _API.fullmatch(text)
        if match is None:
            raise BadApi(f"{text[:40]!r} is not an API version")
        return cls(int(match[1]), int(match[2] or 0))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


BUILDPACK_APIS = tuple(Api(0, minor) for minor in range(7, 13))


def supported_api(text: str, *, where: str) -> Api:
    """The Buildpack API in ``text`` if pylife speaks it; raises UnsupportedApi, which exits with 12."""
    api = Api.parse(text)
    if api not in BUILDPACK_APIS:
        raise UnsupportedApi(
            f"Buildpack API {api} is not supported",
            why=f"pylife speaks {BUILDPACK_APIS[0]} to {BUILDPACK_APIS[-1]}",
            where=where,
        )
    return api
