"""Has the app a Procfile?"""

from __future__ import annotations

import os

from pylife_sdk.context import NO_MATCH, Detect


def detect(context: Detect) -> int:
    """Passes when the app's root has a Procfile; names a file that was probably meant to be one."""
    names = os.listdir(context.app)
    if "Procfile" in names and os.path.isfile(os.path.join(context.app, "Procfile")):
        print("The app's root has a Procfile.")
        return context.pass_with([], [])
    print("No Procfile in the app's root.")
    for name in sorted(names):
        if name.lower() in ("procfile", "procfile.txt", "profile"):
            print(f"{name} looks like one, but the name must be exactly Procfile: git mv {name} Procfile")
    return NO_MATCH
