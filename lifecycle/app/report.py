"""What a build leaves for other programs: report.toml, the digest alone, and all of it as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.phases.inputs import CannotWrite
from lifecycle.platform.files import Report, render_report

if TYPE_CHECKING:
    from lifecycle.app.build import BuildResult


def write_reports(
    result: BuildResult,
    *,
    report: Path | None = None,
    digest_file: Path | None = None,
    metadata_file: Path | None = None,
) -> None:
    """Write the files that were asked for. Source: CNB Platform API, "report.toml (TOML)"."""
    try:
        _write(result, report, digest_file, metadata_file)
    except OSError as error:
        raise CannotWrite(
            f"{error.filename} cannot be written", why=f"{error.strerror}; the image itself is built and kept"
        ) from error


def _write(result: BuildResult, report: Path | None, digest_file: Path | None, metadata_file: Path | None) -> None:
    image = result.image
    names = [str(item.place) for item in result.sent]
    if report is not None:
        tags = tuple(dict.fromkeys(names))
        report.write_bytes(render_report(Report(tags, image.digest, "", len(image.manifest.raw))))
    if digest_file is not None:
        digest_file.write_text(f"{image.digest}\n")
    if metadata_file is not None:
        data = {
            "image.name": ",".join(dict.fromkeys(names)),
            "containerimage.digest": str(image.digest),
            "containerimage.config.digest": str(image.config.digest),
            "containerimage.descriptor": image.descriptor.to_json(),
        }
        metadata_file.write_text(json.dumps(data, indent=2) + "\n")
