"""What apt-get's words mean: ids, what was found, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

from pylife_sdk.network_failures import UNREACHED, UNTRUSTED
from pylife_sdk.output import fail

_UNKNOWN = re.compile(
    r"^E: Unable to locate package (\S+)|^E: Couldn't find any package by (?:glob|regex) '([^']+)'", re.M
)
_NO_CANDIDATE = re.compile(r"^E: Package '([^']+)' has no installation candidate", re.M)
_VERSION = re.compile(r"^E: Version '([^']+)' for '([^']+)' was not found", re.M)
_CONFLICT = re.compile(r"unmet dependencies|held broken packages|Unable to correct problems", re.I)
_UNSIGNED = re.compile(
    r"is not signed|does not have a Release file|unauthenticated packages|NO_PUBKEY|"
    r"EXPKEYSIG|BADSIG|signatures were invalid",
    re.I,
)
_HELD = re.compile(r"Held packages were changed", re.I)
_FULL = re.compile(r"No space left on device|don't have enough free space|Disk quota exceeded", re.I)


def fail_offline(output: str) -> None:
    """Raises ``Failure`` apt.network if apt's words tell of it."""
    if UNTRUSTED.search(output):
        fail(
            "apt.network",
            "Debian's archive could not be asked: its server's certificate is not trusted.",
            found=_tail(output),
            fix="Give the certificate authority of your company to the build: pylife build --ca-file company.pem",
        )
    if UNREACHED.search(output):
        fail(
            "apt.network",
            "Debian's archive cannot be reached, and the cache does not have all packages that are wanted.",
            found=_tail(output),
            fix="Build with a network once (without --network none), so that the cache is filled, and check HTTP_PROXY "
            "and NO_PROXY.",
        )


def explain(
    output: str, packages: Sequence[str], names: Callable[[], list[str]], asked_at: Callable[[str], str]
) -> NoReturn:
    """Raises the ``Failure`` that apt's words stand for. ``names`` returns all known package names."""
    if unknown := _UNKNOWN.search(output) or _NO_CANDIDATE.search(output):
        name = next(group for group in unknown.groups() if group)
        near = near_names(name, names())
        fail(
            "apt.package-not-found",
            f"Debian has no package {name}.",
            found=f"{asked_at(name)}\nnear names: {', '.join(near) or 'none'}",
            fix=f"Write {near[0]} if that is meant" if near else f"Look for it with: apt-cache search {name}",
        )
    if version := _VERSION.search(output):
        fail(
            "apt.version-not-found",
            f"Debian has no version {version[1]} of {version[2]}.",
            found=f"{asked_at(version[2])}\n{version[0]}",
            fix=f"Leave the version away; Debian's archive has one version of a package at a time:\n{version[2]}",
        )
    fail_offline(output)
    if _UNSIGNED.search(output):
        fail(
            "apt.unauthenticated",
            "Debian packages are refused: their list is not signed by a key that the build image trusts.",
            found=_tail(output),
            fix="The builder's sources in /etc/apt need a key (Signed-By) that is valid; make the builder again with "
            "a current keyring:\npylife builder create",
        )
    if _FULL.search(output):
        fail(
            "apt.disk-full",
            "There is no room on the disk for Debian packages.",
            found=_tail(output),
            fix="Make room, for example by removing what no image needs any more:\npylife gc",
        )
    if _HELD.search(output):
        fail(
            "apt.image-outdated",
            "The packages need newer versions of what the images have, such as the C library.",
            found=_tail(output, 20),
            fix="Make the stack and the builder anew, from the packages of today:\n"
            "pylife stack create && pylife builder create --force",
        )
    if _CONFLICT.search(output):
        fail(
            "apt.conflict",
            f"Debian's packages do not fit together: {', '.join(packages)}.",
            found=_from(output, "The following packages have unmet"),
            fix="Leave out one of the packages that apt names above, or its version.",
        )
    fail(
        "apt.failed",
        "apt-get could not fetch the packages.",
        found=_tail(output) or "apt-get said nothing",
        fix="apt's last lines above name the cause.",
    )


def near_names(name: str, known: Sequence[str], limit: int = 5) -> list[str]:
    """Package names that were perhaps meant, the likeliest first."""
    bare = name.split("=")[0].lower()
    exact = [each for each in (bare, f"lib{bare}", f"{bare}-dev", f"lib{bare}-dev", f"python3-{bare}") if each in known]
    close = difflib.get_close_matches(bare, known, n=limit, cutoff=0.75)
    versions = sorted(each for each in known if re.fullmatch(re.escape(bare.rstrip("0123456789.")) + r"[0-9.-]+", each))
    return list(dict.fromkeys([*exact, *close, *versions]))[:limit]


def _tail(output: str, limit: int = 8) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("E:", "W:"))]
    return "\n".join((told if len(told) > 1 else lines)[-limit:])


def _from(output: str, words: str) -> str:
    """The output from some words on; its last lines when they are not there."""
    position = output.find(words)
    return output[position:].strip() if position >= 0 else _tail(output, 20)
