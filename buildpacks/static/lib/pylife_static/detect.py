"""Is this a static site?"""

from __future__ import annotations

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions

from pylife_static.choose import Declined, choose


def detect(context: Detect) -> int:
    """Passes when there is a folder to serve, or a build that will leave one; asks Node to build in that case."""
    site = choose(context.app, context.env)
    if isinstance(site, Declined):
        for sentence in site.why:
            print(sentence)
        return NO_MATCH
    decisions = Decisions()
    decisions.read(*site.read)
    decisions.layer("nginx", "the server, from Debian packages")
    decisions.layer("site", "its configuration")
    folder = " or ".join(site.folders)
    requires: list[dict[str, object]] = [{"name": "static", "metadata": {"launch": True, "generator": site.generator}}]
    if site.generator:
        print(f"A static site: {site.why}. It is built with Node first, then {folder} is served.")
        requires.append({"name": "node_modules", "metadata": {"build": True, "static": True}})
    else:
        print(f"A static site: {site.why}; {folder} is served.")
    decisions.process("web", f"nginx serves {folder} on $PORT", site.why)
    return context.pass_with(["static"], requires, decisions)
