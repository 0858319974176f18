"""Detect: which buildpacks take part. Executables in parallel, the resolution a pure function of what they said.

There is no registry in reach here, and no credential.
Source: CNB Platform API, "Detect"; Buildpack API, "Phase #1: Detection".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from lifecycle.buildpack.descriptor import Buildpack, BuildpackStore, GroupElement, Order
from lifecycle.buildpack.execute import Context, Runner, detect_one
from lifecycle.buildpack.order import Group, Lookup, expand, verify
from lifecycle.buildpack.outline import Outline
from lifecycle.buildpack.plan import Plan
from lifecycle.buildpack.resolve import Detection, Resolution, Verdict, resolve
from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink, step

_GROUP_LIMIT = 1000
"""Groups that are tried before the order counts as hopeless: nested orders can multiply without end."""
_SURVEY_LIMIT = 32
"""Groups after the winner that are looked at, to name those that would have fitted too."""


class NothingDetected(PylifeError):
    """No group of buildpacks fits the app."""

    code = "detect.none"
    exit_code = 20
    fix = (
        "`pylife detect --explain` shows what each buildpack looked for. "
        "Is --app the directory that holds requirements.txt, package.json, pom.xml, index.html or a Procfile?"
    )

    def __init__(self, what: str, tried: Sequence[Resolution], *, details: str | None = None) -> None:
        super().__init__(what, details=details)
        self.tried = tuple(tried)


class DetectErrored(NothingDetected):
    """No group fits, and at least one buildpack's detect broke instead of saying no."""

    code = "detect.errored"
    exit_code = 21
    fix = "Read what the buildpack printed; `pylife detect --explain` shows it for every buildpack."


@dataclass(frozen=True, slots=True)
class Detected:
    """The group that won, its plan, and the story of every group that was tried, the winner last.

    ``others`` names what comes later in the order and would have fitted too: a composite buildpack, or the buildpacks
    of a group.
    """

    group: tuple[GroupElement, ...]
    plan: Plan
    tried: tuple[Resolution, ...]
    others: tuple[str, ...] = ()

    @property
    def outline(self) -> Outline:
        """What the buildpacks of the group are going to do."""
        return Outline.of(self.group, self.tried[-1].detections, self.others)


def lookup_in(*stores: BuildpackStore) -> Lookup:
    """A reader of descriptors that remembers them; an element that is an extension is looked for in those stores."""
    known: dict[tuple[bool, str, str], Buildpack] = {}

    def lookup(element: GroupElement) -> Buildpack:
        key = (element.extension, element.id, element.version)
        if key not in known:
            store = next(item for item in stores if item.extension == element.extension)
            known[key] = store.get(element.id, element.version)
        return known[key]

    return lookup


def detect(order: Order, lookup: Lookup, context: Context, runner: Runner, sink: Sink) -> Detected:
    """The first group of ``order`` that passes. Raises NothingDetected or DetectErrored with every group's reasons.

    Each buildpack is run once, whatever the number of groups it is in.
    """
    verify(order, lookup)
    with step(sink, "detect", "Detect") as told, ThreadPoolExecutor(8) as pool:
        detector = _Detector(lookup, context, runner, sink, pool)
        tried: list[Resolution] = []
        for number, (position, group) in enumerate(_expand_each(order, lookup)):
            if number >= _GROUP_LIMIT:
                sink.emit(Message(f"Only the first {_GROUP_LIMIT} groups of the order were tried", "warning"))
                break
            resolution = detector.resolve(group)
            tried.append(resolution)
            if resolution.passed:
                _tell_of_broken(tried, sink)
                others = tuple(detector.others(resolution, order[position + 1 :]))
                told.detail = ", ".join(str(element) for element in resolution.group)
                return Detected(resolution.group, resolution.plan, tuple(tried), others)
    raise _failure(tried)


def _expand_each(order: Order, lookup: Lookup) -> Iterator[tuple[int, Group]]:
    """Every group to try, with the position in ``order`` of what it comes from."""
    for position, entry in enumerate(order):
        yield from ((position, group) for group in expand((entry,), lookup))


