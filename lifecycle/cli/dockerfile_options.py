"""The options of ``pylife build --dockerfile``, and what their texts mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lifecycle.cli.options import parse_env, parse_memory, parse_pairs
from lifecycle.errors import UsageError

if TYPE_CHECKING:
    from lifecycle.app.dockerfile.request import DockerfileRequest
    from lifecycle.cli.command import Session

F = TypeVar("F", bound=Callable[..., Any])

DOCKERFILE_ONLY: Mapping[str, str] = {
    "target": "--target",
    "build_args": "--build-arg",
    "build_arg_files": "--build-arg-file",
    "build_contexts": "--build-context",
    "context_sub_path": "--context-sub-path",
    "ignore_file": "--ignorefile",
    "secrets": "--secret",
    "ssh": "--ssh",
    "allow": "--allow",
    "allow_degraded": "--allow-degraded",
    "no_cache_filter": "--no-cache-filter",
    "cache_from": "--cache-from",
    "cache_to": "--cache-to",
    "cache_repo": "--cache-repo",
    "cache_ttl": "--cache-ttl",
    "explain_cache": "--explain-cache",
    "check": "--check",
    "outputs": "--output",
    "iidfile": "--iidfile",
    "name_digest_file": "--image-name-with-digest-file",
    "name_tag_digest_file": "--image-name-tag-with-digest-file",
    "platforms": "--platform",
    "pull": "--pull",
    "jobs": "--jobs",
    "keep_failed": "--keep-failed",
}
"""Parameters that mean something only with --dockerfile, and how they are spelled."""

BUILDPACK_ONLY: Mapping[str, str] = {
    "builder": "--builder",
    "buildpacks": "--buildpack",
    "run_image": "--run-image",
    "descriptor": "--descriptor",
    "volumes": "--volume",
    "bindings": "--binding",
    "env": "--env",
    "env_file": "--env-file",
    "default_process": "--default-process",
    "previous_image": "--previous-image",
    "cache": "--cache",
    "clear_cache": "--clear-cache",
    "cache_namespace": "--cache-namespace",
    "report": "--report",
    "sbom_output_dir": "--sbom-output-dir",
}
"""Parameters that mean something only for buildpacks."""

NOT_FOR_SLUGS: Mapping[str, str] = {
    "descriptor": "--descriptor",
    "bindings": "--binding",
    "cache_namespace": "--cache-namespace",
    "sbom_output_dir": "--sbom-output-dir",
}
"""Parameters of buildpack builds that classic buildpacks know nothing of."""

_FIXES = {
    "env": "A Dockerfile gets its variables from ARG: use --build-arg NAME=VALUE.",
    "env_file": "A Dockerfile gets its variables from ARG: use --build-arg-file FILE.",
    "volumes": "Use --build-context NAME=DIR with RUN --mount=type=bind,from=NAME.",
    "bindings": "Use --secret id=NAME,src=FILE with RUN --mount=type=secret,id=NAME.",
    "run_image": "The base of a Dockerfile's image is in its FROM.",
    "cache": "Use --cache-to and --cache-from with type=local.",
    "cache_namespace": "What RUN --mount=type=cache keeps is named by its id: use another id for others.",
    "clear_cache": "Use --no-cache.",
}


PULL = ("always", "newer", "missing", "never")
"""When the registry is asked for a base image."""


class _When(click.Choice[str]):
    """One of PULL, or a truth value as docker build has it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        spelled = {"true": "always", "1": "always", "false": "missing", "0": "missing", "ifmissing": "missing"}
        spelled["ifnewer"] = "newer"
        return super().convert(spelled.get(str(value).lower(), str(value).lower()), param, ctx)


