from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from case_file import cases, lines, sections
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.plan import (
    NO_WISHES,
    BadBuildPlan,
    BuildPlan,
    Offer,
    Require,
    parse_build_plan,
    render_buildpack_plan,
)
from lifecycle.buildpack.resolve import Detection, Resolution, Verdict, resolve


def detection(line: str, plans: dict[str, BuildPlan]) -> Detection:
    name, verdict, *code = line.split()
    id_ = name.rstrip("?!")
    element = GroupElement(id_, "1.0.0", optional=name != id_, extension="!" in name)
    match verdict:
        case "pass":
            return Detection.exited(element, 0, plans.get(id_, NO_WISHES))
        case "fail":
            return Detection.exited(element, 100, NO_WISHES)
        case "error":
            return Detection.exited(element, int(code[0]), NO_WISHES)
        case "target":
            return Detection(element, Verdict.TARGET)
        case "env":
            return Detection(element, Verdict.EXEC_ENV)
    raise AssertionError(line)


def shown(found: Resolution, keys: set[str]) -> list[str]:
    out = []
    if found.passed:
        out.append("group: " + " ".join(element.id for element in found.group))
        for entry in found.plan.entries:
            count = len(entry.requires)
            who = " ".join(provider.id for provider in entry.providers)
            out.append(f"plan: {entry.name} from {who}, asked for {count} time{'s' if count > 1 else ''}")
    else:
        out.append("failed with errors" if found.errored else "failed")
    out.extend(f"dropped: {reason}" for reason in found.dropped)
    out.extend(f"failure: {reason}" for reason in found.failure)
    if "choice" in keys:
        out.append("choice: " + " ".join(map(str, found.trials[-1].choice)))
    if "trials" in keys:
        out.append(f"trials: {found.trial_count}")
    return out


@pytest.mark.parametrize("path", cases("plan"), ids=lambda path: path.stem)
def test_plan_case(path: Path) -> None:
    text = sections(path)
    plans = {
        name.removeprefix("plan "): parse_build_plan(body.encode(), name, extension=f"{name[5:]}!" in text["group"])
        for name, body in text.items()
        if name.startswith("plan ")
    }
    expected = lines(text["expect"])
    found = resolve([detection(line, plans) for line in lines(text["group"])])
    assert shown(found, {line.partition(":")[0] for line in expected}) == expected
    assert found.explain()


def brute_force(detections: list[Detection]) -> tuple[str, ...] | None:
    """The specification's procedure without any shortcut: the oracle."""
    by_element = [
        [
            (item.element, offer, item.element.optional and number == len(item.plan.alternatives) - 1)
            for number, offer in enumerate(item.plan.alternatives)
        ]
        for item in detections
    ]
    for combination in product(*by_element):
        trial = list(combination)
        while True:
            bad = []
            for at, (_, offer, _) in enumerate(trial):
                provided = {name for _, other, _ in trial[: at + 1] for name in other.provides}
                wanted = {require.name for _, other, _ in trial[at:] for require in other.requires}
                if any(require.name not in provided for require in offer.requires) or set(offer.provides) - wanted:
                    bad.append(at)
            if any(not trial[at][2] for at in bad):
                break
            if not bad:
                if trial:
                    return tuple(element.id for element, _, _ in trial)
                break
            trial = [item for at, item in enumerate(trial) if at not in bad]
    return None


names = st.sampled_from("xyz")
offers = st.builds(
    lambda provides, requires: Offer(tuple(provides), tuple(Require(name) for name in requires)),
    st.lists(names, max_size=2),
    st.lists(names, max_size=2),
)
elements = st.tuples(st.booleans(), st.lists(offers, min_size=1, max_size=3))


@settings(max_examples=400, deadline=None)
@given(st.lists(elements, min_size=1, max_size=4))
def test_resolution_agrees_with_trying_everything(group: list[tuple[bool, list[Offer]]]) -> None:
    detections = [
        Detection.exited(GroupElement(f"e{at}", "1.0.0", optional=optional), 0, BuildPlan(tuple(alternatives)))
        for at, (optional, alternatives) in enumerate(group)
    ]
    found = resolve(detections)
    expected = brute_force(detections)
    assert (tuple(element.id for element in found.group) or None) == expected


def test_hopeless_product_of_alternatives_ends_at_once() -> None:
    never = BuildPlan(tuple(Offer((), (Require(f"missing-{n}"),)) for n in range(50)))
    detections = [Detection.exited(GroupElement(f"b{at}", "1.0.0"), 0, never) for at in range(30)]
    found = resolve(detections)
    assert not found.passed
    assert found.trial_count == 50
    assert len(found.trials) <= 32


def test_unused_provides_in_many_alternatives_end_at_once() -> None:
    never = BuildPlan(tuple(Offer((f"unused-{n}",)) for n in range(50)))
    detections = [Detection.exited(GroupElement(f"b{at}", "1.0.0"), 0, never) for at in range(30)]
    assert resolve(detections).trial_count == 50


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[[requires]]\nname = "x"\nversion = "1"\n', "requires[0].version"),
        ('[[requires]]\nname = "x"\nversion = "1"\n[requires.metadata]\nversion = "1"\n', "requires[0].version"),
        ('[[or]]\n[[or.requires]]\nname = "x"\nversion = "1"\n', "or[0].requires[0].version"),
        ("[[provides]]\n", "provides[0].name"),
        ("[[provides]]\nname = 3\n", "provides[0].name"),
        ('provides = "x"\n', "provides"),
    ],
)
def test_bad_plan_names_the_key(text: str, key: str) -> None:
    with pytest.raises(BadBuildPlan) as error:
        parse_build_plan(text.encode(), "plan.toml")
    assert error.value.where == f"plan.toml: {key}"


def test_extension_must_not_require() -> None:
    with pytest.raises(BadBuildPlan, match="not require"):
        parse_build_plan(b'[[requires]]\nname = "x"\n', "plan.toml", extension=True)


def test_plan_hands_each_provider_its_entries_until_met() -> None:
    plans = {
        "a": parse_build_plan(b'[[provides]]\nname = "x"\n[[provides]]\nname = "y"\n', "a"),
        "b": parse_build_plan(b'[[provides]]\nname = "x"\n', "b"),
        "c": parse_build_plan(b'[[requires]]\nname = "x"\n[requires.metadata]\nn = 1\n[[requires]]\nname = "y"\n', "c"),
    }
    found = resolve([detection(f"{name} pass", plans) for name in plans])
    a, b, c = found.group
    assert [require.name for require in found.plan.entries_for(a)] == ["x", "y"]
    assert [require.name for require in found.plan.entries_for(b)] == ["x"]
    assert found.plan.entries_for(c) == ()
    left = found.plan.without(["x"])
    assert left.entries_for(b) == ()
    assert [require.name for require in left.entries_for(a)] == ["y"]
    assert b"n = 1" in render_buildpack_plan(found.plan.entries_for(b))
