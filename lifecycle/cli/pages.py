"""The pages of the error codes: ``docs/errors`` in a checkout, ``share/errors`` in an installed package."""

from __future__ import annotations

from pathlib import Path

import lifecycle
from lifecycle.cli.text import suggestion
from lifecycle.errors import PylifeError


class UnknownCode(PylifeError):
    """There is no page for an error code."""

    code = "explain.unknown-code"
    exit_code = 2
    fix = "`pylife explain` lists the codes."


def folder() -> Path:
    """Where the pages are."""
    package = Path(lifecycle.__file__).parent
    installed = package / "share" / "errors"
    return installed if installed.is_dir() else package.parent / "docs" / "errors"


def titles() -> dict[str, str]:
    """Code → title of every page, in order."""
    return {path.stem: _title(path) for path in sorted(folder().glob("*.md"))}


def page(code: str) -> str:
    """The page of ``code``; raises UnknownCode with the near one."""
    known = titles()
    if code not in known:
        raise UnknownCode(f"There is no error code {code!r}", fix=suggestion(code, list(known), UnknownCode.fix))
    return (folder() / f"{code}.md").read_text().rstrip()


def _title(path: Path) -> str:
    with path.open() as file:
        return file.readline().lstrip("#").strip()
