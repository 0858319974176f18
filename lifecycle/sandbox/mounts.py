"""The mounts that snapshots need, made in this process's own mount namespace."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from lifecycle.sandbox import kernel
from lifecycle.sandbox.probe import overlay_options


class KernelMounts:
    """Mounts overlayfs for ``lifecycle.snapshot``; give it the rung's flavour. Safe from any thread."""

    def __init__(self, user: bool) -> None:
        self._user = user

    def overlay(self, directory: str, lowers: Sequence[str], upper: str, work: str, target: str) -> None:
        """Mount ``lowers`` (topmost first), names relative to ``directory``, under ``upper`` at ``target``.

        The names stay relative because all options of a mount share one page. Raises OSError.
        """
        failed: list[OSError] = []

        def mount() -> None:
            try:
                kernel.unshare(kernel.CLONE_FS)  # a working directory of this thread's own
                os.chdir(directory)
                where = f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work}"
                kernel.mount("overlay", target, "overlay", kernel.MS_NODEV, overlay_options(where, self._user))
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=mount, name="overlay-mount")
        thread.start()
        thread.join()
        if failed:
            raise failed[0]

    def unmount(self, target: str) -> None:
        """Take the mount at ``target`` away, at once or when its last user is gone. Raises OSError."""
        kernel.umount(target, kernel.MNT_DETACH)
