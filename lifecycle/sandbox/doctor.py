"""What this host gives to builds, row by row: the data of ``pylife doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from lifecycle.record import dataclass
from lifecycle.sandbox import host
from lifecycle.sandbox.errors import IsolationRefused, NoIsolation
from lifecycle.sandbox.limits import find_hierarchy
from lifecycle.sandbox.probing import probe
from lifecycle.sandbox.rung import Isolation, Rung

State = Literal["good", "degraded", "missing"]

_RUNGS = {
    ("userns", "all"): "own user, mount and pid namespaces with every id of this container",
    ("userns", "subids"): "own user, mount and pid namespaces with the ids lent to this user",
    ("userns", "single"): "own user, mount and pid namespaces with one id",
    ("mountns", "all"): "mount and pid namespaces, as root",
    ("chroot", "all"): "chroot without mounts",
}
_LOW_SPACE = 5 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One row. ``degraded`` works with a loss that ``detail`` names; ``better`` is the way out, when there is one."""

    name: str
    state: State
    detail: str
    better: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Plain data for JSON."""
        return asdict(self)


def examine(wanted: Isolation, home: Path) -> tuple[Rung | None, tuple[Check, ...]]:
    """The rung that would be chosen, None when there is none, and every row. ``home`` must exist."""
    rung: Rung | None = None
    try:
        rung = probe(wanted, home)
    except (NoIsolation, IsolationRefused) as error:
        checks = [Check("isolation", "missing", str(error), error.fix)]
    else:
        checks = _of_rung(rung)
    return rung, (*checks, _kernel(), _ca(), _space(home), *_tools())


def _of_rung(rung: Rung) -> list[Check]:
    reasons = {reason.partition(":")[0]: reason.partition(": ")[2] for reason in rung.reasons}
    refused = [reason for reason in rung.reasons if reason.partition(":")[0] in ("mountns", "userns")]
    what = f"{rung.name}: {_RUNGS[rung.name, rung.ids]}"
    if refused:
        what += f" ({'; '.join(refused)})"
    best = rung.name != "chroot"
    better = None if best else "\n".join(rung.improvements)
    checks = [Check("isolation", "good" if best else "degraded", what, better)]
    if rung.ids == "single":
        checks.append(Check("ids", "degraded", reasons.get("subids", ""), _about(rung, "subids", "uidmap", "usermod")))
    else:
        checks.append(Check("ids", "good", "every user of an image can be had" if rung.ids == "all" else _lent(rung)))
    if rung.overlay:
        checks.append(Check("overlay", "good", f"overlayfs, marks in {rung.overlay} attributes"))
    else:
        why = reasons.get("overlay", "nothing can be mounted on this rung")
        detail = f"roots are copied instead: {why}"
        checks.append(Check("overlay", "degraded", detail, _about(rung, "PYLIFE_HOME")))
    if rung.name == "chroot" and not rung.can_mknod:
        checks.append(Check("devices", "degraded", reasons.get("devices", ""), _about(rung, "CAP_MKNOD")))
    if rung.proc != "mount":
        detail = reasons.get("proc", "steps have no /proc") if rung.proc else "steps have no /proc"
        checks.append(Check("proc", "degraded", detail))
    hierarchy, why = find_hierarchy()
    if hierarchy:
        checks.append(Check("memory", "good", f"--memory by cgroup {hierarchy.version} in {hierarchy.parent}"))
    else:
        detail = f"--memory limits address space: {why}"
        checks.append(Check("memory", "degraded", detail, _about(rung, "systemd-run")))
    if rung.network_namespace:
        checks.append(Check("network", "good", "--network none works"))
    else:
        checks.append(Check("network", "degraded", "--network none does not work on this rung"))
    state: State = "good" if rung.seccomp else "degraded"
    checks.append(Check("seccomp", state, "system calls are filtered" if rung.seccomp else reasons.get("seccomp", "")))
    return checks


def _lent(rung: Rung) -> str:
    return f"{sum(r.count for r in rung.uid_map)} user and {sum(r.count for r in rung.gid_map)} group ids"


def _about(rung: Rung, *words: str) -> str | None:
    found = [text for text in rung.improvements if any(word in text for word in words)]
    return "\n".join(found) or None


def _kernel() -> Check:
    return Check("kernel", "good", f"{platform.system()} {platform.release()} on {platform.machine()}")


def _ca() -> Check:
    bundle = host.ca_bundle()
    if bundle:
        return Check("certificates", "good", f"{bundle} is trusted inside builds")
    detail = "no certificate bundle was found on this host: builds trust what their images trust"
    return Check("certificates", "degraded", detail, "apt-get install ca-certificates, or set SSL_CERT_FILE")


def _space(home: Path) -> Check:
    found = os.statvfs(home)
    free = found.f_bavail * found.f_frsize
    detail = f"{free / (1 << 30):.1f} GiB free at {home}"
    if free < _LOW_SPACE:
        return Check("space", "degraded", detail, "pylife gc removes what no image needs")
    return Check("space", "good", detail)


def _tools() -> list[Check]:
    """Programs that pylife calls where they are there: id maps, and making the default builder's images."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    rows = (("newuidmap", "uidmap", None), ("newgidmap", "uidmap", None), ("mmdebstrap", "mmdebstrap", "--version"))
    checks = []
    for name, package, option in rows:
        place = shutil.which(name, path=path)
        if place is None:
            checks.append(Check(name, "missing", "not installed", f"apt-get install {package}"))
        else:
            checks.append(Check(name, "good", _version(place, option) if option else place))
    return checks


def _version(program: str, option: str) -> str:
    try:
        said = subprocess.run(
            [program, option], capture_output=True, text=True, errors="replace", timeout=5, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return program
    first = said.strip().splitlines()[:1]
    return f"{program} ({first[0]})" if first else program
