"""``pylife doctor``."""

from __future__ import annotations

from lifecycle.cli.command import Session, command, json_flag, setting_flag
from lifecycle.cli.text import pairs, table

_MARKS = {"good": "ok", "degraded": "less", "missing": "no"}


@command(examples=["pylife doctor", "pylife doctor --isolation chroot", "pylife doctor --json"])
@setting_flag("isolation")
@json_flag
def doctor(session: Session, as_json: bool) -> int:
    """Show what this host allows, what was chosen, and what would give more. Exit code 1 when nothing can be built.

    Each row is ok, less (it works, with the loss that is told) or no; an arrow says how to get more.
    """
    from lifecycle.app.doctor import examine

    report = examine(session.settings)
    if as_json:
        session.print_json(report.as_dict())
        return report.exit_code
    rows = []
    for check in report.checks:
        ways = "".join(f"\n-> {line}" for line in (check.better or "").splitlines())
        rows.append((f"{_MARKS[check.state]:4}  {check.name}", check.detail + ways))
    session.print("This host\n" + pairs(rows, "  "))
    settings = table(["KEY", "VALUE", "FROM"], report.settings)
    session.print("\nSettings\n" + "\n".join(f"  {line}" for line in settings.splitlines()))
    return report.exit_code
