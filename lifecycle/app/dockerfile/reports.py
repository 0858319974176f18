"""What a Dockerfile build leaves for other programs: the image's ID, its digest, and all of it as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.image.image import Image
from lifecycle.image.places import RegistryPlace, StorePlace

if TYPE_CHECKING:
    from lifecycle.app.dockerfile.request import DockerfileRequest, DockerfileResult
    from lifecycle.oci import Digest


def write_reports(
    result: DockerfileResult,
    request: DockerfileRequest,
    *,
    iidfile: Path | None = None,
    digest_file: Path | None = None,
    metadata_file: Path | None = None,
    name_digest_file: Path | None = None,
    name_tag_digest_file: Path | None = None,
) -> None:
    """Write the files that were asked for, in the forms of ``docker buildx build`` and of kaniko; raises CannotWrite.

    The image's ID is its configuration's digest; an index has none and is known by its own. The last two hold a line
    for each name, with the digest behind the name, or behind name and tag.
    """
    places = (item.place for item in result.sent)
    names = list(dict.fromkeys(place.ref for place in places if isinstance(place, StorePlace | RegistryPlace)))
    digest = result.result.digest
    contents = (
        (iidfile, str(_image_id(result))),
        (digest_file, f"{digest}\n"),
        (metadata_file, _metadata(result, request)),
        (name_digest_file, "".join(f"{name.name}@{digest}\n" for name in names)),
        (name_tag_digest_file, "".join(f"{name.with_default_tag()}@{digest}\n" for name in names)),
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


def _image_id(result: DockerfileResult) -> Digest:
    return result.result.config.digest if isinstance(result.result, Image) else result.result.digest


def _metadata(result: DockerfileResult, request: DockerfileRequest) -> str:
    data: dict[str, object] = {
        "image.name": ",".join(dict.fromkeys(str(item.place) for item in result.sent)),
        "containerimage.digest": str(result.result.digest),
        "containerimage.descriptor": result.result.descriptor.to_json(),
    }
    if isinstance(result.result, Image):
        data["containerimage.config.digest"] = str(result.result.config.digest)
    if request.target:
        data["pylife.target"] = request.target
    return json.dumps(data, indent=2) + "\n"
