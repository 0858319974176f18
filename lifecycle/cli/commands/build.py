"""``pylife build``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.build_summary import show
from lifecycle.cli.command import Session, command, registry_flags, setting_flag
from lifecycle.cli.dockerfile_options import check_mode, dockerfile_options
from lifecycle.cli.foreign import arguments
from lifecycle.cli.options import (
    detect_options,
    env_options,
    limit_options,
    parse_detect,
    parse_pairs,
)
from lifecycle.errors import PylifeError, UsageError

if TYPE_CHECKING:
    from lifecycle.app.build import BuildRequest


@command(
    examples=[
        "pylife build --app ./src --image demo",
        "pylife build --app ./src --image localhost:5000/app -t localhost:5000/app:1",
        "pylife build --image oci:./out:1 --env PIP_INDEX_URL=https://packages.example/simple",
        "pylife build --app ./src --dockerfile ./src/Dockerfile --target test --image demo",
        "pylife build -f Dockerfile -t demo .",
    ],
    rewrite=arguments,
)
@click.argument("context", required=False)
@click.option("--image", "-i", metavar="NAME", help="The image to make; a registry's name is pushed.")
@click.option(
    "-t", "--tag", "--destination", "tags", multiple=True, metavar="NAME", help="Another name for it (repeatable)."
)
@click.option("--slug", is_flag=True, help="Build with Heroku-classic buildpacks (-b takes a URL or DIR then).")
@click.option("--push/--no-push", "--publish/--no-publish", "push", default=None, help="Push, or keep it local.")
@detect_options
@dockerfile_options
@env_options
@click.option("-D", "--default-process", metavar="TYPE", help="The process that the image starts by itself.")
@click.option("--process-type", "default_process", metavar="TYPE", hidden=True)
@click.option("--previous-image", metavar="NAME", help="Reuse layers of this image (default: the last build's).")
@click.option("--cache", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Keep the cache there.")
@click.option("--clear-cache", is_flag=True, help="Forget the cache before the build.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep a cache.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Set a label of the image.")
@click.option("--annotation", "annotations", multiple=True, metavar="K=V", help="Set an annotation of its manifest.")
@click.option("--creation-time", metavar="now|SECONDS", help="The image's time (default: SOURCE_DATE_EPOCH, or 1980).")
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write report.toml.")
@click.option(
    "--digest-file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write the digest."
)
@click.option("--metadata-file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write JSON.")
@click.option(
    "--sbom-output-dir", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Write the SBOMs there."
)
@limit_options
@registry_flags
@setting_flag("compression", "isolation", "cache_namespace")
def build(session: Session, /, **options: object) -> None:
    """Build an image from source code with buildpacks, or from a Dockerfile, without a daemon.

    The image stays in the local store under its name, and is pushed when the name says a registry. The source,
    CONTEXT or --app, is only read. A second build reuses every layer that did not change.
    """
    here = click.get_current_context()
    if options["context"] is not None:
        if here.get_parameter_source("app") is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--app and {options['context']} are both the context", fix="Give it once.")
        options["app"] = options["context"]
    check_mode(here, dockerfile=bool(options["dockerfiles"]), slug=bool(options["slug"]))
    if options["slug"]:
        from lifecycle.cli.slug_build import build_slug_image

        build_slug_image(session, options)
    elif options["dockerfiles"]:
        from lifecycle.cli.dockerfile_build import build_dockerfile

        build_dockerfile(session, options, _creation_time(options["creation_time"], "--creation-time"))
    elif options["image"] or options["tags"]:
        _build_with_buildpacks(session, options)
    else:
        raise UsageError("The image has no name", fix="Name it with --image NAME.")


def _build_with_buildpacks(session: Session, options: dict[str, object]) -> None:
    from lifecycle.app.build import build as build_image

    began = time.monotonic()
    request = _request(session, options)
    if found := _dockerfile_in(str(options["app"])):
        session.say(f"There is a {found.name}, but buildpacks build this; to build it, write --dockerfile {found}.")
    try:
        result = build_image(request, session.ports)
    except PylifeError as error:
        error.fix = _with_dockerfile(error, str(options["app"]))
        raise
    show(session, options, request.image, result, time.monotonic() - began)


def _with_dockerfile(error: PylifeError, app: str) -> str:
    """What to do about ``error``, where a Dockerfile may have been meant."""
    if error.code == "source.bad-archive" and app == "-":
        return f"Is it a Dockerfile? Write -f - then. {error.fix}"
    found = _dockerfile_in(app)
    if found and error.code == "detect.none":
        return f"There is a {found.name}: to build it, write --dockerfile {found}. {error.fix}"
    return error.fix


def _dockerfile_in(app: str) -> Path | None:
    places = (Path(app, name) for name in ("Dockerfile", "Containerfile"))
    return next((place for place in places if place.is_file()), None)


def _request(session: Session, options: dict[str, object]) -> BuildRequest:
    from lifecycle.app.build import BuildRequest
    from lifecycle.archive import Profile

    cache = options["cache"]
    names = [name for name in (options["image"], *options["tags"]) if name]  # type: ignore[misc]
    created = creation_time(options)
    if options["no_cache"] and (cache or options["clear_cache"]):
        raise UsageError("--no-cache cannot be combined with --cache or --clear-cache", fix="Drop one of them.")
    return BuildRequest(
        detect=parse_detect(options),
        image=str(names[0]),
        tags=tuple(str(name) for name in names[1:]),
        push=options["push"],  # type: ignore[arg-type]
        previous_image=options["previous_image"],  # type: ignore[arg-type]
        default_process=options["default_process"],  # type: ignore[arg-type]
        cache=cache.absolute() if isinstance(cache, Path) else None,
        clear_cache=bool(options["clear_cache"]),
        no_cache=bool(options["no_cache"]),
        labels=parse_pairs(options["labels"], "--label"),  # type: ignore[arg-type]
        annotations=parse_pairs(options["annotations"], "--annotation"),  # type: ignore[arg-type]
        created=created,
        profile=Profile.parse(session.settings.compression.value),
        sbom_dir=options["sbom_output_dir"],  # type: ignore[arg-type]
    )


def creation_time(options: dict[str, object]) -> int:
    """The image's time in seconds: as asked for, else SOURCE_DATE_EPOCH, else that of reproducible images."""
    from lifecycle.phases.inputs import EPOCH

    created = _creation_time(options["creation_time"], "--creation-time")
    if created is None:
        created = _creation_time(os.environ.get("SOURCE_DATE_EPOCH"), "SOURCE_DATE_EPOCH")
    return EPOCH if created is None else created


def _creation_time(text: object, where: str) -> int | None:
    """Seconds since 1970 of ``now`` or a number; None when nothing was given."""
    if not text:
        return None
    if text == "now":
        return int(time.time())
    if not str(text).isdigit() or int(str(text)) > 253402300799:
        raise UsageError(f"{text!r} is not a time", where=where, fix="Give whole seconds since 1970, or now.")
    return int(str(text))
