"""``pylife detect``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli.command import Session, command, json_flag, registry_flags, setting_flag
from lifecycle.cli.options import detect_options, env_options, limit_options, parse_detect
from lifecycle.cli.text import pairs, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.buildpack.resolve import Resolution
    from lifecycle.phases.detect import Detected


@command(examples=["pylife detect --app ./src", "pylife detect --app ./src --explain", "pylife detect --json"])
@detect_options
@env_options
@limit_options
@registry_flags
@setting_flag("isolation")
@click.option("--explain", is_flag=True, help="Tell for every buildpack what it looked for and why it was dropped.")
@json_flag
def detect(session: Session, /, **options: object) -> None:
    """Show which buildpacks match an app, and the plan they make. Builds nothing.

    Exit code 20 when no group of buildpacks fits, 21 when one broke while looking.
    """
    from lifecycle.app.build import explain_detect
    from lifecycle.phases.detect import NothingDetected, explain

    try:
        detected = explain_detect(parse_detect(dict(options)), session.ports)
    except NothingDetected as error:
        if options["as_json"]:
            session.print_json({"group": [], "build_plan": [], "plan": None, "tried": _tried(error.tried)})
        elif options["explain"]:
            session.print("\n".join(explain(error.tried)))
        raise
    if options["as_json"]:
        session.print_json(_as_data(detected))
        return
    lines = [plain(line) for line in detected.outline.lines()]
    if options["explain"]:
        lines = [*explain(detected.tried), "", *lines]
    needs = [
        (entry.name, ", ".join(item.id for item in entry.providers)) for entry in detected.plan.entries if entry.name
    ]
    if needs and options["explain"]:
        lines += ["", "Build plan (what is needed, who provides it)", pairs(needs, "  ")]
    session.print("\n".join(lines))


def _as_data(detected: Detected) -> dict[str, object]:
    from lifecycle.buildpack.outline import KEY

    return {
        "group": [{"id": element.id, "version": element.version} for element in detected.group],
        "plan": detected.outline.to_data(),
        "build_plan": [
            {
                "name": entry.name,
                "providers": [item.id for item in entry.providers],
                "requires": [
                    {key: item.metadata[key] for key in item.metadata if key != KEY} for item in entry.requires
                ],
            }
            for entry in detected.plan.entries
        ],
        "tried": _tried(detected.tried),
    }


def _tried(tried: Sequence[Resolution]) -> list[dict[str, object]]:
    return [
        {
            "passed": resolution.passed,
            "explanation": list(resolution.explain()),
            "buildpacks": [
                {
                    "id": detection.element.id,
                    "version": detection.element.version,
                    "optional": detection.element.optional,
                    "verdict": detection.verdict.value,
                    "exit_code": detection.exit_code,
                    "why": detection.why,
                    "output": list(detection.output),
                }
                for detection in resolution.detections
            ],
        }
        for resolution in tried
    ]
