from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.graph import Ingredient, Key
from lifecycle.graph.key import encode
from lifecycle.oci import Digest

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.binary(max_size=6), st.just(Digest.of(b"x"))
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=8,
)


def tagged(value: object) -> object:
    """The value with its type, as Python does not tell 1 from True."""
    match value:
        case dict():
            return ("dict", tuple(sorted((name, repr(tagged(item))) for name, item in value.items())))
        case list() | tuple():
            return ("list", tuple(tagged(item) for item in value))
        case _:
            return (type(value).__name__, value)


@given(values, values)
def test_different_values_never_give_the_same_bytes(one: object, two: object) -> None:
    assert (encode(one) == encode(two)) == (tagged(one) == tagged(two))  # type: ignore[arg-type]


LOOKALIKES = [
    None, "", b"", [], {}, 0, False, True, 1, "1", b"1", "0", [0], [""], ["", ""], [[]], [[], []], [None], "n0:",
    ["a", "bc"], ["ab", "c"], ["abc"], ["a", ["bc"]], [["a"], "bc"], {"a": "b"}, [["a", "b"]], ["a", "b"], {"a": None},
    Digest.of(b""), str(Digest.of(b"")), Key("0" * 64), "0" * 64, -1, "-1", "s1:a", ["s1:a"], "as1:a",
]  # fmt: skip


def test_values_that_look_alike_have_different_keys() -> None:
    keys = [Key.of("k", [Ingredient("name", value)]) for value in LOOKALIKES]  # type: ignore[arg-type]
    assert len(set(keys)) == len(LOOKALIKES)


PARTS: list[Key] = [
    Key.of("run", []),
    Key.of("run", [Ingredient("", "")]),
    Key.of("run", [Ingredient("a", "b")]),
    Key.of("runa", [Ingredient("", "b")]),
    Key.of("run", [Ingredient("a", "b"), Ingredient("c", "d")]),
    Key.of("run", [Ingredient("a", ["b", "c", "d"])]),
    Key.of("run", [Ingredient("ab", "")]),
    Key.of("run", [Ingredient("c", "d"), Ingredient("a", "b")]),
    Key.of("run", [], [None]),
    Key.of("run", [], [Key("0" * 64)]),
    Key.of("run", [], [Key("0" * 64), Key("0" * 64)]),
    Key.of("run", [], [Key("0" * 64), None]),
    Key.of("run", [], [Digest("sha256", "0" * 64)]),
    Key.of("run", [Ingredient("a", Key("0" * 64))]),
    Key.of("run", [], level="content"),
    Key.of("content", [], level="run"),
]


def test_no_part_of_a_key_can_pass_for_another() -> None:
    for one, two in combinations(PARTS, 2):
        assert one != two


def test_the_order_of_a_mapping_does_not_count_and_that_of_a_list_does() -> None:
    assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1})
    assert encode([1, 2]) != encode([2, 1])


def test_a_key_is_the_same_in_every_process() -> None:
    found = Key.of("copy", [Ingredient("file a", b"x"), Ingredient("mode", 0o644)], [Key("a" * 64), None], "content")
    assert found.hex == "2769d6d7ee1f785891638e882748b098f3c09da1fea841ad2dbe6a6dcc3957bc"


def test_names_that_are_no_utf8_can_be_part_of_a_key() -> None:
    assert encode(b"\xff".decode("utf-8", "surrogateescape")) != encode("?")


def test_a_value_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        encode(1.5)  # type: ignore[arg-type]
