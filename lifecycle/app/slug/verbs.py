"""herokuish's verbs as functions: in a slug image on the container itself, elsewhere in the sandbox.

Source: herokuish, README "Commands" and include/{buildpack,slug,procfile}.bash.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lifecycle.app.engine import scratch
from lifecycle.app.ports import Ports
from lifecycle.app.slug.build import compile_app, prepare
from lifecycle.app.slug.defaults import ORDER
from lifecycle.app.slug.inside import check_inside
from lifecycle.app.slug.order import SlugOrder, open_site, resolve
from lifecycle.app.slug.site import NotWritable, container_paths
from lifecycle.errors import PylifeError, UsageError
from lifecycle.slug.archive import Slug, write_slug
from lifecycle.slug.detection import Choice, detect_all
from lifecycle.slug.fetch import fetch_buildpack
from lifecycle.slug.files import read_app_file
from lifecycle.slug.ignore import parse_slugignore
from lifecycle.slug.moments import Journal
from lifecycle.slug.pipeline import Build, Compiled, test_app
from lifecycle.slug.selection import parse_reference
from lifecycle.slug.targets import StdoutTarget, parse_target
from lifecycle.slug.transfer import send
from lifecycle.source.directory import copy_directory
from lifecycle.source.place import remove_tree

SLUG = "slug.tgz"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class NoSlug(PylifeError):
    """A slug was to be exported that was never generated."""

    code = "slug.not-generated"
    fix = "Generate it first: herokuish slug generate"


def build(order: SlugOrder, environment: Mapping[str, str], ports: Ports, journal: Journal) -> Compiled:
    """Build the app in this container: from IMPORT_PATH, or as it is in APP_PATH, where it is afterwards."""
    check_inside(environment, "buildpack build")
    with open_site(order, environment, ports) as site:
        return compile_app(resolve(order, environment, ports)[0], site, ports, journal)


def detect(order: SlugOrder, environment: Mapping[str, str], ports: Ports, journal: Journal) -> tuple[Choice, ...]:
    """Which buildpacks would build the app; nothing is compiled."""
    with open_site(order, environment, ports) as site, scratch(ports) as work, ExitStack() as held:
        request, _ = resolve(order, environment, ports)
        inputs = prepare(request, site, journal, work, held)
        owner = site.owner.chown
        with Build.open(inputs, site.root, site.runner, site.paths, owner, journal) as build:
            return detect_all(inputs.buildpacks, inputs.mode, build.around, journal)


def test(order: SlugOrder, environment: Mapping[str, str], ports: Ports, journal: Journal) -> int:
    """Build the app for its tests and run them (bin/test-compile and bin/test); the tests' exit code."""
    with open_site(order, environment, ports) as site, scratch(ports) as work, ExitStack() as held:
        request = replace(resolve(order, environment, ports)[0], environment="test")
        inputs = prepare(request, site, journal, work, held)
        return test_app(inputs, site.root, site.runner, site.paths, site.owner.chown, journal)


def buildpacks(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The buildpacks that are asked whether they take an app, in order: those installed, then pylife's own."""
    directory = Path(container_paths(environment).buildpacks)
    installed = sorted(item.name for item in directory.iterdir() if item.is_dir()) if directory.is_dir() else []
    return (*(name for name in installed if not name.startswith(".")), *ORDER)


def install(url: str, commit: str, name: str, environment: Mapping[str, str], ports: Ports) -> Path:
    """Put the buildpack at ``url`` among those installed, in place of one of that name; the directory it is in."""
    check_inside(environment, "buildpack install")
    reference = parse_reference(f"{url}#{commit}" if commit else url)
    if name and not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a buildpack", fix="Name it as its directory shall be: 10_python.")
    directory = Path(container_paths(environment).buildpacks)
    target = directory / (name or reference.name)
    with scratch(ports) as work:
        fetched = fetch_buildpack(reference, ports.remotes(), work / "buildpack")
        try:
            if os.path.lexists(target):
                remove_tree(target)
            copy_directory(fetched, target)
        except OSError as error:
            raise NotWritable(f"{target} cannot be written", why=error.strerror) from error
    return target


def generate(environment: Mapping[str, str]) -> tuple[Slug, tuple[str, ...]]:
    """Write the app in APP_PATH, without what .slugignore names, as the file SLUG in /tmp; and warnings of that file.

    When it fails, the slug that was there before stays.
    """
    check_inside(environment, "slug generate")
    app = Path(container_paths(environment).app)
    ignore = parse_slugignore(read_app_file(app, ".slugignore") or b"")
    new = _file().with_name(f"{SLUG}.new-{os.getpid()}")
    try:
        with open(new, "wb") as out:
            slug = write_slug(app, out, ignore=ignore.matches)
        new.replace(_file())
    finally:
        new.unlink(missing_ok=True)
    return slug, ignore.warnings


def export(url: str, environment: Mapping[str, str], ports: Ports) -> None:
    """Send the slug that was generated to ``url`` by PUT, or to standard output."""
    check_inside(environment, "slug export")
    if not _file().is_file():
        raise NoSlug("There is no slug to export", why=f"{_file()} does not exist")
    send(_file(), parse_target(url) if url else StdoutTarget(), ports.remotes(), stdout=sys.stdout.buffer)


def _file() -> Path:
    return Path(os.environ.get("TMPDIR") or "/tmp") / SLUG
