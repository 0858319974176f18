"""A slug written as ``pylife slug`` writes it, as a command of its own, for the benchmarks to time."""

from __future__ import annotations

import sys
from pathlib import Path

from lifecycle.slug.archive import write_slug


def main(tree: str, out: str) -> None:
    with open(out, "wb") as file:
        print(write_slug(Path(tree), file).digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
