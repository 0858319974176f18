"""``pylife logout``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command


@command(examples=["pylife logout localhost:5000"])
@click.argument("registry", default="docker.io")
def logout(session: Session, registry: str) -> None:
    """Remove the credentials for REGISTRY (docker.io when not given) that `pylife login` or docker kept."""
    from lifecycle.app.registries import parse_registry
    from lifecycle.registry.login import logout as forget

    host = parse_registry(registry)
    where = forget(host, sink=session.renderer)
    session.print(f"Removed the credentials for {host} from {where}." if where else f"There were none for {host}.")
