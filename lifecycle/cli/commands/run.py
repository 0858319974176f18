"""``pylife run``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command, platform_flag, registry_flags, setting_flag
from lifecycle.cli.options import (
    binding_option,
    env_options,
    limit_options,
    parse_bindings,
    parse_env,
    parse_memory,
    parse_volumes,
)
from lifecycle.errors import UsageError


@command(
    examples=[
        "pylife run demo -p 8000",
        "pylife run localhost:5000/app --process worker -e DEBUG=1",
        "pylife run demo --entrypoint bash -- -c 'ls /workspace'",
        "pylife run --failed 5f1c09ab",
    ]
)
@click.argument("words", metavar="NAME [ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--failed", metavar="ID", help="Open what `build --keep-failed` kept, instead of an image: NAME is none.")
@click.option("--process", metavar="TYPE", help="The process to start (default: the image's default process).")
@click.option("-p", "--port", metavar="[HOST:]PORT", help="Set the process's $PORT; it is reachable there.")
@env_options
@click.option("-v", "--volume", "volumes", multiple=True, metavar="SRC:DST[:ro]", help="Show SRC of the host as DST.")
@binding_option
@click.option("--entrypoint", metavar="PROGRAM", help="Start this program instead of the image's entrypoint.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user of the image.")
@click.option("-w", "--workdir", metavar="DIR", help="Start in this directory of the image.")
@limit_options
@platform_flag
@registry_flags
@setting_flag("isolation")
def run(
    session: Session,
    words: tuple[str, ...],
    failed: str | None,
    process: str | None,
    port: str | None,
    env: tuple[str, ...],
    env_file: tuple[str, ...],
    volumes: tuple[str, ...],
    bindings: tuple[str, ...],
    entrypoint: str | None,
    user: str | None,
    workdir: str | None,
    network: str,
    memory: str | None,
    timeout: float | None,
    platform: str | None,
) -> int:
    """Run a process of an image in the sandbox, forward signals to it, and return its exit code.

    The process shares the host's network, runs as the image's user, and nothing it writes is kept.
    """
    if failed is not None:
        _refuse_beside_failed(click.get_current_context())
        from lifecycle.app.dockerfile.failed import open_failed

        return open_failed(failed, words, session.ports)
    if not words:
        raise UsageError("Which image?", fix="Give its name; `pylife images` lists those of the local store.")
    name, *args = words
    from lifecycle.app.run import RunRequest
    from lifecycle.app.run import run as run_image
    from lifecycle.oci import Platform

    host, number = parse_port(port)
    variables = parse_env(env, env_file)
    request = RunRequest(
        name=name,
        process=process,
        args=tuple(args),
        entrypoint=entrypoint,
        env=variables,
        host=host,
        port=number,
        mounts=parse_volumes(volumes),
        bindings=parse_bindings(bindings, variables),
        user=user,
        workdir=workdir,
        network="none" if network == "none" else "host",
        memory=parse_memory(memory),
        timeout=timeout,
        platform=Platform.parse(platform) if platform else None,
    )
    return run_image(request, session.ports)


def _refuse_beside_failed(context: click.Context) -> None:
    """A failed step is opened as its command ran: nothing about that can be chosen. Raises UsageError."""
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in ("words", "failed", "isolation") or not isinstance(parameter, click.Option):
            continue
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE and name in context.params:
            raise UsageError(
                f"{parameter.opts[-1]} cannot be given with --failed",
                why="the step's own directory, user and variables are used",
                fix="Leave it out.",
            )


def parse_port(text: str | None) -> tuple[str, int | None]:
    """The host and number in ``[HOST:]PORT``; ("", None) without. Raises UsageError."""
    if text is None:
        return "", None
    host, _, number = text.rpartition(":")
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise UsageError(f"{text!r} is not a port", fix="Write it as PORT or HOST:PORT, for example -p 8000.")
    return host.strip("[]"), int(number)
