"""Was the build given variables or labels for the image?"""

from __future__ import annotations

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions

from pylife_environment.variables import PREFIX

LABELS_VARIABLE, OCI_PREFIX = "BP_IMAGE_LABELS", "BP_OCI_"


def detect(context: Detect) -> int:
    """Passes when one of the variables is set; says which."""
    named = sorted(name for name in context.env if name.startswith((PREFIX, OCI_PREFIX)) or name == LABELS_VARIABLE)
    if not named:
        print(
            f"No variables or labels for the image: neither {PREFIX}* nor {LABELS_VARIABLE} nor {OCI_PREFIX}* is set."
        )
        return NO_MATCH
    print(f"The image gets variables or labels of its own, by {', '.join(named)}.")
    decisions = Decisions()
    if any(name.startswith(PREFIX) for name in named):
        decisions.layer("environment", f"variables at launch, by {', '.join(n for n in named if n.startswith(PREFIX))}")
    return context.pass_with(["environment"], [{"name": "environment", "metadata": {"launch": True}}], decisions)
