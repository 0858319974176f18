"""Command lines of other builders: what ``pylife build`` takes as they do, and what to write instead of the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lifecycle.errors import UsageError

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
_HOSTS = "RUN sees this host's /etc/hosts; put the line there, or into the RUN that needs it."
_RESOLVER = "Leave it out: RUN sees this host's /etc/resolv.conf."
_CPU = "Run pylife itself with less: taskset, nice, or a systemd scope."
_PRIVILEGES = "Write RUN --security=insecure in the Dockerfile, and --allow security.insecure."

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
    "-c": "Write the context alone, or --context DIR.",
    "-d": "Write -t NAME, or --destination NAME.",
    "--add-host": f"Leave it out: {_HOSTS}",
    "--no-hosts": f"Leave it out: {_HOSTS}",
    "--dns": _RESOLVER,
    "--dns-search": _RESOLVER,
    "--dns-option": _RESOLVER,
    "--ulimit": "Set it with ulimit in the shell before pylife: RUN has the limits of its caller.",
    "--shm-size": "Leave it out: /dev/shm grows as it is used; limit the step as a whole with --memory.",
    "--cpu-shares": _CPU,
    "--cpuset-cpus": _CPU,
    "--cpu-quota": _CPU,
    "--cpu-period": _CPU,
    "--cap-add": _PRIVILEGES,
    "--security-opt": _PRIVILEGES,
    "--device": "Leave it out: RUN gets no devices of the host; use them when the image runs.",
    "--skip-unused-stages": "Leave it out: stages that nobody needs are never built.",
}
"""Option → what a person who knows it shall do; the command line offers it where a near word would mislead."""

VALUES: Mapping[tuple[str, str], str] = {
    ("--isolation", name): "Leave it out: the best sandbox of this host is taken, with namespaces and without root."
    for name in ("oci", "rootless", "default", "process")
} | {("--isolation", "hyperv"): "Leave it out: images are for Linux."}
"""Option and value of another builder → what to do."""

_VOLUME = re.compile(r"[^:=@\s]+:/(?!/)[^:]*(:[\w,]+)?")


def arguments(words: list[str]) -> list[str]:
    """The words of ``pylife build`` as click is to read them: ``--pull`` may stand alone.

    Raises UsageError for ``-v SRC:DST``, which elsewhere is a volume.
    """
    end = words.index("--") if "--" in words else len(words)
    for number, word in enumerate(words[:end]):
        following = words[number + 1] if number + 1 < end else ""
        value = following if word == "-v" else word[2:] if word.startswith("-v") else ""
        if _VOLUME.fullmatch(value):
            source, _, target = value.partition(":")
            target = target.partition(":")[0]
            raise UsageError(
                f"-v is --verbose here, and {value} looks like a volume",
                fix=f"In a Dockerfile: RUN --mount=type=bind,from=NAME,target={target} with --build-context "
                f"NAME={source}. For buildpacks: --volume {value}.",
            )
    return ["--pull=always" if word == "--pull" else word for word in words[:end]] + words[end:]
