"""``pylife explain``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command
from lifecycle.cli.pages import page, titles
from lifecycle.cli.text import pairs


@command(examples=["pylife explain registry.unauthorized", "pylife explain UndefinedVar", "pylife explain"], early=True)
@click.argument("code", required=False)
def explain(session: Session, code: str | None) -> None:
    """Show the page of an error code, or of a check: what happened, why, and what to do. Without CODE, list them."""
    session.print(page(code) if code else pairs(titles().items()))
