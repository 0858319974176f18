"""The pages of error codes and checks: ``docs`` in a checkout, ``share`` in an installed package."""

from __future__ import annotations

from pathlib import Path

from lifecycle.builder.share import shared
from lifecycle.cli.text import suggestion
from lifecycle.errors import PylifeError


class UnknownCode(PylifeError):
    """There is no page for an error code."""

    code = "explain.unknown-code"
    exit_code = 2
    fix = "`pylife explain` lists the codes."


def titles() -> dict[str, str]:
    """Code → title of every page: the errors in order, then the checks of Dockerfiles."""
    return {path.stem: _title(path) for path in _pages().values()}


def page(code: str) -> str:
    """The page of an error code, or of a check by its name; raises UnknownCode with the near one."""
    known = _pages()
    if code not in known:
        raise UnknownCode(f"There is no error code {code!r}", fix=suggestion(code, list(known), UnknownCode.fix))
    return known[code].read_text().rstrip()


def _pages() -> dict[str, Path]:
    return {path.stem: path for kind in ("errors", "checks") for path in sorted(shared(kind).glob("*.md"))}


def _title(path: Path) -> str:
    with path.open() as file:
        return file.readline().lstrip("#").strip()
