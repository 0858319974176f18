"""Does a group of buildpacks work together? A pure function of what their detects said.

``resolve`` tries the alternatives of the build plans depth-first and takes the first combination that fits. Every
decision is kept as a value, so that ``pylife detect --explain`` can say why.
Source: CNB buildpack.md, "Phase #1: Detection", "Process".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.plan import EMPTY_PLAN, NO_WISHES, BuildPlan, Offer, Plan, plan_of

KEPT_TRIALS = 32
_PASS = 0
_FAIL = 100


class Verdict(Enum):
    """How one element fared before the plans were compared."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    TARGET = "target mismatch"
    EXEC_ENV = "execution environment mismatch"


@dataclass(frozen=True, slots=True)
class Detection:
    """What became of one element's detect. ``why`` says it in words when the verdict alone does not.

    ``output`` is what it wrote, stdout and stderr together; ``exit_code`` is None when it was not run.
    """

    element: GroupElement
    verdict: Verdict
    plan: BuildPlan = NO_WISHES
    exit_code: int | None = None
    why: str = ""
    output: tuple[str, ...] = ()

    @classmethod
    def exited(cls, element: GroupElement, code: int, plan: BuildPlan, output: tuple[str, ...] = ()) -> Detection:
        """The detection of a detect that ended with ``code``."""
        match code:
            case 0:
                return cls(element, Verdict.PASSED, plan, _PASS, "", output)
            case 100:
                return cls(element, Verdict.FAILED, NO_WISHES, _FAIL, "detect said no (exit code 100)", output)
            case _:
                return cls(element, Verdict.ERRORED, NO_WISHES, code, f"detect exited with {code}", output)


@dataclass(frozen=True, slots=True)
class UnmetRequire:
    """``element`` requires ``name``, which neither it nor an earlier element provides."""

    element: GroupElement
    name: str

    def __str__(self) -> str:
        return f"{self.element} requires {self.name}, which nothing before it provides"


@dataclass(frozen=True, slots=True)
class UnusedProvide:
    """``element`` provides ``name``, which neither it nor a later element requires."""

    element: GroupElement
    name: str

    def __str__(self) -> str:
        return f"{self.element} provides {self.name}, which nothing after it requires"


@dataclass(frozen=True, slots=True)
class NotPassed:
    """``element`` did not pass its detect, so it cannot be in the group."""

    element: GroupElement
    detection: Detection

    def __str__(self) -> str:
        return f"{self.element}: {self.detection.why or self.detection.verdict.value}"


@dataclass(frozen=True, slots=True)
class NothingLeft:
    """No buildpack is left in the group once the optional ones are out."""

    def __str__(self) -> str:
        return "no buildpack is left in the group"


Reason = UnmetRequire | UnusedProvide | NotPassed | NothingLeft


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of alternatives: per element the number of its alternative (0 = top level of its plan).

    ``dropped`` are the optional elements left out and why; ``failure`` is why it does not fit, None for the winner.
    """

    choice: tuple[int, ...]
    dropped: tuple[Reason, ...] = ()
    failure: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What came of one group.

    ``group``, as group.toml records it, and ``plan`` are filled only when ``passed``. ``dropped`` are the elements
    left out of a passed group and ``failure`` the reasons of a failed one; ``errored`` is True when an element broke
    rather than said no (exit code 21 instead of 20). Only the first trials are kept; ``trial_count`` counts all.
    """

    detections: tuple[Detection, ...]
    group: tuple[GroupElement, ...] = ()
    plan: Plan = EMPTY_PLAN
    dropped: tuple[Reason, ...] = ()
    failure: tuple[Reason, ...] = ()
    trials: tuple[Trial, ...] = ()
    trial_count: int = 0
    errored: bool = False

    @property
    def passed(self) -> bool:
        return bool(self.group)

    def explain(self) -> tuple[str, ...]:
        """The story of the group in lines: each element, then what the plans came to."""
        lines = []
        reasons = {reason.element: reason for reason in self.dropped if not isinstance(reason, NothingLeft)}
        for detection in self.detections:
            element, optional = detection.element, " (optional)" if detection.element.optional else ""
            if detection.verdict is not Verdict.PASSED:
                word = "skipped" if element.optional or detection.verdict is Verdict.EXEC_ENV else "failed"
                lines.append(f"{element}{optional}: {word}: {detection.why or detection.verdict.value}")
            elif element in reasons:
                lines.append(f"{element}{optional}: passed, then dropped: {reasons[element]}")
            else:
                lines.append(f"{element}{optional}: passed")
        if self.passed:
            lines.extend(
                f"{entry.name} is provided by {', '.join(map(str, entry.providers))}" for entry in self.plan.entries
            )
            return tuple(lines)
        lines.extend(f"group failed: {reason}" for reason in self.failure)
        if self.trial_count > 1:
            lines.append(f"{self.trial_count} combinations of alternatives were tried")
        return tuple(lines)


