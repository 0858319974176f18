"""Has the app a Procfile?"""

from __future__ import annotations

import os

from pylife_sdk.context import NO_MATCH, Detect, read_bytes
from pylife_sdk.decisions import Decisions
from pylife_sdk.output import Failure

from pylife_procfile.parse import default_type, parse


def detect(context: Detect) -> int:
    """Passes when the app's root has a Procfile; names a file that was probably meant to be one."""
    names = os.listdir(context.app)
    if "Procfile" in names and os.path.isfile(os.path.join(context.app, "Procfile")):
        return context.pass_with(["procfile"], [{"name": "procfile", "metadata": {"launch": True}}], _decide(context))
    print("No Procfile in the app's root.")
    for name in sorted(names):
        if name.lower() in ("procfile", "procfile.txt", "profile"):
            print(f"{name} looks like one, but the name must be exactly Procfile: git mv {name} Procfile")
    return NO_MATCH


def _decide(context: Detect) -> Decisions:
    decisions = Decisions()
    decisions.read("Procfile")
    try:
        entries = parse(read_bytes(os.path.join(context.app, "Procfile")))
    except Failure as failure:
        print(f"The app's root has a Procfile. The build will stop: {failure.what} [{failure.id}]")
        decisions.problem(failure.id, failure.what)
        return decisions
    print(f"The app's root has a Procfile, with {', '.join(entry.type for entry in entries)}.")
    first = default_type(entries)
    for entry in entries:
        more = "; it is what the image starts" if entry.type == first else ""
        decisions.process(entry.type, entry.command, f"asked for by Procfile:{entry.line}{more}")
    return decisions
