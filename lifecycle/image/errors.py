"""What can be wrong with an image, a layer, or the place where one is looked for."""

from __future__ import annotations

from lifecycle.errors import PylifeError


class BadPlace(PylifeError):
    """A text names no place where an image can be."""

    code = "image.bad-place"
    exit_code = 2
    fix = (
        "Write an image name (localhost:5000/app:1), or oci:DIR[:TAG], oci-archive:FILE[:TAG], "
        "docker-archive:FILE[:NAME:TAG], dir:DIR."
    )


class NoDaemon(PylifeError):
    """``docker-daemon:`` was asked for; pylife talks to no daemon."""

    code = "image.no-daemon"
    exit_code = 2
    fix = (
        "Use a file: `docker save NAME -o app.tar` and docker-archive:app.tar, or write docker-archive:app.tar "
        "and run `docker load -i app.tar`."
    )


class ImageNotFound(PylifeError):
    """There is no image of that name in that place."""

    code = "image.not-found"
    fix = "Check the name; `pylife images` lists what the local store has, `pylife pull NAME` fetches from a registry."


class AmbiguousImage(PylifeError):
    """A place holds several images and none was named."""

    code = "image.ambiguous"
    exit_code = 2
    fix = "Add the name of one of them after the path, separated by a colon."


class NoPlatform(PylifeError):
    """No image of an index is for the platform wanted, or one must be chosen and was not."""

    code = "image.no-platform"
    fix = "Choose one of the platforms it has with --platform os/arch."


class NotAnImage(PylifeError):
    """A manifest describes an artifact (a signature, an SBOM, a chart), not an image with a root filesystem."""

    code = "image.not-an-image"
    fix = "Name an image; `pylife copy` moves artifacts as they are."


class NoRegistry(PylifeError):
    """An image in a registry was asked for by a step that has no registry in reach."""

    code = "image.no-registry"
    fix = "Pull the image into the local store first: `pylife pull NAME`."


class BrokenLayer(PylifeError):
    """A layer's content does not make sense on its own or upon the layers below it."""

    code = "image.broken-layer"
    fix = "Make the image again; `pylife validate NAME` shows every fault it has."


class CannotRebase(PylifeError):
    """The lower layers of an image cannot be exchanged as asked."""

    code = "image.cannot-rebase"
    fix = "Build the image again on the new run image."
