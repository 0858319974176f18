"""Running a process in a root filesystem: what this host allows, and how a process is kept apart there.

At start-up, with one thread: ``rung = probe(wanted, home)``, ``enter(rung)``, ``Sandbox(rung, sink)``; then, from any
thread, ``sandbox.run(spec, on_line)``.
"""

from lifecycle.sandbox.enter import enter, entered
from lifecycle.sandbox.probe import probe
from lifecycle.sandbox.run import Process, Sandbox
from lifecycle.sandbox.rung import Isolation, Rung
from lifecycle.sandbox.spec import File, Mount, RunResult, RunSpec

__all__ = [
    "File",
    "Isolation",
    "Mount",
    "Process",
    "RunResult",
    "RunSpec",
    "Rung",
    "Sandbox",
    "enter",
    "entered",
    "probe",
]
