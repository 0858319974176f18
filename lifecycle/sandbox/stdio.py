"""The descriptors that a process begins with, where it is to be another user than who made them."""

from __future__ import annotations

import contextlib
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def give_pipes(descriptors: Iterable[int], uid: int) -> None:
    """Make the user ``uid`` the owner of those that are pipes, so that it may open /dev/stdout and /dev/stderr.

    Terminals and files are their owners' and stay so. Source: runc, libcontainer, fixStdioPermissions.
    """
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # closed, or of a user that means nothing here
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                os.fchown(descriptor, uid, -1)
