"""Prints a table of ratios: how long the peer took for each second of pylife, the median of interleaved rounds.

Every command runs as a process of its own, start-up included. Absolute times of a shared machine mean little and are
shown only to tell what was measured.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import dockerfiles, languages, layers, rebuild, slugs, steps
from benchmarks.servers import Registry

Command = Callable[[], Sequence[str] | str]


@dataclass(frozen=True)
class Contest:
    """One job done by pylife and by its peers. Each entry prepares (untimed) and returns the command to time."""

    title: str
    ours: Command
    peers: dict[str, Command]
    rounds: int = 3


def measure(command: Sequence[str] | str) -> float:
    """Wall seconds of one run; a failure ends the whole benchmark, since a broken run has no time."""
    began = time.monotonic()
    done = subprocess.run(command, shell=isinstance(command, str), capture_output=True, text=True)
    took = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{command}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took


def run(contest: Contest) -> None:
    """Interleave the rounds, so that a slow moment of the machine meets everyone."""
    times: dict[str, list[float]] = {name: [] for name in ("pylife", *contest.peers)}
    for _ in range(contest.rounds):
        for name, prepare in {"pylife": contest.ours, **contest.peers}.items():
            times[name].append(measure(prepare()))
    print(f"\n{contest.title}")
    for name, taken in times.items():
        ratios = [theirs / ours for theirs, ours in zip(taken, times["pylife"], strict=True)]
        word = "" if name == "pylife" else f"   pylife is {statistics.median(ratios):.1f} times as fast"
        print(f"  {name:22} {statistics.median(taken):7.2f} s{word}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--only",
        choices=["layers", "rebuild", "languages", "dockerfiles", "steps", "slugs"],
        help="which part (default: all)",
    )
    only = parser.parse_args().only or "layers rebuild languages dockerfiles steps slugs"
    for tool in ("buildah", "skopeo", "tar", "gzip", "curl", "docker-registry"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed: make setup-test installs what the benchmarks compare with")
    with tempfile.TemporaryDirectory(prefix="pylife-bench-") as place, Registry(Path(place) / "registry") as registry:
        if "layers" in only:
            for contest in layers.contests(Path(place) / "layers", registry):
                run(Contest(*contest))
        if "rebuild" in only:
            rebuild.show(Path(place) / "rebuild", registry.host)
        if "languages" in only:
            for contest in languages.contests(Path(place) / "languages"):
                run(Contest(*contest))
            print("\nwhat a change of one source file costs in each sample (make samples REBUILD=1)", flush=True)
            subprocess.run([Path(__file__).resolve().parent.parent / "scripts" / "samples", "--rebuild"], check=True)
        if "dockerfiles" in only:
            for contest in dockerfiles.contests(Path(place) / "dockerfiles"):
                run(Contest(*contest))
        if "steps" in only:
            steps.show(Path(place) / "steps")
        if "slugs" in only:
            for contest in slugs.contests(Path(place) / "slugs"):
                run(Contest(*contest))


if __name__ == "__main__":
    main()
