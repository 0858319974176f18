"""``pylife login``."""

from __future__ import annotations

import sys

import click

from lifecycle.cli.command import Session, command, registry_flags
from lifecycle.errors import UsageError


@command(
    examples=[
        "pylife login localhost:5000 --username me",
        "pass show reg | pylife login reg.example -u me --password-stdin",
    ]
)
@click.argument("registry", default="docker.io")
@click.option("-u", "--username", metavar="NAME", help="Who you are there; asked for when not given.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin; it is asked for when not given.")
@registry_flags
def login(session: Session, registry: str, username: str | None, password_stdin: bool) -> None:
    """Try credentials at REGISTRY (docker.io when not given), and keep them where docker and podman keep theirs."""
    from lifecycle.app.ports import registry_settings
    from lifecycle.app.registries import parse_registry
    from lifecycle.registry.login import login as keep

    host = parse_registry(registry)
    settings = registry_settings(session.settings)
    if not password_stdin and not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask for a password", fix="Give it with --password-stdin.")
    if password_stdin:
        if username is None:
            raise UsageError("--password-stdin needs a user", fix="Add --username NAME.")
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        username = username or click.prompt("User name", err=True)
        password = click.prompt("Password", hide_input=True, err=True)
    where = keep(host, username, password, settings=settings, sink=session.renderer)
    session.print(f"Logged in to {host} as {username}; the credentials are in {where}.")
