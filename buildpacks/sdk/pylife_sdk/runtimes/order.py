"""Versions in order, and the sources in the order that the user set."""

from __future__ import annotations

from pylife_sdk.output import fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLE = "BP_RUNTIME_SOURCES"
SOURCES = ("image", "folder", "npm", "pypi", "debian", "uv", "mirror")
_WITH_PLACE = ("folder", "mirror")


def version_key(version: str) -> tuple[tuple[int, ...], bool, str]:
    """What versions sort by: their leading numbers, then a pre-release before its release."""
    numbers, rest = _numbers(version)
    while numbers and numbers[-1] == 0:
        numbers.pop()
    released = not rest or rest.startswith("+")
    return tuple(numbers), released, "" if released else rest


def newest_first(versions: Iterable[str]) -> list[str]:
    """The versions without repetition, newest first."""
    return sorted(dict.fromkeys(versions), key=version_key, reverse=True)


def nearest(versions: Iterable[str], want: str, limit: int = 5) -> list[str]:
    """The versions closest to what was wanted, newest first; the newest ones when it names no number."""
    found = newest_first(versions)
    target = _numbers(want.lstrip("^~<>= v"))[0]
    if not target:
        return found[:limit]

    def distance(version: str) -> list[int]:
        numbers = _numbers(version)[0]
        return [abs(wanted - (numbers[i] if i < len(numbers) else 0)) for i, wanted in enumerate(target)]

    return newest_first(sorted(found, key=distance)[:limit])


def parse_sources(text: str, origin: str) -> list[tuple[str, str]]:
    """Source names with their places ("" where none is given), in order.

    Raises ``Failure`` runtime.bad-sources. ``origin`` says where the text was found.
    """
    sources: list[tuple[str, str]] = []
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        name, _, place = item.partition(":")
        if name not in SOURCES or (place and name not in _WITH_PLACE):
            known = ", ".join(f"{each}:PLACE" if each in _WITH_PLACE else each for each in SOURCES)
            fail(
                "runtime.bad-sources",
                f"{origin} names a source of runtimes that there is not: {redact(item)}.",
                found=f"{VARIABLE}={','.join(redact(part) for part in text.split(','))}\nthere are: {known}",
                fix=f"Name known sources, separated by commas, the first one first:\n"
                f"--env {VARIABLE}=folder:vendor/runtimes,npm",
            )
        sources.append((name, place))
    if not sources:
        fail(
            "runtime.bad-sources",
            f"{origin} names no source of runtimes.",
            found=f"{VARIABLE}={text!r}",
            fix=f"Leave {VARIABLE} unset for the usual order, or name at least one of: {', '.join(SOURCES)}",
        )
    return sources


def redact(url: str) -> str:
    """A URL without its user and password."""
    head, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if separator and "@" in host:
        host = "***@" + host.rpartition("@")[2]
    return f"{head}{separator}{host}{slash}{path}"


def _numbers(version: str) -> tuple[list[int], str]:
    numbers: list[int] = []
    rest = version.removeprefix("v")
    while rest and rest[0].isdigit():
        length = next((i for i, c in enumerate(rest) if not c.isdigit()), len(rest))
        numbers.append(int(rest[:length]))
        rest = rest[length:]
        if rest[:1] != "." or not rest[1:2].isdigit():
            break
        rest = rest[1:]
    return numbers, rest
