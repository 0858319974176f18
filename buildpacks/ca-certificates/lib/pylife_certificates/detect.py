"""Is there a certificate authority to trust?"""

from __future__ import annotations

from pylife_sdk.bindings import bindings
from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions

TYPE = "ca-certificates"
EMBED = "BP_EMBED_CERTS"
NOT_AT_LAUNCH = "BP_RUNTIME_CERT_BINDING_DISABLED"


def says(value: str) -> bool | None:
    """What a variable says: None when it says neither yes nor no."""
    word = value.strip().lower()
    return True if word in ("true", "1", "yes") else False if word in ("false", "0", "no") else None


def detect(context: Detect) -> int:
    """Passes when a binding has certificates, or when those of a binding given at launch shall be trusted."""
    found = bindings(context.platform, context.env, TYPE)
    at_launch = says(context.env.get(NOT_AT_LAUNCH, "")) is False
    if not found and not at_launch:
        print(f"No binding of type {TYPE}. {NOT_AT_LAUNCH}=false prepares the image for one given at launch.")
        return NO_MATCH
    names = ", ".join(binding.name for binding in found)
    print(f"Certificates to trust: {f'binding {names}' if names else 'those that a binding brings at launch'}.")
    decisions = Decisions()
    if found:
        decisions.layer("bundle", f"for the build alone: the system's certificates and those of {names}")
    decisions.layer("trust", f"a program that trusts the bindings of type {TYPE} that are there at launch")
    return context.pass_with([TYPE], [{"name": TYPE, "metadata": {"build": True, "launch": True}}], decisions)
