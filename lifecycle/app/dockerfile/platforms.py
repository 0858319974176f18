"""For which platforms a build is, and whether their programs run here."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from lifecycle.dockerfile.errors import near
from lifecycle.dockerfile.operations import RunStep
from lifecycle.errors import PylifeError
from lifecycle.graph.node import Node
from lifecycle.oci import BadPlatform, Platform

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
#: architecture → (64 bits, big endian, e_machine)
_MACHINES = {
    "386": (False, False, 3),
    "amd64": (True, False, 62),
    "arm": (False, False, 40),
    "arm64": (True, False, 183),
    "loong64": (True, False, 258),
    "mips64": (True, True, 8),
    "mips64le": (True, False, 8),
    "ppc64le": (True, False, 21),
    "riscv64": (True, False, 243),
    "s390x": (True, True, 22),
}
#: as Go names them, which images do after
_SYSTEMS = (
    "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "dragonfly", "solaris", "illumos", "aix", "android",
    "plan9", "js", "wasip1", "wasi",
)  # fmt: skip
_ARCHITECTURES = (
    "amd64", "arm64", "arm", "386", "riscv64", "ppc64le", "s390x", "loong64", "mips64le", "mips64", "mipsle", "mips",
    "ppc64", "arm64be", "armbe", "riscv", "ppc", "s390", "sparc64", "sparc", "wasm", "wasm32", "unknown",
)  # fmt: skip
_NATIVE = {"amd64": ("386",), "arm64": ()}


class ForeignPlatform(PylifeError):
    """A RUN is for another architecture than this host's, and the host cannot run its programs."""

    code = "dockerfile.foreign-platform"
    fix = "Register an emulator (Debian: qemu-user-static, which registers itself), or build on such a host."


def parse_platforms(texts: Sequence[str]) -> tuple[Platform, ...]:
    """The platforms named, each once; raises BadPlatform, also for systems and architectures that nobody has."""
    found = tuple(dict.fromkeys(Platform.parse(text) for text in texts))
    for platform in found:
        for word, known in ((platform.os, _SYSTEMS), (platform.architecture, _ARCHITECTURES)):
            if word not in known:
                hint = near(word, known, f"The common ones are {', '.join(known[:7])}.")
                raise BadPlatform(f"{platform} is not a platform", why=f"nothing is called {word}", fix=hint)
    return found


def check_foreign(nodes: Iterable[Node], host: Platform, registered: Path = _BINFMT) -> None:
    """Raise ForeignPlatform when one of the steps cannot run here, naming all of them."""
    steps = [node.operation for node in nodes if isinstance(node.operation, RunStep)]
    foreign: dict[str, list[RunStep]] = {}
    for step in steps:
        platform = Platform.parse(step.platform)
        if not runs_here(platform, host, registered):
            foreign.setdefault(step.platform, []).append(step)
    if foreign:
        lines = [
            f"{step.place.location.file}:{step.place.location.line}  {step.title}"
            for found in foreign.values()
            for step in found
        ]
        raise ForeignPlatform(
            f"Programs for {', '.join(foreign)} cannot run here",
            why=f"this host is {host}, and no emulator for it is registered with binfmt_misc",
            details="\n".join(lines),
        )


def runs_here(platform: Platform, host: Platform, registered: Path = _BINFMT) -> bool:
    """Whether this host runs programs of ``platform``: its own, or through an emulator that the kernel knows."""
    if platform.os != host.os:
        return False
    if platform.architecture == host.architecture or platform.architecture in _NATIVE.get(host.architecture, ()):
        return True
    if platform.architecture not in _MACHINES:
        return False
    header = elf_header(platform.architecture)
    return any(_takes(entry, header) for entry in _entries(registered))


def elf_header(architecture: str) -> bytes:
    """How a program of ``architecture`` begins."""
    wide, big, machine = _MACHINES[architecture]
    ident = b"\x7fELF" + bytes((2 if wide else 1, 2 if big else 1, 1)) + bytes(9)
    return ident + struct.pack(">HH" if big else "<HH", 2, machine)


def _entries(registered: Path) -> list[dict[str, str]]:
    try:
        files = [path for path in registered.iterdir() if path.name not in ("register", "status")]
        return [_parse_entry(path.read_text()) for path in files]
    except OSError:
        return []


def _parse_entry(text: str) -> dict[str, str]:
    lines = text.splitlines()
    fields = dict(line.partition(" ")[::2] for line in lines[1:])
    return {**fields, "state": lines[0] if lines else ""}


def _takes(entry: dict[str, str], header: bytes) -> bool:
    """Whether an entry of binfmt_misc is for programs that begin so, from any root filesystem (flag F)."""
    if entry["state"] != "enabled" or "F" not in entry.get("flags:", "") or "magic" not in entry:
        return False
    magic = bytes.fromhex(entry["magic"])
    mask = bytes.fromhex(entry["mask"]) if "mask" in entry else b"\xff" * len(magic)
    start = int(entry.get("offset", "0"))
    seen = header[start : start + len(magic)].ljust(len(magic), b"\0")
    return all(seen[i] & mask[i] == magic[i] for i in range(len(magic)))