def dockerfile_options(function: F) -> F:
    """Every option that only a Dockerfile build has, and ``--dockerfile`` itself."""
    file = click.Path(path_type=Path, dir_okay=False)
    options = [
        click.option(
            "-f", "--dockerfile", "--file", "dockerfiles", multiple=True, metavar="FILE",
            help="Build this Dockerfile, - for stdin (repeatable: one after the other), instead of using buildpacks.",
        ),
        click.option("--target", metavar="STAGE", help="Build up to this stage (default: the last)."),
        click.option(
            "--build-arg", "build_args", multiple=True, metavar="K[=V]", help="Set a build argument (K alone: yours)."
        ),
        click.option(
            "--build-arg-file", "build_arg_files", multiple=True, metavar="FILE",
            type=click.Path(exists=True, dir_okay=False), help="Build arguments as K=V lines.",
        ),
        click.option(
            "--build-context", "build_contexts", multiple=True, metavar="NAME=PLACE",
            help="A further context: a directory, git, http(s), docker-image://NAME, oci-layout://DIR.",
        ),
        click.option("--context-sub-path", metavar="PATH", default="", help="The context is this folder of --app."),
        click.option("--ignorefile", "ignore_file", metavar="FILE", type=file, help="Instead of .dockerignore."),
        click.option(
            "--secret", "secrets", multiple=True, metavar="id=ID[,src=FILE|,env=NAME]", help="For --mount=type=secret."
        ),
        click.option("--ssh", multiple=True, metavar="default|ID[=SOCKET|KEY]", help="For RUN --mount=type=ssh."),
        click.option(
            "--allow", multiple=True, type=click.Choice(["network.host", "security.insecure"]),
            help="Let RUN have it when it asks.",
        ),
        click.option("--allow-degraded", is_flag=True, help="Go on where the sandbox cannot give what RUN asks."),
        click.option("--no-cache-filter", multiple=True, metavar="STAGE", help="Build these stages anew."),
        click.option("--cache-from", multiple=True, metavar="NAME|type=…", help="Look for steps there too."),
        click.option("--cache-to", multiple=True, metavar="NAME|type=…", help="Put the steps there too."),
        click.option("--cache-repo", metavar="NAME", help="A repository with one image a step: used and filled."),
        click.option("--cache-ttl", metavar="DURATION", help="Older steps do not count (default: 336h)."),
        click.option("--explain-cache", is_flag=True, help="Tell for each step whether it was found, and why not."),
        click.option("--check", is_flag=True, help="Check the Dockerfile and build nothing."),
        click.option(
            "-o", "--output", "outputs", multiple=True, metavar="DIR|type=…",
            help="Also write oci, docker, tar, local, registry (type=…,dest=…).",
        ),
        click.option("--iidfile", metavar="FILE", type=file, help="Write the image's ID (its config's digest)."),
        click.option("--image-name-with-digest-file", "name_digest_file", type=file, hidden=True),
        click.option("--image-name-tag-with-digest-file", "name_tag_digest_file", type=file, hidden=True),
        click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH[,…]", help="Build for these."),
        click.option(
            "--pull", metavar="WHEN", type=_When(PULL), default="missing",
            help="Ask the registry for base images: always (--pull alone), newer (the store's will do when it "
            "cannot be asked), missing (the default) or never.",
        ),
        click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Steps at once (default: one a CPU)."),
        click.option("--keep-failed", is_flag=True, help="Keep the root filesystem of a step that failed."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def check_mode(context: click.Context, *, dockerfile: bool, slug: bool) -> None:
    """Refuse options of another kind of build; raises UsageError."""
    if dockerfile and slug:
        raise UsageError("--slug and --dockerfile are two kinds of build", fix="Give one of them.")
    wrong = BUILDPACK_ONLY if dockerfile else {**DOCKERFILE_ONLY, **(NOT_FOR_SLUGS if slug else {})}
    for name, spelled in wrong.items():
        source = context.get_parameter_source(name)
        if source is None or source in (click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP):
            continue
        if dockerfile:
            raise UsageError(
                f"{spelled} is for buildpacks and means nothing with --dockerfile",
                fix=_FIXES.get(name, f"Leave {spelled} out, or build without --dockerfile."),
            )
        if slug:
            raise UsageError(
                f"{spelled} means nothing with --slug", fix=f"Leave {spelled} out, or build without --slug."
            )
        raise UsageError(
            f"{spelled} means something only with --dockerfile", fix="Add --dockerfile FILE, for example -f Dockerfile."
        )


def parse_dockerfile(session: Session, options: Mapping[str, Any], created: int | None) -> DockerfileRequest:
    """The request that the options make; raises UsageError."""
    from lifecycle.app.dockerfile.request import DockerfileRequest

    names = tuple(dict.fromkeys(name for name in (options["image"], *options["tags"]) if name))
    if not (names or options["outputs"] or options["check"]):
        raise UsageError("The image has no name", fix="Name it with --image NAME, or say where to write it: --output.")
    return DockerfileRequest(
        context=str(options["app"]),
        sub_path=options["context_sub_path"],
        files=options["dockerfiles"],
        ignore_file=options["ignore_file"],
        names=names,
        push=options["push"],
        target=options["target"],
        build_args=parse_env(options["build_args"], options["build_arg_files"]),
        contexts=options["build_contexts"],
        secrets=options["secrets"],
        ssh=options["ssh"],
        allowed=frozenset(options["allow"]),
        allow_degraded=options["allow_degraded"],
        no_cache=options["no_cache"],
        no_cache_stages=tuple(name for text in options["no_cache_filter"] for name in text.split(",") if name),
        cache_from=options["cache_from"],
        cache_to=options["cache_to"],
        cache_repo=options["cache_repo"],
        cache_ttl=_seconds(options["cache_ttl"]),
        outputs=options["outputs"],
        platforms=tuple(name for text in options["platforms"] for name in text.split(",") if name),
        labels=parse_pairs(options["labels"], "--label"),
        annotations=parse_pairs(options["annotations"], "--annotation"),
        created=created,
        pull=options["pull"],
        jobs=options["jobs"],
        keep_failed=options["keep_failed"],
        network=options["network"],
        memory=parse_memory(options["memory"]),
        timeout=options["timeout"],
        compression=session.settings.compression.value,
    )


def _seconds(text: str | None) -> float | None:
    """Seconds of ``336h``, ``1h30m`` or ``90s``."""
    import re

    if text is None:
        return None
    if not re.fullmatch(r"(\d+(\.\d+)?[hms])+", text.strip()):
        raise UsageError(f"{text!r} is not a duration", where="--cache-ttl", fix="Write it as 336h, 90m or 1h30m.")
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", text))
