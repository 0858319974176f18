"""Config variables and the environment of build processes: which variable is what, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.buildpack.tree import BuildRoot


def config_vars(environ: Mapping[str, str]) -> dict[str, str]:
    """The app's config variables among the variables of a builder's own environment (a pod's)."""
    raise NotImplementedError


def process_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What of a builder's own environment its processes get: PATH, locale, proxies, certificates; no config variable."""
    raise NotImplementedError


def write_env_dir(
    root: BuildRoot, inside: str, variables: Mapping[str, str], owner: tuple[int, int] | None = None
) -> None:
    """Make ``inside`` an env directory of exactly ``variables``: a file for each, its bytes the value."""
    raise NotImplementedError


def read_env_dir(root: BuildRoot, inside: str) -> dict[str, str]:
    """The variables of the env directory ``inside``; hidden files count for nothing."""
    raise NotImplementedError


def parse_dotenv(raw: bytes) -> dict[str, str]:
    """The variables of a .env file."""
    raise NotImplementedError
