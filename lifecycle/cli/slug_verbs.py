"""herokuish's verbs below ``pylife slug``: the same words, for scripts and pods that know them."""

from __future__ import annotations

import os
from typing import Any

import click

from lifecycle.cli.command import Group, Session, command, setting_flag
from lifecycle.cli.options import env_options, parse_env
from lifecycle.cli.slug_build import classic_buildpacks, journal
from lifecycle.errors import UsageError

_APP = click.option("--app", metavar="PLACE", help="The app (default: in a slug image /tmp/app or /app, else .).")
_BUILDPACKS = click.option(
    "-b", "--buildpack", "buildpacks", multiple=True, metavar="URL|DIR", help="Use these, in this order."
)
_WORDS = {"allow_interspersed_args": False}
"""What follows the first word is another program's, options too."""


@command(name="build", examples=["herokuish buildpack build", "pylife run pylife/slugbuilder -- /build"])
@_BUILDPACKS
@env_options
def buildpack_build(session: Session, **options: Any) -> None:
    """In a slug image: build the app that is in /tmp/app, or in /app, where it is afterwards."""
    from lifecycle.app.slug.verbs import build

    build(_order(options), os.environ, session.ports, journal(session, _log(), False))


@command(name="detect", examples=["pylife slug buildpack detect --app ./src"])
@_APP
@_BUILDPACKS
@env_options
@setting_flag("isolation")
def buildpack_detect(session: Session, **options: Any) -> None:
    """Name the buildpack that would build the app, and the others that could."""
    from lifecycle.app.slug.site import is_inside
    from lifecycle.app.slug.verbs import detect

    silent = not is_inside(os.environ)  # there herokuish's own line is looked for on standard output
    for choice in detect(_order(options), os.environ, session.ports, journal(session, _log(), silent)):
        session.print(choice.kind or choice.buildpack.name)


@command(name="test", examples=["pylife slug buildpack test --app ./src"])
@_APP
@_BUILDPACKS
@env_options
@setting_flag("isolation")
def buildpack_test(session: Session, **options: Any) -> int:
    """Build the app for its tests and run them; the exit code is theirs."""
    from lifecycle.app.slug.verbs import test

    return test(_order(options), os.environ, session.ports, journal(session, _log(), False))


@command(name="list", examples=["pylife slug buildpack list"])
def buildpack_list(session: Session) -> None:
    """List the buildpacks in the order in which they are asked whether they take an app."""
    from lifecycle.app.slug.verbs import buildpacks

    for name in buildpacks(os.environ):
        session.print(name)


@command(name="install", examples=["herokuish buildpack install https://git.example/team/buildpack.git v2 10_team"])
@click.argument("url")
@click.argument("commit", default="")
@click.argument("name", default="")
def buildpack_install(session: Session, url: str, commit: str, name: str) -> None:
    """In a slug image: put a buildpack in front of those that are asked."""
    from lifecycle.app.slug.verbs import install

    session.print(str(install(url, commit, name, os.environ, session.ports)))


@command(name="start", examples=["/start web", "herokuish procfile start worker"], context_settings=_WORDS)
@click.argument("words", metavar="TYPE [ARGS]...", nargs=-1, required=True, type=click.UNPROCESSED)
def procfile_start(session: Session, words: tuple[str, ...]) -> None:
    """In a slug image: become the process of that type of the app."""
    from lifecycle.app.slug.inside import start

    start(("start", *words), os.environ)


@command(
    name="exec", examples=["/exec python manage.py check", "herokuish procfile exec ls -la"], context_settings=_WORDS
)
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def procfile_exec(session: Session, words: tuple[str, ...]) -> None:
    """In a slug image: become a command in the environment of the app."""
    from lifecycle.app.slug.inside import start

    start(words, os.environ)


@command(name="parse", examples=["pylife slug procfile parse web", "APP_PATH=./src pylife slug procfile parse worker"])
@click.argument("kind", metavar="[TYPE]", default="")
@click.option(
    "--app",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="The app (default: APP_PATH; in a slug image /app, else .).",
)
def procfile_parse(session: Session, kind: str, app: str | None) -> None:
    """Print the command of a process type; without one, all types with their commands."""
    from lifecycle.app.slug.inside import ROOT
    from lifecycle.app.slug.site import container_paths, is_inside
    from lifecycle.slug.procfile import parse_procfile
    from lifecycle.slug.start import command_of, commands

    own = os.environ.get("APP_PATH") or (container_paths(os.environ).app if is_inside(os.environ) else ".")
    place = os.path.abspath(app or own)
    if (raw := ROOT.read(f"{place}/Procfile")) is not None:
        for warning in parse_procfile(raw, "herokuish").warnings:
            session.say(warning)
    if kind:
        session.print(command_of(ROOT, place, kind))
        return
    found = commands(ROOT, place)
    if not found and raw is None:
        session.say(f"There is no Procfile in {place}, and no buildpack has left process types there.")
    for name, text in found.items():
        session.print(f"{name}: {text}")


