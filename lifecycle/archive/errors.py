"""What can be wrong with a layer's archive: reading it, unpacking it, writing it."""

from __future__ import annotations

from lifecycle.errors import PylifeError


class NotATar(PylifeError):
    """The bytes do not begin like a tar archive, compressed or not."""

    code = "layer.not-a-tar"
    fix = "Check that the file or blob is a tar archive (plain, gzip or zstd), and not an error page or another format."


class TruncatedArchive(PylifeError):
    """The archive ends in the middle of an entry."""

    code = "layer.truncated"
    fix = "Fetch or make the archive again: part of it is missing."


class BadHeader(PylifeError):
    """A header of the archive cannot be true: wrong checksum, broken number, malformed extended record."""

    code = "layer.bad-header"
    fix = "Fetch the archive again; if it stays so, ask whoever made it to write it with another tool."


class UnsupportedEntry(PylifeError):
    """The archive holds an entry of a type that is not a file, directory, link, device or FIFO."""

    code = "layer.unsupported-entry"
    fix = "Make the archive again as a plain POSIX (pax) archive, without multi-volume or incremental-dump options."


class LimitExceeded(PylifeError):
    """The archive is larger, in some respect, than pylife is willing to unpack."""

    code = "layer.limit"
    fix = "If you trust where it comes from, split the layer into smaller ones; otherwise do not use it."


class BadCompression(PylifeError):
    """The compressed bytes are damaged, cut short, or not what their first bytes say."""

    code = "layer.bad-compression"
    fix = "Fetch the blob again; if it stays so, ask whoever made the image to push it again."


class UnsafeEntry(PylifeError):
    """An entry's name leads out of the tree, or is one that no file can have."""

    code = "layer.unsafe-entry"
    fix = "Do not use this archive unless you know why it was made so; make it again with relative names."


class BadLink(PylifeError):
    """A hard link names something that is not in the tree, or that cannot be linked to."""

    code = "layer.bad-link"
    fix = "Make the archive again so that a hard link comes after the file it names."


class ExtractFailed(PylifeError):
    """The file system refused an entry of the archive."""

    code = "layer.extract-failed"
    fix = "Look at the reason given; often the folder belongs to another user or lies on a restricted file system."


class NoSpace(PylifeError):
    """The disk or the user's quota is full."""

    code = "layer.no-space"
    fix = "Free some space (`pylife gc` removes what no image needs), or put $PYLIFE_HOME on a larger disk."


class FileChanged(PylifeError):
    """A file became shorter, or went away, while it was being written into a layer."""

    code = "layer.file-changed"
    fix = "Stop whatever writes to the file during the build (a server, a watcher, a log), and build again."


class Unreadable(PylifeError):
    """A file or directory that belongs into the layer cannot be read."""

    code = "layer.unreadable"
    fix = "Give yourself read permission on it, or exclude it."


class UnwritableEntry(PylifeError):
    """A file has a property that the tar format has no way to record."""

    code = "layer.unwritable-entry"
    fix = "Rename the file or remove the property that is named, or exclude the file."


class BadProfile(PylifeError):
    """A compression was asked for that does not exist."""

    code = "layer.bad-profile"
    exit_code = 2
    fix = "Use gzip, zstd or none, or an exact profile: gzip:isal2, gzip:zlib6, zstd:3."
