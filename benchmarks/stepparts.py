"""The parts of one step, timed in this process: ``python -m benchmarks.stepparts IMAGE``. IMAGE must be unpacked.

Prints milliseconds as JSON, the medians of many steps: preparing a root, running ``true`` in it, committing.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from contextlib import closing

from lifecycle.app.engine import enter_rung
from lifecycle.app.ports import Ports
from lifecycle.app.settings import load_settings
from lifecycle.events import NullSink
from lifecycle.image.places import load_image, parse_place
from lifecycle.sandbox import RunSpec, Sandbox
from lifecycle.snapshot import open_snapshotter

_ROUNDS = 60


def main() -> None:
    with Ports(load_settings(), NullSink()) as ports:
        layers = [layer.diff_id for layer in load_image(parse_place(sys.argv[1]), ports.images()).layers]
        rung = enter_rung(ports)
        parts: dict[str, list[float]] = {"prepare": [], "run": [], "commit": []}
        with Sandbox(rung) as sandbox, closing(open_snapshotter(ports.home, rung)) as snapshotter:
            for _ in range(_ROUNDS):
                began = time.perf_counter()
                root = snapshotter.prepare(layers)
                prepared = time.perf_counter()
                spec = RunSpec(("/bin/sh", "-c", "true"), str(root.path), {"PATH": "/bin"}, no_new_privs=False)
                sandbox.run(spec, lambda stream, line: None)
                ran = time.perf_counter()
                diff = root.commit()
                ended = time.perf_counter()
                diff.close()
                for name, seconds in (("prepare", prepared - began), ("run", ran - prepared), ("commit", ended - ran)):
                    parts[name].append(1000 * seconds)
                time.sleep(0.01)  # a spare process is made ready while a command runs, and true does not
    print(json.dumps({name: statistics.median(times) for name, times in parts.items()}))


if __name__ == "__main__":
    main()
