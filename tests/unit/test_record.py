"""Frozen records behave as the standard library's dataclasses do: each claim holds for both."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import field
from functools import cached_property
from typing import Any, ClassVar

import pytest

from lifecycle.record import dataclass

Decorator = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Point:
    """A point."""

    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list, compare=False, repr=False)
    kind: ClassVar[str] = "point"


@pytest.fixture(params=[dataclasses.dataclass, dataclass], ids=["library", "ours"])
def decorator(request: pytest.FixtureRequest) -> Decorator:
    found: Decorator = request.param
    return found


def classes(decorator: Decorator) -> tuple[Any, Any]:
    @decorator(frozen=True, slots=True)
    class Base:
        name: str
        size: int = 3
        notes: list[str] = field(default_factory=list, compare=False, repr=False)

    @decorator(frozen=True, slots=True, kw_only=True)
    class Child(Base):
        extra: str
        more: tuple[int, ...] = ()

    return Base, Child


def test_fields_are_filled_by_place_name_and_default(decorator: Decorator) -> None:
    base, child = classes(decorator)
    made = base("a")
    assert (made.name, made.size, made.notes) == ("a", 3, [])
    assert base(size=4, name="b").size == 4
    assert made.notes is not base("a").notes
    made = child("a", 5, extra="e")
    assert (made.name, made.size, made.extra, made.more) == ("a", 5, "e", ())


@pytest.mark.parametrize("arguments", [{}, {"nothing": 1, "name": "a"}, {"size": 1}])
def test_wrong_arguments_are_a_type_error(decorator: Decorator, arguments: dict[str, Any]) -> None:
    base, _ = classes(decorator)
    with pytest.raises(TypeError):
        base(**arguments)


def test_keyword_only_fields_take_no_place(decorator: Decorator) -> None:
    _, child = classes(decorator)
    with pytest.raises(TypeError):
        child("a", 1, [], "e")


def test_equality_and_hash_look_at_compared_fields_of_one_class(decorator: Decorator) -> None:
    base, child = classes(decorator)
    assert base("a", notes=["x"]) == base("a", notes=["y"])
    assert base("a") != base("b")
    assert base("a") != child("a", extra="e")
    assert base("a") != ("a", 3)
    assert hash(base("a", notes=["x"])) == hash(base("a"))
    assert len({child("a", extra="e"), child("a", extra="e"), child("a", extra="f")}) == 2


def test_identity_counts_without_eq(decorator: Decorator) -> None:
    @decorator(frozen=True, slots=True, eq=False)
    class Thing:
        a: int

    one, other = Thing(1), Thing(1)
    assert one != other
    assert len({one, other}) == 2


def test_repr_names_the_shown_fields(decorator: Decorator) -> None:
    base, _ = classes(decorator)
    assert repr(base("a")).endswith("Base(name='a', size=3)")


def test_records_are_frozen_and_slotted(decorator: Decorator) -> None:
    base, child = classes(decorator)
    for made in (base("a"), child("a", extra="e")):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
            made.name = "b"
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'size'"):
            del made.size
        assert not hasattr(made, "__dict__")


def test_replace_fields_asdict_and_match_work(decorator: Decorator) -> None:
    base, child = classes(decorator)
    made = dataclasses.replace(child("a", extra="e"), size=9)
    assert dataclasses.asdict(made) == {"name": "a", "size": 9, "notes": [], "extra": "e", "more": ()}
    assert [item.name for item in dataclasses.fields(base)] == ["name", "size", "notes"]
    match base("a", 7):
        case base(name, size):
            assert (name, size) == ("a", 7)
        case _:
            pytest.fail("a record matches by place")


def test_methods_that_a_class_has_are_kept(decorator: Decorator) -> None:
    @decorator(frozen=True, slots=True)
    class Thing:
        a: int

        def __repr__(self) -> str:
            return "mine"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert (repr(Thing(1)), Thing(1) == Thing(2), hash(Thing(1))) == ("mine", True, 7)


def test_own_equality_keeps_records_hashable(decorator: Decorator) -> None:
    @decorator(frozen=True, slots=True)
    class Thing:
        a: int

        def __eq__(self, other: object) -> bool:
            return True

    assert hash(Thing(1)) == hash(Thing(1))


def test_post_init_and_fields_that_are_not_arguments(decorator: Decorator) -> None:
    @decorator(frozen=True)
    class Thing:
        a: int
        cache: dict[str, int] = field(default_factory=dict, init=False)
        fixed: int = field(default=5, init=False)

        def __post_init__(self) -> None:
            self.cache["a"] = self.a

        @cached_property
        def twice(self) -> int:
            return self.a * 2

    assert (Thing(4).cache, Thing(4).fixed, Thing(4).twice) == ({"a": 4}, 5, 8)
    with pytest.raises(TypeError):
        Thing(1, cache={})


def test_plain_subclass_may_add_attributes_but_not_change_fields(decorator: Decorator) -> None:
    @decorator(frozen=True)
    class Base:
        size: int

    class Plain(Base):
        pass

    made: Any = Plain(1)
    made.other = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.size = 2


def test_class_without_fields_is_a_value_too(decorator: Decorator) -> None:
    @decorator(frozen=True, slots=True)
    class Nothing:
        pass

    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())


def test_records_are_copied_and_pickled() -> None:
    point = Point(1, 2, ["t"])
    assert pickle.loads(pickle.dumps(point)).tags == ["t"]
    assert copy.deepcopy(point) == point
    assert copy.deepcopy(point).tags is not point.tags
    assert Point.kind == "point"


@pytest.mark.parametrize(("below", "above"), [(dataclasses.dataclass, dataclass), (dataclass, dataclasses.dataclass)])
def test_records_build_on_the_librarys_and_the_other_way_round(below: Decorator, above: Decorator) -> None:
    @below(frozen=True, slots=True)
    class Base:
        a: int

    @above(frozen=True, slots=True)
    class Child(Base):
        b: int = 2

    made: Any = Child(1)
    assert (made, hash(made)) == (Child(1, 2), hash(Child(1, 2)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.a = 3
    with pytest.raises(TypeError, match="frozen"):

        @above
        class Loose(Base):
            c: int = 3


def test_what_is_not_frozen_is_left_to_the_library() -> None:
    @dataclass(slots=True)
    class Loose:
        a: int = 0

    @dataclass(frozen=True, order=True)
    class Ordered:
        a: int = 0

    loose = Loose()
    loose.a = 2
    assert loose == Loose(2)
    assert Ordered(1) < Ordered(2)


def test_initializer_is_compiled_once() -> None:
    @dataclass(frozen=True)
    class Thing:
        a: int

    before = Thing.__init__
    Thing(1)
    compiled = Thing.__init__
    Thing(2)
    assert before is not compiled
    assert Thing.__init__ is compiled
