"""The file ``Staticfile``: Cloud Foundry's settings of a static site, one ``name: value`` a line.

Source: Cloud Foundry, "Staticfile buildpack", "Configure the buildpack and app".
"""

from __future__ import annotations

import os

STATICFILE = "Staticfile"
# What this buildpack does as well; others are warned of.
KNOWN = ("root", "pushstate", "force_https")


def read_staticfile(app: str) -> dict[str, str]:
    """The settings by name, empty without the file."""
    try:
        with open(os.path.join(app, STATICFILE), encoding="utf-8-sig", errors="replace") as file:
            parts = [line.split(" #")[0].partition(":") for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return {}
    return {name.strip(): value.strip().strip("\"'") for name, colon, value in parts if colon and value.strip()}


def is_on(value: str) -> bool:
    """Whether a setting is switched on, in the words that Cloud Foundry takes."""
    return value.lower() in ("enabled", "true")
