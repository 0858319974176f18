"""Detect: which buildpacks take part. Executables in parallel, the resolution a pure function of what they said.

There is no registry in reach here, and no credential.
Source: CNB Platform API, "Detect"; Buildpack API, "Phase #1: Detection".
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lifecycle.buildpack.descriptor import Buildpack, BuildpackStore, GroupElement, Order
from lifecycle.buildpack.execute import Context, Runner, detect_one
from lifecycle.buildpack.order import Lookup, expand, verify
from lifecycle.buildpack.plan import Plan
from lifecycle.buildpack.resolve import Detection, Resolution, resolve
from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink, step

_GROUP_LIMIT = 1000
"""Groups that are tried before the order counts as hopeless: nested orders can multiply without end."""


class NothingDetected(PylifeError):
    """No group of buildpacks fits the app."""

    code = "detect.none"
    exit_code = 20
    fix = (
        "`pylife detect --explain` shows what each buildpack looked for. "
        "Is --app the directory that holds requirements.txt, manage.py or a Procfile?"
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
    """The group that won, its plan, and the story of every group that was tried, the winner last."""

    group: tuple[GroupElement, ...]
    plan: Plan
    tried: tuple[Resolution, ...]


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
    known: dict[GroupElement, Detection] = {}
    tried: list[Resolution] = []
    with step(sink, "detect", "Detect") as told, ThreadPoolExecutor(8) as pool:

        def run(element: GroupElement) -> Detection:
            return detect_one(element, lookup(element), context, runner)

        for number, group in enumerate(expand(order, lookup)):
            if number >= _GROUP_LIMIT:
                sink.emit(Message(f"Only the first {_GROUP_LIMIT} groups of the order were tried", "warning"))
                break
            alone = [replace(element, optional=False) for element in group]
            new = [element for element in alone if element not in known]
            for element, detection in zip(new, pool.map(run, new), strict=True):
                known[element] = detection
                _show(detection, sink)
            resolution = resolve([replace(known[key], element=item) for key, item in zip(alone, group, strict=True)])
            tried.append(resolution)
            if resolution.passed:
                told.detail = ", ".join(str(element) for element in resolution.group)
                return Detected(resolution.group, resolution.plan, tuple(tried))
    raise _failure(tried)


def _show(detection: Detection, sink: Sink) -> None:
    for line in detection.output:
        sink.emit(Message(f"[{detection.element.id}] {line}", "debug"))


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
