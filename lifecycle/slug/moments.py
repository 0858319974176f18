"""What happens in a slug build, as values: a profile turns each into the lines of the tool that it speaks for.

Sizes are in bytes, durations in seconds. ``kind`` is what a buildpack's bin/detect called the app (``Python``).
"""

from __future__ import annotations

from typing import Literal, Protocol

from lifecycle.record import dataclass

StepName = Literal["setup", "detect", "analysis", "build", "export", "finish"]
Hook = Literal["pre-compile", "post-compile"]


@dataclass(frozen=True, slots=True)
class Started:
    """The build began, for the stack of that name."""

    stack: str


@dataclass(frozen=True, slots=True)
class StepBegan:
    """One of the six parts of a build began: a part is a group of other moments."""

    step: StepName


@dataclass(frozen=True, slots=True)
class StepDone:
    step: StepName
    seconds: float


@dataclass(frozen=True, slots=True)
class FetchingSource:
    """``origin`` is where from, for people: no credentials in it."""

    origin: str


@dataclass(frozen=True, slots=True)
class FetchingBuildpack:
    """``custom`` when the user named it, rather than the platform."""

    name: str
    version: str = ""
    origin: str = ""
    custom: bool = True


@dataclass(frozen=True, slots=True)
class NotFetched:
    """A buildpack that was asked for is not to be had at ``origin``; the error follows."""

    origin: str


@dataclass(frozen=True, slots=True)
class RestoringCache:
    pass


@dataclass(frozen=True, slots=True)
class CacheRestored:
    """``found`` is False when there was none; ``why`` says so when one was there and could not be used."""

    found: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class IgnoredRemoved:
    """So many files that .slugignore names were removed."""

    files: int


@dataclass(frozen=True, slots=True)
class Detecting:
    buildpack: str


@dataclass(frozen=True, slots=True)
class Detected:
    """``others`` are buildpacks behind it in the order that would have taken the app too."""

    kind: str
    buildpack: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NothingDetected:
    """``tried`` are the buildpacks asked; ``custom`` when the user had named them."""

    tried: tuple[str, ...]
    custom: bool = False


@dataclass(frozen=True, slots=True)
class Selected:
    buildpacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HookStarted:
    hook: Hook
    script: str


@dataclass(frozen=True, slots=True)
class Compiling:
    kind: str
    buildpack: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a buildpack or a hook wrote, without its newline."""

    text: str
    stream: Literal["stdout", "stderr"] = "stdout"


@dataclass(frozen=True, slots=True)
class Discovering:
    """The process types are being looked for."""


@dataclass(frozen=True, slots=True)
class TypesFound:
    """``declared`` are the Procfile's types, ``default`` those of the buildpack for apps of ``kind``."""

    declared: tuple[str, ...]
    default: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Compressing:
    pass


@dataclass(frozen=True, slots=True)
class SlugMade:
    """``digest`` is the archive's, as ``sha256:…``."""

    size: int
    digest: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Sending:
    """The slug is being sent; ``target`` is shown to people: no credentials, no signature."""

    target: str


@dataclass(frozen=True, slots=True)
class SlugUnchanged:
    """``target`` has this very slug already: nothing was sent."""

    target: str
    digest: str


@dataclass(frozen=True, slots=True)
class CheckingCache:
    pass


@dataclass(frozen=True, slots=True)
class CacheChecked:
    """What became of the cache; ``size`` is that of what was stored (0 when nothing was)."""

    state: Literal["stored", "unchanged", "empty"]
    size: int = 0


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that does not stop the build but should be known."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The build is over; ``why`` is one sentence when it failed. ``step`` is the one that failed."""

    ok: bool
    seconds: float
    why: str = ""
    step: StepName | None = None


Moment = (
    Started
    | StepBegan
    | StepDone
    | FetchingSource
    | FetchingBuildpack
    | NotFetched
    | RestoringCache
    | CacheRestored
    | IgnoredRemoved
    | Detecting
    | Detected
    | NothingDetected
    | Selected
    | HookStarted
    | Compiling
    | Line
    | Discovering
    | TypesFound
    | Compressing
    | SlugMade
    | Sending
    | SlugUnchanged
    | CheckingCache
    | CacheChecked
    | Warned
    | Ended
)


class Journal(Protocol):
    """Takes the moments of a build in their order."""

    def tell(self, moment: Moment) -> None: ...
