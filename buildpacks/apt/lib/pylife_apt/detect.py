"""Does the app ask for Debian packages?"""

from __future__ import annotations

import os

from pylife_sdk.context import NO_MATCH, Detect, read_bytes
from pylife_sdk.decisions import Decisions
from pylife_sdk.output import Failure

TABLE = "com.heroku.buildpacks.deb-packages"
MISSPELT = ("aptfile.txt", "apt-file", "apt_file", "aptfiles", "apt.file")


def detect(context: Detect) -> int:
    """Passes when the app has an Aptfile, a file that is probably meant to be one, or a table in project.toml."""
    names = sorted(os.listdir(context.app))
    asks = [name for name in ("Aptfile", "project.toml") if name in names and has_request(context.app, name)]
    wrong = misspelt(names)
    if not asks and not wrong:
        print(f"No Debian packages are asked for: no Aptfile, no [{TABLE}] in project.toml.")
        return NO_MATCH
    print(f"Debian packages are asked for by {', '.join(asks or wrong)}.")
    decisions = Decisions()
    decisions.read(*(asks or wrong))
    _decide(context, decisions)
    return context.pass_with(["apt"], [{"name": "apt"}], decisions)


def has_request(app: str, name: str) -> bool:
    """Whether a file of the app's root is there to ask for packages."""
    path = os.path.join(app, name)
    return os.path.isfile(path) and (name == "Aptfile" or b"deb-packages" in read_bytes(path))


def misspelt(names: list[str]) -> list[str]:
    """File names that were probably meant to be Aptfile; none when there is one."""
    if "Aptfile" in names:
        return []
    return [name for name in names if name.lower() == "aptfile" or name.lower() in MISSPELT]


def _decide(context: Detect, decisions: Decisions) -> None:
    from pylife_apt.wanted import read_wanted

    try:
        wanted = read_wanted(context.app)
    except Failure as failure:
        print(f"The build will stop: {failure.what} [{failure.id}]")
        decisions.problem(failure.id, failure.what)
        return
    if wanted:
        named = [each.spec for each in wanted]
        decisions.command(f"apt-get install --download-only {' '.join(named)}")
        decisions.layer("packages", f"{', '.join(named)} and what they need")
