"""What a Dockerfile build leaves for other programs: the image's ID, its digest, and all of it as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.app.dockerfile.request import DockerfileRequest, DockerfileResult


def write_reports(
    result: DockerfileResult,
    request: DockerfileRequest,
    *,
    iidfile: Path | None = None,
    digest_file: Path | None = None,
    metadata_file: Path | None = None,
) -> None:
    """Write the files that were asked for, in the forms of ``docker buildx build``; raises CannotWrite."""
    contents = (
        (iidfile, str(result.images[0].config.digest)),
        (digest_file, f"{result.result.digest}\n"),
        (metadata_file, _metadata(result, request)),
    )
    for path, text in contents:
        if path is None:
            continue
        try:
            path.write_text(text)
        except OSError as error:
            from lifecycle.phases.inputs import CannotWrite

            raise CannotWrite(
                f"{path} cannot be written", why=f"{error.strerror}; the image itself is built and kept"
            ) from error


def _metadata(result: DockerfileResult, request: DockerfileRequest) -> str:
    image = result.images[0]
    data = {
        "image.name": ",".join(dict.fromkeys(str(item.place) for item in result.sent)),
        "containerimage.digest": str(result.result.digest),
        "containerimage.config.digest": str(image.config.digest),
        "containerimage.descriptor": result.result.descriptor.to_json(),
    }
    if request.target:
        data["pylife.target"] = request.target
    return json.dumps(data, indent=2) + "\n"