@command(name="init", examples=["/runner/init start web", "/runner/init bash"], context_settings=_WORDS)
@click.argument("words", metavar="[start TYPE|COMMAND]...", nargs=-1, type=click.UNPROCESSED)
def init(session: Session, words: tuple[str, ...]) -> None:
    """In a slug image: take the slug (of the image, of SLUG_URL or from standard input) and become a process of it."""
    from lifecycle.app.slug.inside import init as begin

    begin(words, os.environ, session.ports)


@command(name="import", examples=["herokuish slug import https://slugs.example/app.tgz"])
@click.argument("url", default="-")
def import_(session: Session, url: str) -> None:
    """In a slug image: unpack a slug (of a URL, or from standard input) as the app."""
    from lifecycle.app.slug.inside import check_inside, import_slug
    from lifecycle.app.slug.site import container_paths

    check_inside(os.environ, "slug import")
    import_slug(url, container_paths(os.environ).app, os.environ, session.ports)


@command(examples=["herokuish slug generate"])
def generate(session: Session) -> None:
    """In a slug image: write the app as a slug, without what .slugignore names."""
    from lifecycle.app.slug.verbs import generate as make
    from lifecycle.slug.profiles.lines import du

    slug, warnings = make(os.environ)
    for warning in warnings:
        session.say(warning)
    session.print(f"-----> Compiled slug size is {du(slug.size)}")


@command(examples=["herokuish slug export https://slugs.example/app.tgz", "herokuish slug export > slug.tgz"])
@click.argument("url", default="")
def export(session: Session, url: str) -> None:
    """In a slug image: send the slug that was generated to a URL by PUT, or to standard output."""
    from lifecycle.app.slug.verbs import export as send

    send(url, os.environ, session.ports)


@command(examples=["pylife slug paths"])
def paths(session: Session) -> None:
    """Print where things stand in a slug build."""
    from lifecycle.app.slug.site import container_paths

    for name, path in container_paths(os.environ).variables().items():
        session.print(f"{name}={path}")


@command(examples=["herokuish test", "herokuish test /health ok"])
@click.argument("path", default="/")
@click.argument("expected", default="")
def test(session: Session, path: str, expected: str) -> None:
    """In a slug image: build the app, start its web process and ask it for PATH; the answer must hold EXPECTED."""
    from lifecycle.app.slug.order import SlugOrder
    from lifecycle.app.slug.trial import trial

    trial(path, expected, SlugOrder(), os.environ, session.ports, journal(session, _log(), False), session.print)


@command(hidden=True, examples=["herokuish version"])
def version(session: Session) -> None:
    """Print which pylife this is, and the buildpacks that it asks."""
    from lifecycle import __version__
    from lifecycle.app.slug.verbs import buildpacks

    session.print(f"herokuish: pylife {__version__}")
    session.print("buildpacks:")
    for name in buildpacks(os.environ):
        session.print(f"  {name}")


@command(name="help", hidden=True, examples=["herokuish help", "herokuish help slug export"])
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
def help_(session: Session, words: tuple[str, ...]) -> None:
    """List the commands, or tell what one does."""
    context = click.get_current_context().parent
    assert context is not None
    for number, word in enumerate(words, 1):
        group = context.command
        found = group.get_command(context, word) if isinstance(group, click.Group) else None
        if found is None:
            raise UsageError(f"No such command: {' '.join(words[:number])}", fix="`herokuish help` lists all.")
        context = click.Context(found, info_name=word, parent=context)
    session.print(context.get_help())


def _order(options: dict[str, Any]) -> Any:
    from lifecycle.app.slug.order import SlugOrder

    return SlugOrder(
        app=options.get("app"),
        buildpacks=classic_buildpacks(options["buildpacks"]),
        config_vars=parse_env(options["env"], options["env_file"]),
        cache="off" if options.get("app") else None,
    )


def _log() -> str:
    return os.environ.get("PYLIFE_SLUG_LOG") or "herokuish"


buildpack = Group(
    name="buildpack",
    help="Who would build an app, and its tests: herokuish's buildpack verbs.",
    commands=[buildpack_build, buildpack_install, buildpack_list, buildpack_detect, buildpack_test],
)
procfile = Group(
    name="procfile",
    help="An app's process types and processes: herokuish's procfile verbs.",
    commands=[procfile_start, procfile_exec, procfile_parse],
)
_SLUG = Group(name="slug", help="herokuish's slug verbs.", hidden=True, commands=[import_, generate, export])
"""`herokuish slug import` is `pylife slug slug import`."""
VERBS = [buildpack, procfile, _SLUG, init, import_, generate, export, paths, test, version, help_]