def resolve(detections: Sequence[Detection]) -> Resolution:
    """The outcome of the group whose elements were detected so, in group order."""
    everything = tuple(detections)
    counted = tuple(item for item in everything if item.verdict is not Verdict.EXEC_ENV)
    errored = any(
        item.verdict is Verdict.ERRORED or (item.verdict is Verdict.TARGET and not item.element.optional)
        for item in counted
    )
    absent = tuple(NotPassed(item.element, item) for item in counted if item.verdict is not Verdict.PASSED)
    failure = tuple(reason for reason in absent if not reason.element.optional)
    passed = tuple(item for item in counted if item.verdict is Verdict.PASSED)
    if failure:
        return Resolution(everything, failure=failure, errored=errored)
    if all(item.element.extension for item in passed):
        return Resolution(everything, failure=(NothingLeft(),), dropped=absent)
    kept: list[Trial] = []
    count = 0
    for trial, offers in _trials(passed):
        count += 1
        if len(kept) < KEPT_TRIALS or not trial.failure:
            kept.append(trial)
        if not trial.failure:
            group = tuple(replace(element, optional=element.extension, exec_env=()) for element, _ in offers)
            dropped = (*absent, *trial.dropped)
            return Resolution(everything, group, plan_of(offers), dropped, (), tuple(kept), count)
    # The first trial is the one made of everyone's first wish: its failure is the one worth showing.
    return Resolution(everything, dropped=absent, failure=kept[0].failure, trials=tuple(kept), trial_count=count)


_Offers = tuple[tuple[GroupElement, Offer], ...]


@dataclass(frozen=True, slots=True)
class _Option:
    """One alternative of one element; ``optional`` only on the last, so that dropping comes after all of them."""

    element: GroupElement
    number: int
    offer: Offer
    optional: bool


def _options(detection: Detection) -> tuple[_Option, ...]:
    offers = detection.plan.alternatives
    optional = detection.element.optional
    return tuple(
        _Option(detection.element, number, offer, optional and number == len(offers) - 1)
        for number, offer in enumerate(offers)
    )


def _trials(passed: tuple[Detection, ...]) -> Iterator[tuple[Trial, _Offers]]:
    """Every combination, depth-first, with its outcome.

    A beginning that no continuation can mend is reported once and not continued: a require can only be met by what
    comes before it, and a provide only be used by what some later alternative asks for. This changes no result and
    keeps hostile products of alternatives small.
    """
    options = [_options(detection) for detection in passed]
    wanted_later: list[frozenset[str]] = [frozenset()]
    for choices in reversed(options):
        asked = frozenset(require.name for option in choices for require in option.offer.requires)
        wanted_later.append(wanted_later[-1] | asked)
    wanted_later.reverse()  # wanted_later[i]: names that any alternative of element i or later asks for

    def extend(prefix: tuple[_Option, ...]) -> Iterator[tuple[Trial, _Offers]]:
        depth = len(prefix)
        hopeless = _hopeless(prefix, wanted_later[depth])
        if hopeless or depth == len(options):
            yield _run_trial(prefix, hopeless)
            return
        for option in options[depth]:
            yield from extend((*prefix, option))

    return extend(())


def _hopeless(prefix: tuple[_Option, ...], wanted_later: frozenset[str]) -> tuple[Reason, ...]:
    if not prefix:
        return ()
    last = prefix[-1]
    if last.optional:
        return ()
    provided = {name for option in prefix for name in option.offer.provides}
    for require in last.offer.requires:
        if require.name not in provided:
            return (UnmetRequire(last.element, require.name),)
    asked = {require.name for require in last.offer.requires} | wanted_later
    for name in last.offer.provides:
        if name not in asked:
            return (UnusedProvide(last.element, name),)
    return ()


def _run_trial(options: tuple[_Option, ...], hopeless: tuple[Reason, ...]) -> tuple[Trial, _Offers]:
    """Drop the optional elements that do not fit until nothing changes; fail at the first required one."""
    choice = tuple(option.number for option in options)
    dropped: list[Reason] = []
    if hopeless:
        return Trial(choice, (), hopeless), ()
    while True:
        faults = _faults(options)
        failure = tuple(reason for option, reason in faults if not option.optional)
        if failure:
            return Trial(choice, tuple(dropped), failure), ()
        if not faults:
            break
        gone = {id(option) for option, _ in faults}
        dropped.extend({id(option): reason for option, reason in reversed(faults)}.values())
        options = tuple(option for option in options if id(option) not in gone)
    if all(option.element.extension for option in options):
        return Trial(choice, tuple(dropped), (NothingLeft(),)), ()
    return Trial(choice, tuple(dropped)), tuple((option.element, option.offer) for option in options)


def _faults(options: tuple[_Option, ...]) -> list[tuple[_Option, Reason]]:
    """Who requires what is not provided before, and who provides what is not required after, in group order."""
    faults: list[tuple[_Option, Reason]] = []
    provided: set[str] = set()
    for option in options:
        provided.update(option.offer.provides)
        faults.extend(
            (option, UnmetRequire(option.element, require.name))
            for require in option.offer.requires
            if require.name not in provided
        )
    required: set[str] = set()
    unused: list[tuple[_Option, Reason]] = []
    for option in reversed(options):
        required.update(require.name for require in option.offer.requires)
        unused.extend(
            (option, UnusedProvide(option.element, name)) for name in option.offer.provides if name not in required
        )
    return faults + unused[::-1]
