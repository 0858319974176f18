"""Slug builds on the command line: who says what happens, and ``pylife build --slug``."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.build_summary import show
from lifecycle.cli.options import parse_env, parse_memory, parse_pairs, parse_volumes
from lifecycle.errors import UsageError

if TYPE_CHECKING:
    from lifecycle.app.slug.image import ImageRequest
    from lifecycle.cli.command import Session
    from lifecycle.slug.moments import Journal


def journal(session: Session, log: str, silent: bool) -> Journal:
    """What shows the moments of a build: pylife's own words on stderr, another tool's on stdout as that tool does.

    ``silent`` keeps stdout free for the slug.
    """
    from lifecycle.slug.profiles import PROFILES, open_journal, open_json_journal

    on_stderr = silent or log == "pylife"

    def write(stream: str, line: str) -> None:
        if not session.quiet:
            session.renderer.pause()
            click.echo(line, err=on_stderr or stream == "stderr")

    if session.progress == "json":
        return open_json_journal(lambda _stream, line: write("stderr", line))
    profile = next((known for known in PROFILES if known == log), None)
    if profile is None:
        raise UsageError(f"{log!r} is no kind of log", fix=f"Choose one of {', '.join(PROFILES)}.")
    return open_journal(profile, write)


def classic_buildpacks(texts: Sequence[str]) -> tuple[str, ...]:
    """What -b names; a directory that is there is meant, however it is written, save by the name of one of pylife's
    own buildpacks."""
    from lifecycle.app.slug.defaults import ORDER

    return tuple(os.path.abspath(text) if text not in ORDER and os.path.isdir(text) else text for text in texts)


def build_slug_image(session: Session, options: dict[str, Any]) -> None:
    """``pylife build --slug``: compile the app with classic buildpacks and put it on the slugrunner image."""
    from lifecycle.app.slug.image import build_image
    from lifecycle.app.slug.order import SlugOrder, resolve

    began = time.monotonic()
    request = image_request(session, options)
    order = SlugOrder(
        app=str(options["app"]),
        buildpacks=classic_buildpacks(options["buildpacks"]),
        config_vars=parse_env(options["env"], options["env_file"]),
        cache="off" if options["no_cache"] else str(options["cache"]) if options["cache"] else None,
        clear_cache=options["clear_cache"],
        log="pylife",
    )
    slug, log = resolve(order, os.environ, session.ports)
    result = build_image(request, slug, session.ports, journal(session, log, True))
    show(session, options, request.image, result, time.monotonic() - began)


def image_request(session: Session, options: dict[str, Any]) -> ImageRequest:
    """The image that the options of ``pylife build`` or ``pylife slug to-image`` name; raises UsageError."""
    from lifecycle.app.slug.image import ImageRequest
    from lifecycle.archive import Profile
    from lifecycle.cli.commands.build import creation_time
    from lifecycle.phases.inputs import Limits

    names = [name for name in (options["image"], *options["tags"]) if name]
    if not names:
        raise UsageError("The image has no name", fix="Name it with --image NAME.")
    return ImageRequest(
        image=names[0],
        tags=tuple(names[1:]),
        push=options["push"],
        builder=options.get("builder"),
        run_image=options["run_image"],
        previous_image=options.get("previous_image"),
        default_process=options["default_process"],
        labels=parse_pairs(options["labels"], "--label"),
        annotations=parse_pairs(options["annotations"], "--annotation"),
        created=creation_time(options),
        profile=Profile.parse(session.settings.compression.value),
        limits=Limits(
            network="none" if options.get("network") == "none" else "host",
            memory=parse_memory(options.get("memory")),
            timeout=options.get("timeout"),
            mounts=parse_volumes(options.get("volumes", ())),
        ),
    )
