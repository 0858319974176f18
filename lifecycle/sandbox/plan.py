"""What the processes inside need to know beside the spec: worked out by the spawner, in the host's view."""

from __future__ import annotations

import os

from lifecycle.sandbox import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import RunSpec
    from lifecycle.sandbox.stubs import Stubs

#: name, major, minor, whether an ordinary file may stand in for it (a random source never)
DEVICES = (
    ("null", 1, 3, True),
    ("zero", 1, 5, False),
    ("full", 1, 7, False),
    ("random", 1, 8, False),
    ("urandom", 1, 9, False),
    ("tty", 5, 0, False),
)
LINKS = (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"))


class Plan:
    """The places of a run inside its root, free of links, and the environment it gets."""

    def __init__(
        self,
        environment: dict[str, str],
        files: tuple[tuple[str, bytes], ...] = (),
        proc: str = "/proc",
        sys: str = "/sys",
        dev: str = "/dev",
        targets: tuple[str, ...] = (),
        file_targets: tuple[str, ...] = (),
    ) -> None:
        self.environment = environment
        self.files = files
        self.proc = proc
        self.sys = sys
        self.dev = dev
        self.targets = targets
        self.file_targets = file_targets


def lay_out(spec: RunSpec, rung: Rung, stubs: Stubs) -> Plan:
    """Make the places that the run needs in its root, and say where they are. Raises OSError."""
    files = host.shared_files(spec.network, spec.trust_host, spec.replace_certificates)
    files = {inside: data for inside, data in files.items() if inside not in host.CA_SYSTEM or _has(stubs, inside)}
    environment = dict(spec.env)
    if spec.trust_host:
        extra = host.proxy_environment()
        if host.CA_INSIDE in files:
            extra |= host.ca_environment()
        environment = extra | environment
    if rung.name == "chroot":
        _furnish(files, stubs)
        return Plan(environment)
    places = {stubs.file(inside): content for inside, content in files.items()}
    targets = []
    for mount in spec.mounts:
        as_file = mount.kind == "bind" and not os.path.isdir(mount.source)
        targets.append(stubs.file(mount.target) if as_file else stubs.directory(mount.target))
    return Plan(
        environment,
        tuple(places.items()),
        stubs.directory("/proc"),
        stubs.directory("/sys"),
        stubs.directory("/dev"),
        tuple(targets),
        tuple(stubs.file(file.target) for file in spec.files),
    )


def _has(stubs: Stubs, inside: str) -> bool:
    """Whether the root has that file itself."""
    place = stubs.root + stubs.inside(inside)
    return os.path.isfile(place) and not os.path.islink(place)


def _furnish(files: dict[str, bytes], stubs: Stubs) -> None:
    """Without mounts, the files and devices are put into the throw-away root itself, for the time of the run."""
    for inside, content in files.items():
        stubs.replace(inside, content)
    stubs.scratch("/dev/shm")
    for name, major, minor, stand_in in DEVICES:
        stubs.device(f"/dev/{name}", major, minor, stand_in)
