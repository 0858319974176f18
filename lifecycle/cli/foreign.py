"""Options of other builders that ``pylife build`` does not have: what to write instead, or why they are not needed."""

from __future__ import annotations

from collections.abc import Mapping

_LOCAL = "Leave it out: the image is in the local store anyway."
_CLEAN = "Leave it out: a build leaves no containers behind."
_STEPS = "Leave it out: pylife always keeps one layer a step."
_FILE_TIMES = "Leave it out: the same input always gives the same digest."
_TAR = "Write --output type=docker,dest=FILE."
_ATTEST = "Leave it out: pylife attests nothing."
_CALL = "Write --check, or use pylife dockerfile outline|targets."
_EPOCH = "Write --creation-time SECONDS, or set SOURCE_DATE_EPOCH."
_SNAPSHOT = "Leave it out: what a step changed is known without walking the filesystem."
_VERBOSE = "Write -v or --quiet."
_HTTP = "Name the registry: --insecure-registry HOST[:PORT]."

INSTEAD: Mapping[str, str] = {
    "--load": _LOCAL,
    "--rm": _CLEAN,
    "--force-rm": _CLEAN,
    "--layers": _STEPS,
    "--squash": "Copy the result into a stage of its own: FROM scratch, then COPY --from=STAGE / /.",
    "--single-snapshot": "Copy the result into a stage of its own: FROM scratch, then COPY --from=STAGE / /.",
    "--format": "Write --output type=docker,dest=FILE for Docker's archive; images are of OCI's form.",
    "--tar-path": _TAR,
    "--tarPath": _TAR,
    "--oci-layout-path": "Write --output type=oci,dest=DIR,tar=false.",
    "--provenance": _ATTEST,
    "--sbom": _ATTEST,
    "--attest": _ATTEST,
    "--call": _CALL,
    "--timestamp": _EPOCH,
    "--source-date-epoch": _EPOCH,
    "--reproducible": _FILE_TIMES,
    "--snapshot-mode": _SNAPSHOT,
    "--snapshotMode": _SNAPSHOT,
    "--use-new-run": _SNAPSHOT,
    "--verbosity": _VERBOSE,
    "--custom-platform": "Write --platform OS/ARCH.",
    "--customPlatform": "Write --platform OS/ARCH.",
    "--skip-tls-verify": _HTTP,
    "--insecure": _HTTP,
    "--tls-verify": _HTTP,
    "--skip-unused-stages": "Leave it out: stages that nobody needs are never built.",
}
"""Option → what a person who knows it shall do; the command line offers it where a near word would mislead."""
