"""The program: parse the command line, run one command, show how it ended."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

import click

from lifecycle.cli.command import Group, Session, Terminated
from lifecycle.cli.failure import as_pylife_error, internal_error
from lifecycle.cli.table import BY_NAME, ROWS

INTERRUPTED = 130


class Program(Group):
    """``pylife``: a group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [row.name for row in ROWS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        row = BY_NAME.get(name)
        if row is None:
            return None
        command = getattr(importlib.import_module(row.module), row.name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for task in dict.fromkeys(row.task for row in ROWS):
            with formatter.section(task):
                formatter.write_dl([(row.name, row.summary) for row in ROWS if row.task == task], col_max=12)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            formatter.write_text("pylife build --app ./src --image localhost:5000/app")


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from lifecycle import __version__

        click.echo(f"pylife {__version__}")
        ctx.exit()


def program() -> Program:
    """The whole command line, as one click command."""
    return Program(
        name="pylife",
        help="Source code to OCI images, without a daemon.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        params=[
            click.Option(
                ["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_print_version,
                help="Show the version.",
            )
        ],
    )


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; everything a user sees of a failure is printed here."""
    session = Session()
    try:
        with session:
            result = program().main(
                args=list(arguments) if arguments is not None else None,
                prog_name="pylife",
                standalone_mode=False,
                obj=session,
            )
        if sys.stdout is not None:  # closed by who started this
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        # Whoever read stdout has gone; the interpreter's own flush at exit must find nothing to complain about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, click.Abort):
        session.renderer.note("interrupted")
        return INTERRUPTED
    except Terminated:
        session.renderer.note("terminated")
        return 128 + signal.SIGTERM
    except Exception as error:
        known = as_pylife_error(error)
        if known is None:
            known = internal_error(error, show=session.verbose)
        session.renderer.error(known)
        return known.exit_code
