"""``pylife registry``."""

from __future__ import annotations

import errno
from pathlib import Path

import click

from lifecycle.cli.command import Group, Session, Terminated, command
from lifecycle.errors import PylifeError


class PortTaken(PylifeError):
    """The registry cannot listen on the port that was asked for."""

    code = "registry.port-taken"
    fix = "Choose another one with --port (0 picks a free one), or end what listens there."


@command(examples=["pylife registry serve", "pylife registry serve --dir ./registry --port 0"])
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="Keep the images there (default: a temporary folder)."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=5000, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 picks a free one."
)
def serve(session: Session, folder: Path | None, host: str, port: int) -> None:
    """Serve a small registry until interrupted.

    It is meant for development and tests: it asks for no credentials and speaks plain HTTP. Its URL is printed on
    stdout as soon as it listens.
    """
    from lifecycle.registry.server import RegistryServer

    try:
        server = RegistryServer(folder, host=host, port=port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise
        raise PortTaken(f"The registry cannot listen on {host}:{port}", why=error.strerror) from error
    try:
        session.print(server.url)
        server.serve_forever()
    except (KeyboardInterrupt, Terminated):
        return
    finally:
        server.close()


registry = Group(name="registry", help="Serve a small registry for development and tests.", commands=[serve])
