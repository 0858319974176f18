"""``pylife doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.command import Session, command, json_flag, setting_flag
from lifecycle.cli.text import pairs, table

if TYPE_CHECKING:
    from lifecycle.sandbox.rung import Rung

_RUNGS = {
    "userns": "user, mount and pid namespaces of its own",
    "mountns": "mount and pid namespaces of its own, as root",
    "chroot": "chroot, with changes found by comparing trees",
}
_IDS = {
    "all": "every id of this process",
    "subids": "root, and the ids lent in /etc/subuid",
    "single": "one id: every file gets one owner",
}


@command(examples=["pylife doctor", "pylife doctor --isolation chroot", "pylife doctor --json"])
@setting_flag("isolation")
@json_flag
def doctor(session: Session, as_json: bool) -> int:
    """Show what this host allows, what was chosen, and what would give more. Exit code 1 when nothing can be built."""
    from lifecycle.app.doctor import examine

    report = examine(session.settings)
    if as_json:
        session.print_json(report.as_dict())
        return report.exit_code
    if report.rung is not None:
        session.print("Sandbox\n" + pairs(_rung_rows(report.rung), "  "))
    else:
        assert report.refusal is not None
        session.print(f"Sandbox\n  none: {report.refusal}")
    if report.reasons:
        session.print("\nWhy not better\n" + "\n".join(f"  {reason}" for reason in report.reasons))
    if report.improvements:
        session.print("\nWhat would give more\n" + "\n".join(f"  {line}" for line in report.improvements))
    tools = [(tool.name, tool.path or "missing", "" if tool.path else tool.purpose) for tool in report.tools]
    session.print("\nPrograms\n" + _indented(table(["", "", ""], tools).partition("\n")[2]))
    settings = [(key, value, origin) for key, value, origin in session.settings.rows()]
    session.print("\nSettings\n" + _indented(table(["KEY", "VALUE", "FROM"], settings)))
    return report.exit_code


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _rung_rows(rung: Rung) -> list[tuple[str, str]]:
    return [
        ("isolation", f"{rung.name}: {_RUNGS[rung.name]}"),
        ("ids", f"{rung.ids}: {_IDS[rung.ids]}"),
        ("overlayfs", "no: trees are copied" if rung.overlay is None else f"yes ({rung.overlay} attributes)"),
        ("network none", "yes" if rung.network_namespace else "no"),
        ("seccomp", "yes" if rung.seccomp else "no"),
        ("memory limit", f"control groups {rung.cgroup}" if rung.cgroup else "address space of each process"),
    ]