class _Detector:
    """Runs detects, and remembers what came of them."""

    def __init__(self, lookup: Lookup, context: Context, runner: Runner, sink: Sink, pool: ThreadPoolExecutor) -> None:
        self._lookup = lookup
        self._context = context
        self._runner = runner
        self._sink = sink
        self._pool = pool
        self._known: dict[GroupElement, Detection] = {}

    def resolve(self, group: Group) -> Resolution:
        """What comes of a group, once those of its buildpacks have run that did not before."""
        self._run(group)
        return resolve([replace(self._known[_alone(element)], element=element) for element in group])

    def others(self, winner: Resolution, order: Order) -> Iterator[str]:
        """Those of ``order`` that fit too and bring a buildpack that the winner has not.

        A group's optional buildpacks are run only when the others passed: an order of many languages costs one short
        process for each.
        """
        taken = {element.key for element in winner.group}
        groups = list(islice(_expand_each(order, self._lookup), _SURVEY_LIMIT))
        self._run({element: None for _, group in groups for element in group if not element.optional})
        found: dict[int, str] = {}
        for position, group in groups:
            required = [_alone(element) for element in group if not element.optional]
            new = [element.id for element in required if element.key not in taken]
            if position in found or not new:
                continue
            if all(self._known[item].verdict is Verdict.PASSED for item in required) and self.resolve(group).passed:
                entry = order[position]
                found[position] = entry[0].id if len(entry) == 1 else " with ".join(new)
        return iter(found.values())

    def _run(self, elements: Iterable[GroupElement]) -> None:
        new = [element for element in map(_alone, elements) if element not in self._known]
        for element, detection in zip(new, self._pool.map(self._one, new), strict=True):
            self._known[element] = detection
            for line in detection.output:
                self._sink.emit(Message(f"[{element.id}] {line}", "debug"))

    def _one(self, element: GroupElement) -> Detection:
        return detect_one(element, self._lookup(element), self._context, self._runner)


def _tell_of_broken(tried: Sequence[Resolution], sink: Sink) -> None:
    """Warn of buildpacks that might have been taken had their detect not broken."""
    found = {item.element.id: item for each in tried for item in each.detections if item.verdict is Verdict.ERRORED}
    for detection in found.values():
        said = f": {detection.output[-1]}" if detection.output else ""
        why = f"{detection.why}{said}"
        sink.emit(Message(f"{detection.element} does not take part, because its detect broke ({why})", "warning"))


def _alone(element: GroupElement) -> GroupElement:
    """The element as it is run: whether a group can do without it does not matter."""
    return replace(element, optional=False)


def _failure(tried: Sequence[Resolution]) -> PylifeError:
    lines = []
    broken = []
    for number, resolution in enumerate(tried, 1):
        lines.append(f"group {number}:")
        lines.extend(f"  {line}" for line in resolution.explain())
        for detection in resolution.detections:
            if detection.exit_code not in (0, 100, None) and detection.element not in broken:
                broken.append(detection.element)
                lines.extend(f"    {line}" for line in detection.output[-20:])
    details = "\n".join(lines[:200])
    if any(resolution.errored for resolution in tried):
        what = "No group of buildpacks fits the app, and a buildpack's detect broke"
        return DetectErrored(what, tried, details=details)
    return NothingDetected("No group of buildpacks fits the app", tried, details=details)


def explain(tried: Sequence[Resolution]) -> tuple[str, ...]:
    """Every group in lines: what each buildpack looked for and found (its own output), and why it was dropped."""
    lines: list[str] = []
    for number, resolution in enumerate(tried, 1):
        lines.append(f"Group {number}: {'passed' if resolution.passed else 'failed'}")
        lines.extend(f"  {line}" for line in resolution.explain())
    seen: set[GroupElement] = set()
    for resolution in tried:
        for detection in resolution.detections:
            element = replace(detection.element, optional=False)
            if element in seen or not detection.output:
                continue
            seen.add(element)
            lines.append(f"{element} said:")
            lines.extend(f"  {line}" for line in detection.output)
    return tuple(lines)
