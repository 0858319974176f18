"""Where a runtime (node, java, python …) comes from: sources in an order that the user can set, and what they have.

Cheap to import: a detection asks only the build image and folders, and no source's client is loaded before it is asked.
"""

from pylife_sdk.runtimes.choice import Found, NotFound, Runtime, Seen, find

__all__ = ["Found", "NotFound", "Runtime", "Seen", "find"]
