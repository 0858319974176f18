"""Running a process in a root filesystem: what this host allows, and how a process is kept apart there.

At start-up, with one thread: ``rung = probe(wanted, home)``, ``enter(rung)``, ``Sandbox(rung, sink)``; then, from any
thread, ``sandbox.run(spec, on_line)``.

What is exported here loads when it is first asked for: the spawner, which is to stay small, needs none of it.
"""

from lifecycle.lazy import exports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lifecycle.sandbox.entering import enter, entered
    from lifecycle.sandbox.probing import probe
    from lifecycle.sandbox.run import Process, Sandbox
    from lifecycle.sandbox.rung import Isolation, Rung
    from lifecycle.sandbox.spec import File, Mount, RunResult, RunSpec

__getattr__ = exports(
    __name__,
    {
        "entering": ("enter", "entered"),
        "probing": ("probe",),
        "run": ("Process", "Sandbox"),
        "rung": ("Isolation", "Rung"),
        "spec": ("File", "Mount", "RunResult", "RunSpec"),
    },
)

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
