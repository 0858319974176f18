"""``pylife slug``: apps with Heroku-classic buildpacks."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from lifecycle.cli.build_summary import show
from lifecycle.cli.command import Group, Session, command, json_flag, registry_flags, setting_flag
from lifecycle.cli.options import env_options, limit_options, parse_env, parse_memory, parse_volumes
from lifecycle.cli.slug_build import classic_buildpacks, image_request, journal
from lifecycle.cli.slug_verbs import VERBS
from lifecycle.cli.text import size
from lifecycle.errors import UsageError

_LOGS = ("pylife", "slugbuilder", "slug-pilot", "herokuish")


@command(
    examples=[
        "pylife slug build --app ./src -o slug.tgz",
        "git archive HEAD | pylife slug build --app - > slug.tgz",
        "pylife slug build --buildpack https://git.example/team/buildpack.git#v2 -o s3://slugs/app/slug.tgz",
        "pylife slug build --cache ./cache --log slugbuilder -o slug.tgz",
    ]
)
@click.option("--app", "--context", default=None, metavar="PLACE", help="A directory, archive, URL or - (default: .).")
@click.option("-o", "--output", "outputs", multiple=True, metavar="PLACE", help="A file, -, an http URL or s3://….")
@click.option("--procfile-output", metavar="PLACE", help="Write the process types there, as YAML.")
@click.option("-b", "--buildpack", "buildpacks", multiple=True, metavar="URL|DIR", help="Use these, in this order.")
@env_options
@click.option("--env-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A file each variable.")
@click.option("--cache", metavar="PLACE", help="Keep the cache there: a folder, GET,PUT URLs, s3://…, docker://….")
@click.option("--clear-cache", is_flag=True, help="Forget the cache before the build.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep a cache.")
@click.option("--stack", metavar="NAME", help="The value of $STACK (default: the image's).")
@click.option("--builder", metavar="NAME", help="The image to build on (default: the slugbuilder).")
@click.option(
    "--source-version", metavar="TEXT", help="The value of $SOURCE_VERSION (default: the commit, of a git URL)."
)
@click.option("--max-size", metavar="SIZE", help="Refuse a larger slug (default: 1g; 0: never).")
@click.option("--log", type=click.Choice(_LOGS), help="Say it as this tool does (default: pylife).")
@limit_options
@registry_flags
@setting_flag("isolation")
@json_flag
def build(session: Session, /, **options: Any) -> None:
    """Build a slug from an app with classic buildpacks.

    Without any option, what the environment says is done, as in a platform's build pod: TAR_PATH, PUT_PATH, CACHE_PATH,
    SOURCE_GET_URL, SLUG_SET_URL, CACHE_GET_URL, CACHE_SET_URL, REQUIRED_BUILDPACKS, BUILDPACK_URL. An option comes
    before the variable that says the same.
    """
    from lifecycle.app.slug.order import SlugOrder, carry_out, is_ordered
    from lifecycle.slug.archive import parse_size

    env = _config_vars(options)
    outputs = options["outputs"]
    if not outputs and not is_ordered(os.environ):
        outputs = _standard_output()
    order = SlugOrder(
        app=options["app"],
        outputs=outputs,
        types=options["procfile_output"],
        buildpacks=classic_buildpacks(options["buildpacks"]),
        config_vars=env,
        cache="off" if options["no_cache"] else options["cache"],
        clear_cache=options["clear_cache"],
        stack=options["stack"],
        builder=options["builder"],
        source_version=options["source_version"],
        max_size=parse_size(options["max_size"]) if options["max_size"] is not None else None,
        log=options["log"],
        network="none" if options["network"] == "none" else "host",
        memory=parse_memory(options["memory"]),
        timeout=options["timeout"],
    )
    built = carry_out(order, os.environ, session.ports, partial(journal, session))
    if order.on_stdout:
        return
    if options["as_json"]:
        session.print_json(built.as_dict())
    else:
        session.print(f"{built.slug.digest}  {size(built.slug.size)}")


@command(
    examples=[
        "pylife slug run slug.tgz -p 8000",
        "cat slug.tgz | pylife slug run - start worker",
        "pylife slug run https://slugs.example/app.tgz -- python manage.py check",
        "pylife slug run slug.tgz bash",
    ]
)
@click.argument("words", metavar="SLUG [start TYPE|COMMAND]...", nargs=-1, type=click.UNPROCESSED)
@click.option("-p", "--port", metavar="[HOST:]PORT", help="Set the process's $PORT; it is reachable there.")
@env_options
@click.option("-v", "--volume", "volumes", multiple=True, metavar="SRC:DST[:ro]", help="Show SRC of the host as DST.")
@click.option("--image", metavar="NAME", help="The image to run it on (default: the slugrunner).")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user of the image.")
@limit_options
@registry_flags
@setting_flag("isolation")
def run(session: Session, /, **options: Any) -> int:
    """Run a process of a slug: of a type in its Procfile, or any command; without one, the web process.

    SLUG is a file, a URL, s3://…, or - for standard input; $SLUG_GET_URL or $SLUG_URL when it is left out.
    """
    from lifecycle.app.slug.inside import slug_place
    from lifecycle.app.slug.run import SlugRunRequest, run_slug
    from lifecycle.cli.commands.run import parse_port

    words, remotes = list(options["words"]), session.ports.remotes()
    if not words or words[0] == "start":
        slug, remotes = slug_place(os.environ, remotes)
    else:
        slug = words.pop(0)
    if not slug:
        raise UsageError("Which slug?", fix="Give its file or URL, - for standard input, or set SLUG_URL.")
    host, port = parse_port(options["port"])
    request = SlugRunRequest(
        slug=slug,
        args=tuple(words),
        env=parse_env(options["env"], options["env_file"]),
        image=options["image"],
        host=host,
        port=port,
        mounts=parse_volumes(options["volumes"]),
        user=options["user"],
        network="none" if options["network"] == "none" else "host",
        memory=parse_memory(options["memory"]),
        timeout=options["timeout"],
        remotes=remotes,
    )
    return run_slug(request, session.ports)


@command(
    name="to-image",
    examples=[
        "pylife slug to-image slug.tgz --image demo",
        "pylife slug to-image https://slugs.example/app.tgz -i localhost:5000/app",
    ],
)
@click.argument("slug_", metavar="SLUG")
@click.option("--image", "-i", metavar="NAME", help="The image to make; a registry's name is pushed.")
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME", help="Another name for it (repeatable).")
@click.option("--push/--no-push", "push", default=None, help="Push, or keep it local.")
@click.option("--run-image", metavar="NAME", help="The image to put it on (default: the slugrunner).")
@click.option("-D", "--default-process", metavar="TYPE", help="The process that the image starts by itself.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Set a label of the image.")
@click.option("--annotation", "annotations", multiple=True, metavar="K=V", help="Set an annotation of its manifest.")
@click.option("--creation-time", metavar="now|SECONDS", help="The image's time (default: SOURCE_DATE_EPOCH, or 1980).")
@registry_flags
@setting_flag("compression", "isolation")
def to_image(session: Session, /, **options: Any) -> None:
    """Put a slug on the slugrunner image: an app image with the slug's processes, which can be rebased."""
    from lifecycle.app.slug.image import to_image as make

    began = time.monotonic()
    request = image_request(session, options)
    result = make(request, options["slug_"], session.ports)
    none = dict.fromkeys(("report", "digest_file", "metadata_file"))
    show(session, {**options, **none}, request.image, result, time.monotonic() - began)


