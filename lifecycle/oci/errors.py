"""What can be wrong with a name or a document of the image format."""

from __future__ import annotations

from lifecycle.errors import PylifeError


class BadReference(PylifeError):
    """An image name does not follow the distribution grammar."""

    code = "image.bad-reference"
    exit_code = 2
    fix = "Write it as [registry[:port]/]name[:tag][@sha256:…], in lower case, for example localhost:5000/team/app:1."


class BadDigest(PylifeError):
    """A digest string is malformed or uses an algorithm that pylife does not compute."""

    code = "image.bad-digest"
    fix = "A digest looks like sha256: followed by 64 hexadecimal digits in lower case."


class BadDocument(PylifeError):
    """A manifest, index, config or layout file is not what the image specification says."""

    code = "image.bad-document"
    fix = "Ask whoever made the image to push it again; `pylife validate NAME` shows every fault it has."


class DigestMismatch(PylifeError):
    """Bytes do not have the digest or the size under which they were asked for."""

    code = "image.digest-mismatch"
    fix = "The bytes were damaged on the way or where they are kept: try again, then push or pull the image anew."


class BadPlatform(PylifeError):
    """A platform string is not os/arch[/variant]."""

    code = "image.bad-platform"
    exit_code = 2
    fix = "Write it as os/arch or os/arch/variant, for example linux/amd64 or linux/arm64/v8."
