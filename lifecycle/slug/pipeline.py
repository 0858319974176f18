"""The order of a slug build: hooks, detect, compile, release, process types.

The source is in ``paths.build``, the cache in ``paths.cache``, each buildpack in ``paths.buildpacks/NN_name`` before
any of this is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from lifecycle.buildpack.execute import Runner
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.record import dataclass
from lifecycle.slug.buildpack import ClassicBuildpack
from lifecycle.slug.moments import Journal
from lifecycle.slug.paths import Paths
from lifecycle.slug.selection import Mode


@dataclass(frozen=True, slots=True)
class SlugInputs:
    """What a slug build is given.

    ``buildpacks`` in order: for mode ``default`` those that are asked, else those chosen. ``config_vars`` go to the env
    directory alone; ``variables`` are the base of the process environment (PATH, proxies), as ``process_variables``
    picks them. ``dotenv`` exports the app's .env while it is built.
    """

    buildpacks: tuple[ClassicBuildpack, ...]
    mode: Mode = "default"
    config_vars: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    stack: str = ""
    source_version: str = ""
    request_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    dotenv: bool = True


@dataclass(frozen=True, slots=True)
class Compiled:
    """A built app, now in ``paths.app``. ``used`` are the buildpacks with what each called the app, in order.

    ``types`` is a ``release.Types``, ``procfile`` a ``procfile.Procfile`` or None; ``reports`` what bin/report of each
    said; ``seconds`` wall time.
    """

    used: tuple[tuple[ClassicBuildpack, str], ...]
    types: object
    procfile: object
    reports: tuple[tuple[ClassicBuildpack, str], ...]
    seconds: float


def compile_slug(
    inputs: SlugInputs, root: BuildRoot, runner: Runner, paths: Paths, owner: tuple[int, int] | None, journal: Journal
) -> Compiled:
    """Build the app. ``owner`` is (uid, gid) of the build's user, None where one id stands for all.

    Tells the steps ``detect``, ``analysis`` and ``build``, then Discovering and TypesFound; setup, export and finish
    belong to the caller. On failure ``paths.app`` is what it was.
    """
    raise NotImplementedError


def test_app(
    inputs: SlugInputs, root: BuildRoot, runner: Runner, paths: Paths, owner: tuple[int, int] | None, journal: Journal
) -> int:
    """Build the app for its tests and run them; the tests' exit code."""
    raise NotImplementedError
