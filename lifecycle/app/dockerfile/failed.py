"""Root filesystems of steps that failed, kept for a look around."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lifecycle.errors import PylifeError
from lifecycle.oci import Digest
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.app.ports import Ports
    from lifecycle.dockerfile.running.order import RunOrder
    from lifecycle.graph.packing import Packer
    from lifecycle.graph.state import State
    from lifecycle.snapshot import Root

KEPT_DAYS = 7
"""Days after which ``pylife gc`` removes a failed step's root filesystem."""
_FILE = "step.json"


class NoSuchFailure(PylifeError):
    """No failed step of that ID is kept, or a part of its root filesystem is gone."""

    code = "run.no-such-failure"
    exit_code = 2
    fix = "Build again with --keep-failed: the last lines say how to open what is kept."


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step that failed: its root filesystem's layers, bottom first, and how its command was run.

    The last layer is what the command did before it failed.
    """

    id: str
    layers: tuple[Digest, ...]
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    user: str
    network: str
    made: int

    @property
    def shell(self) -> tuple[str, ...]:
        """What to open: the shell that the step was run by, else /bin/sh."""
        by_shell = len(self.argv) > 2 and self.argv[-2] == "-c"
        return (self.argv[0],) if by_shell else ("/bin/sh",)


def keeper(ports: Ports, packer: Packer) -> Callable[[Root, RunOrder, State], str]:
    """Keeps the root of a failed step; returns the command that opens it."""

    def keep(root: Root, order: RunOrder, parent: State) -> str:
        from lifecycle.graph.state import DiffLayer
        from lifecycle.store.partial import write_file

        last = DiffLayer(root.commit(), packer, "what is left of the failed step")
        layers = [*parent.diff_ids, last.diff_id]
        name = os.urandom(4).hex()
        data: dict[str, Any] = {
            "layers": [str(layer) for layer in layers],
            "argv": list(order.argv),
            "env": dict(order.env),
            "cwd": order.cwd,
            "user": order.user,
            "network": order.network,
            "made": int(time.time()),
        }
        place = ports.home / "failed" / name
        place.mkdir(parents=True)
        write_file(place / _FILE, json.dumps(data, indent=2).encode())
        return f"pylife run --failed {name}"

    return keep


def load_failed(name: str, ports: Ports) -> FailedStep:
    """The failed step of that ID; raises NoSuchFailure."""
    place = ports.home / "failed" / name / _FILE
    try:
        if "/" in name or name.startswith("."):
            raise OSError
        data = json.loads(place.read_bytes())
        return FailedStep(
            name,
            tuple(Digest.parse(item) for item in data["layers"]),
            tuple(data["argv"]),
            dict(data["env"]),
            str(data["cwd"]),
            str(data["user"]),
            str(data["network"]),
            int(data["made"]),
        )
    except (OSError, ValueError, KeyError, PylifeError) as error:
        kept = ", ".join(step.id for step in failed_steps(ports)) if place.parent.parent.is_dir() else ""
        raise NoSuchFailure(f"No failed step {name} is kept", why=f"there is: {kept or 'none'}") from error


def failed_steps(ports: Ports) -> Iterator[FailedStep]:
    """Every failed step that is kept, oldest first."""
    place = ports.home / "failed"
    names = [path.name for path in place.iterdir() if (path / _FILE).is_file()] if place.is_dir() else []
    yield from sorted((load_failed(name, ports) for name in names), key=lambda step: step.made)


def forget_old(ports: Ports, now: float | None = None) -> int:
    """Remove what was kept longer than KEPT_DAYS; how many. Layers go with the next collection of layers."""
    limit = (time.time() if now is None else now) - KEPT_DAYS * 86400
    old = [step for step in failed_steps(ports) if step.made < limit]
    for step in old:
        shutil.rmtree(ports.home / "failed" / step.id, ignore_errors=True)
    return len(old)


def open_failed(name: str, args: tuple[str, ...], ports: Ports) -> int:
    """Run ``args`` (a shell by default) in the failed step's root, as its command was run; returns the exit code.

    What is changed in there is not kept.
    """
    from lifecycle.app.engine import enter_rung, open_sandbox
    from lifecycle.dockerfile.running.identity import find_identity
    from lifecycle.dockerfile.running.step import PATH
    from lifecycle.sandbox.spec import RunSpec
    from lifecycle.snapshot import open_snapshotter

    step = load_failed(name, ports)
    rung = enter_rung(ports)
    with open_sandbox(rung, ports) as sandbox:
        snapshotter = open_snapshotter(ports.home, rung)
        if not all(snapshotter.has(layer) for layer in step.layers):
            raise NoSuchFailure(f"The root filesystem of {name} is not whole", why="some of its layers are gone")
        with snapshotter.prepare(step.layers) as root:
            place = str(root.path)
            who = find_identity(place, step.user)
            env = {"PATH": PATH, "HOME": who.home, **step.env}
            if "TERM" in os.environ and os.isatty(0):
                env["TERM"] = os.environ["TERM"]
            spec = RunSpec(
                argv=args or step.shell,
                root=place,
                env=env,
                cwd=step.cwd,
                uid=who.uid,
                gid=who.gid,
                groups=who.groups,
                network="none" if step.network == "none" and rung.network_namespace else "host",
                no_new_privs=False,
            )
            with sandbox.start(spec) as process, process.forward_signals():
                return process.wait().exit_code
