"""Every error that a user can meet has a code, a fix and a page; every page has something that leads to it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import lifecycle
from lifecycle.errors import PylifeError

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "errors"
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)?")


def error_classes() -> list[type[PylifeError]]:
    """The root and every subclass in the package, in a stable order."""
    for module in pkgutil.walk_packages(lifecycle.__path__, "lifecycle."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: set[type[PylifeError]] = set()
    waiting = [PylifeError]
    while waiting:
        error = waiting.pop()
        found.add(error)
        waiting += error.__subclasses__()
    return sorted(
        (error for error in found if error.__module__.startswith("lifecycle.") and error is not PylifeError),
        key=lambda error: f"{error.__module__}.{error.__qualname__}",
    )


CLASSES = error_classes()


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__qualname__)
def test_error_class_has_code_fix_and_page(error: type[PylifeError]) -> None:
    assert "code" in vars(error), f"{error.__qualname__} has no code of its own"
    assert CODE.fullmatch(error.code), error.code
    assert error.__doc__, f"{error.__qualname__} has no docstring"
    assert isinstance(error.fix, str)
    assert error.fix.strip(), f"{error.__qualname__} says nothing about what to do"
    assert (PAGES / f"{error.code}.md").is_file(), f"docs/errors/{error.code}.md is missing"


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in CLASSES]
    assert sorted(codes) == sorted(set(codes))


def test_every_page_is_led_to_by_an_error_or_a_buildpack() -> None:
    codes = {error.code for error in CLASSES}
    sources = [path for path in (ROOT / "buildpacks").rglob("*") if path.is_file()]
    buildpacks = "\n".join(path.read_text(errors="replace") for path in sources)
    lost = [path.stem for path in PAGES.glob("*.md") if path.stem not in codes and path.stem not in buildpacks]
    assert not lost


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_page_has_a_title_and_a_body(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) >= 8, "too short to help"
