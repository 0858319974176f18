"""bin/detect and bin/build: the first argument says which of the two, the others are the lifecycle's."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """The exit code of the phase; 1 with a text when this Python is too old."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    phase = sys.argv.pop(1)
    sys.path.insert(0, os.path.join(home, "lib"))
    from pylife_sdk.output import Failure, report

    if sys.version_info < (3, 11):  # noqa: UP036 - this is what tells
        found = f"{sys.executable} is Python {sys.version.split()[0]}"
        fix = "Build on an image with Python 3.11 or newer, such as pylife's own builder."
        report(Failure("adapter.no-python", f"The classic buildpack in {home} cannot be run.", found, fix))
        return 1
    from pylife_adapter.classic import Classic

    classic = Classic(os.path.join(home, "classic"))
    if phase == "detect":
        from pylife_sdk.context import run_detect

        from pylife_adapter.detect import detect

        return run_detect(lambda context: detect(context, classic))
    from pylife_sdk.context import run_build

    from pylife_adapter.build import build

    return run_build(lambda context: build(context, classic))


sys.exit(main())
