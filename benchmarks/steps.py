"""What a RUN costs beside its command, on a small base image and on one with 20,000 files more.

First the parts alone: a root prepared, ``true`` run in it, its changes committed. Then within a build, with all that a
build keeps account of: what each of 40 ``RUN true`` takes, less what the shell takes that it starts. Between builds
it is quiet for a while: ext4 makes no new file in the place of one deleted within the last five seconds, but looks at
each of them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.dockerfiles import SMALL_FILES, small_files

_PYLIFE = Path(sys.executable).parent / "pylife"
_ROUNDS = 3
_STEPS = 40
_COMMANDS = 400
_QUIET = 5.5
_LOOP = f'RUN i=0; while [ "$i" -lt {_COMMANDS} ]; do /bin/sh -c true; i=$((i+1)); done\n'


def show(place: Path) -> None:
    """Print milliseconds for a step and for its command, the median of the rounds."""
    place.mkdir()
    base = "pylife/bookworm-build"
    subprocess.run([_PYLIFE, "stack", "create", "-q"], check=True, stdout=subprocess.DEVNULL)
    tree = place / "tree"
    tree.mkdir()
    small_files(tree)
    _build(place, f"FROM {base}\nCOPY tree /tree/\n", "bench-steps-base")
    bases = {"the build stack": base, f"{SMALL_FILES:,} files more": "bench-steps-base"}
    print(f"\nmilliseconds of a RUN true ({_STEPS} in a row), less those of its command")
    for title, name in bases.items():
        _build(place, f"FROM {name}\nRUN true\n")  # unpacks the base
        steps, commands = [], []
        for _ in range(_ROUNDS):
            one = _build(place, f"FROM {name}\nRUN true\n")
            steps.append((_build(place, f"FROM {name}\n" + "RUN true\n" * _STEPS) - one) / (_STEPS - 1))
            commands.append((_build(place, f"FROM {name}\n{_LOOP}") - one) / _COMMANDS)
        parts = _parts(name)
        step, command = (1000 * statistics.median(times) for times in (steps, commands))
        alone = sum(parts.values()) - command
        shown = " + ".join(f"{part} {milliseconds:.1f}" for part, milliseconds in parts.items())
        print(f"  {title:22} alone:      {shown} - {command:.1f} = {alone:.1f} ms")
        print(f"  {'':22} in a build: {step:.1f} - {command:.1f} = {step - command:.1f} ms", flush=True)


def _parts(name: str) -> dict[str, float]:
    """Milliseconds of each part of a step, alone."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.stepparts", name], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def _build(place: Path, dockerfile: str, name: str = "bench-steps") -> float:
    """Seconds of a build in which nothing is known."""
    (place / "Dockerfile").write_text(dockerfile)
    time.sleep(_QUIET)
    began = time.monotonic()
    done = subprocess.run(
        [_PYLIFE, "build", "-q", "--no-cache", "--app", place, "--dockerfile", place / "Dockerfile", "--image", name],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr[-4000:])
    return time.monotonic() - began