@command(name="from-image", examples=["pylife slug from-image demo -o slug.tgz", "pylife slug from-image demo > x.tgz"])
@click.argument("name", metavar="NAME")
@click.option("-o", "--output", "outputs", multiple=True, metavar="PLACE", help="A file, -, an http URL or s3://….")
@registry_flags
@setting_flag("isolation")
def from_image(session: Session, name: str, outputs: tuple[str, ...]) -> None:
    """Write the slug that an image was made from."""
    from lifecycle.app.slug.image import from_image as make
    from lifecycle.slug.targets import parse_target

    outputs = outputs or _standard_output()
    written = make(name, tuple(map(parse_target, outputs)), session.ports)
    if "-" not in outputs:
        session.print(f"{written.digest}  {size(written.size)}")


def _config_vars(options: dict[str, Any]) -> dict[str, str]:
    """The variables of --env-dir, --env-file and --env, the later ones winning."""
    env: dict[str, str] = {}
    if options["env_dir"] is not None:
        for file in sorted(options["env_dir"].iterdir()):
            if file.is_file() and not file.name.startswith("."):
                env[file.name] = file.read_bytes().decode(errors="surrogateescape")
    return {**env, **parse_env(options["env"], options["env_file"])}


def _standard_output() -> tuple[str, ...]:
    """Where the slug goes when no place is named: into the pipe, as with the family's builders."""
    if sys.stdout.isatty():
        raise UsageError("Where shall the slug go?", fix="Name a file with -o slug.tgz, a URL, or -.")
    return ("-",)


slug = Group(
    name="slug",
    help="Build and run apps with Heroku-classic buildpacks.",
    commands=[build, run, to_image, from_image, *VERBS],
)
