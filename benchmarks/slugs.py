"""Writing a slug of some 200 MB in 10,000 files."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

from benchmarks.layers import FILES, make_tree


def contests(place: Path) -> list[tuple[Any, ...]]:
    """(title, ours, peers): each writes a new file, pylife's with its digest."""
    place.mkdir()
    tree = place / "tree"
    make_tree(tree)
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    print(f"a tree of {size / 1e6:.0f} MB in {FILES} files")
    counter = itertools.count()

    def fresh() -> str:
        return str(place / f"slug{next(counter)}.tgz")

    return [
        (
            "slug: tree to a gzip archive",
            lambda: [sys.executable, "-m", "benchmarks.slug", str(tree), fresh()],
            {"tar cz": lambda: ["tar", "-C", str(tree), "-czf", fresh(), "."]},
            5,
        )
    ]
