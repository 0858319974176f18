"""The mounts that snapshots need, made in this process's own mount namespace."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence

from lifecycle.sandbox import kernel

_LONGEST = 255  # bytes of an option's value


def mount_overlay(lower: str, upper: str, work: str, target: str, user: bool) -> None:
    """Mount overlayfs with everything off that would tie lower trees to one mount. Raises OSError.

    Volatile where the kernel (5.10) can: roots are thrown away, and without it every unmount, and every fsync of a
    package manager, waits until the whole file system below is written out.
    """
    options = f"lowerdir={lower},upperdir={upper},workdir={work},"
    options += "userxattr" if user else "redirect_dir=off,index=off,metacopy=off"
    try:
        kernel.mount("overlay", target, "overlay", kernel.MS_NODEV, f"{options},volatile")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        kernel.mount("overlay", target, "overlay", kernel.MS_NODEV, options)


class KernelMounts:
    """Mounts overlayfs for ``lifecycle.snapshot``; give it the rung's flavour. Safe from any thread."""

    def __init__(self, user: bool) -> None:
        self._user = user
        self._by_parts = True

    def stack(self, lowers: Sequence[str], upper: str, work: str, target: str) -> bool:
        """As ``overlay``, of absolute paths and in a fraction of the time; False where the kernel (6.7) cannot.

        What else is wrong with the mount, ``overlay`` will say.
        """
        if not self._by_parts or any(len(os.fsencode(path)) > _LONGEST for path in (*lowers, upper, work)):
            return False
        options: list[tuple[str, str | None]] = [("lowerdir+", path) for path in lowers]
        options += [("upperdir", upper), ("workdir", work), ("volatile", None)]
        marks = [("userxattr", None)] if self._user else [(key, "off") for key in ("redirect_dir", "index", "metacopy")]
        try:
            kernel.mount_by_parts("overlay", [*options, *marks], target)
        except OSError:
            self._by_parts = False
            return False
        return True

    def overlay(self, directory: str, lowers: Sequence[str], upper: str, work: str, target: str) -> None:
        """Mount ``lowers`` (topmost first), names relative to ``directory``, under ``upper`` at ``target``.

        The names stay relative because all options of a mount share one page. Raises OSError.
        """
        failed: list[OSError] = []

        def mount() -> None:
            try:
                kernel.unshare(kernel.CLONE_FS)  # a working directory of this thread's own
                os.chdir(directory)
                mount_overlay(":".join(lowers), upper, work, target, self._user)
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
