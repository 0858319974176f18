"""What can keep a root filesystem from being made."""

from __future__ import annotations

from lifecycle.errors import PylifeError


class LayerNotUnpacked(PylifeError):
    """A root is to be made from a layer, or a cached tree, that is not on this disk."""

    code = "snapshot.not-unpacked"
    fix = "Run the command again: what is missing is fetched anew. `pylife gc` may have run at the same time."


class MountFailed(PylifeError):
    """The kernel refused to lay a root's layers over each other."""

    code = "snapshot.mount-failed"
    fix = "Run `pylife doctor`; PYLIFE_HOME on ext4, xfs or tmpfs is the surest place for overlayfs."


class SnapshotFailed(PylifeError):
    """A file of a root filesystem could not be made, copied or removed."""

    code = "snapshot.failed"
    fix = "Look at free space and inodes where PYLIFE_HOME is (df -h, df -i) and at its permissions."


class ReservedName(PylifeError):
    """A step made a file that cannot be told from a mark of a layer: a ``.wh.`` name, or a device 0:0."""

    code = "snapshot.reserved-name"
    fix = "Let the step give the file another name, or remove it before the step ends."
