"""Where things stand in a slug build, as its processes see them.

Source: herokuish, README "Paths"; the slugbuilder family uses the same places.
"""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Paths:
    """Absolute paths inside the root filesystem.

    ``app`` is where the app runs (and HOME), ``build`` where it is compiled, ``imported`` where its source is put,
    ``env`` holds a file for each config variable, ``cache`` is what buildpacks keep, ``buildpacks`` holds them.
    """

    app: str = "/app"
    env: str = "/tmp/env"
    build: str = "/tmp/build"
    cache: str = "/tmp/cache"
    imported: str = "/tmp/app"
    buildpacks: str = "/tmp/buildpacks"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Paths:
        """The paths that APP_PATH and its kin name; an empty variable counts as none."""
        given = {name: environment.get(variable, "").rstrip("/") for name, variable in VARIABLES.items()}
        return cls(**{name: path for name, path in given.items() if path})

    def variables(self) -> dict[str, str]:
        """The paths as the variables that name them, in the order in which herokuish prints them."""
        return {variable: str(getattr(self, name)) for name, variable in VARIABLES.items()}


VARIABLES = {
    "app": "APP_PATH",
    "env": "ENV_PATH",
    "build": "BUILD_PATH",
    "cache": "CACHE_PATH",
    "imported": "IMPORT_PATH",
    "buildpacks": "BUILDPACK_PATH",
}
"""The variable that sets each path."""
