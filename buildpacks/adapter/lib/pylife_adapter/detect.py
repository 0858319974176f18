"""Asks the classic buildpack whether it takes the app."""

from __future__ import annotations

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions

from pylife_adapter.classic import Classic, process_variables
from pylife_adapter.identity import ID, NAME

_NOT_EXECUTABLE = 126


def detect(context: Detect, classic: Classic) -> int:
    """Any exit code of bin/detect but 0 means that it does not: a classic buildpack knows no other word for it."""
    code, output = classic.ask("detect", context.app, env=process_variables(context.env, context.platform))
    said = output.decode("utf-8", "replace").strip().splitlines()
    if code:
        print("\n".join(said) or "bin/detect does not take the app.")
        if code >= _NOT_EXECUTABLE:
            print(f"It ended with {code}, as scripts do that cannot be run.")
        return NO_MATCH
    kind = said[0].strip() if said else ""
    print(f"{kind or NAME} app detected")
    decisions = Decisions()
    decisions.command(f"bin/compile of the classic buildpack {NAME}")
    return context.pass_with([ID], [{"name": ID, "metadata": {"kind": kind}}], decisions)
