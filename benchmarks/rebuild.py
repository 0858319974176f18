"""A Django app: first build, rebuild with nothing changed, and after a change of one template."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PYLIFE = Path(sys.executable).parent / "pylife"
_ROUNDS = 3


def show(place: Path, registry: str) -> None:
    """Print the share of the first build's time that the others take, and what each sent."""
    place.mkdir()
    app = place / "app"
    shutil.copytree(_ROOT / "samples" / "python-django", app)
    template = next(path for path in sorted(app.rglob("*.html")))
    subprocess.run([_PYLIFE, "builder", "create", "-q"], check=True, stdout=subprocess.DEVNULL)
    print("\nsamples/python-django, stack and builder already there")
    rows: dict[str, list[tuple[float, dict[str, object]]]] = {"first": [], "unchanged": [], "one template changed": []}
    for number in range(_ROUNDS):
        name = f"{registry}/django{number}"
        cache = place / f"cache{number}"
        rows["first"].append(_build(app, name, cache))
        rows["unchanged"].append(_build(app, name, cache))
        with template.open("a") as file:
            file.write(f"<!-- {number} -->\n")
        rows["one template changed"].append(_build(app, name, cache))
    first = min(seconds for seconds, _ in rows["first"])
    for title, runs in rows.items():
        seconds, report = min(runs, key=lambda run: run[0])
        print(
            f"  {title:22} {seconds:7.2f} s  {100 * seconds / first:5.1f} % of the first   "
            f"{len(report['new'])} layers new, {len(report['reused'])} reused, "  # type: ignore[arg-type]
            f"{report['bytes_sent']} bytes sent",
            flush=True,
        )


def _build(app: Path, name: str, cache: Path) -> tuple[float, dict[str, object]]:
    began = time.monotonic()
    done = subprocess.run(
        [_PYLIFE, "build", "--progress", "json", "--app", app, "--image", name, "--cache", cache],
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    took = time.monotonic() - began
    if done.returncode:
        sys.exit(done.stderr[-4000:])
    for line in reversed(done.stderr.splitlines()):
        event = json.loads(line)
        if event.get("event") == "summary":
            return took, event["data"]
    sys.exit("the build told no summary")
