"""The build checks, one rule a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.dockerfile.lint.engine import check as check
    from lifecycle.dockerfile.lint.options import BadCheckOption as BadCheckOption
    from lifecycle.dockerfile.lint.rule import ChecksFailed as ChecksFailed
    from lifecycle.dockerfile.lint.rule import Finding as Finding
    from lifecycle.dockerfile.lint.rule import Rule as Rule
    from lifecycle.dockerfile.lint.rules import RULES as RULES

__getattr__ = exports(
    __name__,
    {
        "engine": ["check"],
        "options": ["BadCheckOption"],
        "rule": ["ChecksFailed", "Finding", "Rule"],
        "rules": ["RULES"],
    },
)
