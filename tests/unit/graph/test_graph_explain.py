from __future__ import annotations

from pathlib import Path

import pytest
from graph_workshop import Workshop

from lifecycle.graph import Base, Explained, Ingredient, KnownLayer, Memory, Vertex
from lifecycle.testing.images import layer_of


def build(shop: Workshop, *targets: Vertex) -> dict[str, tuple[str, tuple[str, ...]]]:
    solver = shop.solver(memory=Memory(shop.cache.root / "slots"))
    solver.solve(targets)
    return {row.title: (row.outcome, row.causes) for row in solver.explained}


def test_the_first_build_has_no_records(shop: Workshop) -> None:
    found = build(shop, shop.write("b", shop.write("a")))
    assert found == {"a": ("miss", ("no record: first build",)), "b": ("miss", ("no record: first build",))}


def test_an_unchanged_build_hits(shop: Workshop) -> None:
    build(shop, shop.write("b", shop.write("a")))
    assert build(shop, shop.write("b", shop.write("a"))) == {"a": ("hit", ()), "b": ("hit", ())}


def test_a_stage_that_only_serves_known_steps_is_not_needed(shop: Workshop) -> None:
    build(shop, shop.write("copy", None, shop.write("make")))
    assert build(shop, shop.write("copy", None, shop.write("make")))["make"] == ("not needed", ())


def test_a_changed_argument_is_told_with_both_values(shop: Workshop) -> None:
    build(shop, shop.write("a", arguments={"VERSION": "1"}))
    found = build(shop, shop.write("a", arguments={"VERSION": "2"}, files={"a": b"a"}))
    assert found["a"] == ("miss", ('argument VERSION: "1" → "2"',))


def test_a_new_and_a_missing_argument_are_told(shop: Workshop) -> None:
    build(shop, shop.write("a", arguments={"OLD": "1"}))
    found = build(shop, shop.write("a", arguments={"NEW": "2"}))
    assert found["a"] == ("miss", ('argument NEW is new: "2"', 'argument OLD is gone, it was "1"'))


def test_a_changed_instruction_is_told_with_both_texts(shop: Workshop) -> None:
    build(shop, shop.write("one", slot="s"))
    assert build(shop, shop.write("two", slot="s", files={"one": b"one"}))["two"][1] == ('instruction: "one" → "two"',)


def test_changed_files_are_told_by_name(shop: Workshop) -> None:
    build(shop, shop.write("copy", sources={"src/app.py": "1", "old": "1", "same": "1"}))
    found = build(shop, shop.write("copy", sources={"src/app.py": "2", "new": "1", "same": "1"}))
    assert found["copy"] == ("miss", ("file new added", "file old removed", "file src/app.py changed"))


def test_many_changed_files_are_counted(shop: Workshop) -> None:
    build(shop, shop.write("copy", sources={f"{n:02}": "1" for n in range(30)}))
    found = build(shop, shop.write("copy", sources={f"{n:02}": "2" for n in range(30)}))
    assert len(found["copy"][1]) == 11
    assert found["copy"][1][-1] == "and 20 more files"


def test_a_step_below_a_changed_one_names_it(shop: Workshop) -> None:
    build(shop, shop.write("c", shop.write("b", shop.write("a"))))
    first = shop.write("a", arguments={"X": "1"}, files={"other": b""})
    found = build(shop, shop.write("c", shop.write("b", first)))
    assert found["a"][1] == ('argument X is new: "1"', "file other is new: 0 bytes", "file a is gone, it was 1 bytes")
    assert found["b"] == ("miss", ("an earlier step changed: a",))
    assert found["c"] == ("miss", ("an earlier step changed: a",))


def test_a_step_that_was_found_by_content_says_what_changed(shop: Workshop) -> None:
    build(shop, shop.write("b", shop.write("a")))
    found = build(shop, shop.write("b", shop.write("a", arguments={"X": "1"})))
    assert found["b"] == ("same content", ("an earlier step changed: a",))


def test_a_changed_stage_is_named_by_what_copies_from_it(shop: Workshop) -> None:
    build(shop, shop.write("copy", None, shop.write("make")))
    found = build(shop, shop.write("copy", None, shop.write("make", files={"x": b"2"})))
    assert found["copy"] == ("miss", ("an earlier step changed: make",))


def test_a_changed_base_image_is_told_with_both_digests(shop: Workshop) -> None:
    def base(content: bytes) -> Base:
        layer = layer_of(shop.store, {"os": content})
        return Base((KnownLayer(layer),), (Ingredient("base image", layer.diff_id),))

    one, two = base(b"1"), base(b"2")
    build(shop, shop.write("a", one))
    short = [f"sha256:{item.state.diff_ids[0].short}" for item in (one, two)]
    assert build(shop, shop.write("a", two))["a"] == ("miss", (f"base image: {short[0]} → {short[1]}",))


def test_a_step_without_cache_says_so_and_is_named_below(shop: Workshop) -> None:
    build(shop, shop.write("b", shop.write("a")))
    found = build(shop, shop.write("b", shop.write("a", no_cache=True, files={"a": b"2"})))
    assert found["a"] == ("miss", ("--no-cache",))
    assert found["b"] == ("miss", ("an earlier step was done without cache: a",))


def test_a_lost_layer_is_told(shop: Workshop) -> None:
    node = shop.write("a")
    state = shop.solver(memory=Memory(shop.cache.root / "slots")).solve([node])[node]
    shop.store.blobs.delete(state.image_layers()[-1].descriptor.digest)
    assert build(shop, shop.write("a"))["a"] == ("miss", ("the cached layer is gone from the store",))


def test_a_removed_record_is_told(shop: Workshop) -> None:
    build(shop, shop.write("a"))
    for kind in ("records", "content"):
        for path in (shop.cache.root / kind).iterdir():
            path.unlink()
    assert build(shop, shop.write("a"))["a"] == ("miss", ("no record: it was removed from the cache",))


def test_the_last_build_counts_even_when_it_hit(shop: Workshop) -> None:
    for version in ("1", "2", "1"):
        build(shop, shop.write("a", arguments={"V": version}))
    assert build(shop, shop.write("a", arguments={"V": "3"}))["a"][1] == ('argument V: "1" → "3"',)


def test_a_damaged_memory_only_costs_the_explanation(shop: Workshop) -> None:
    build(shop, shop.write("a"))
    for path in (shop.cache.root / "slots").iterdir():
        path.write_bytes(b"\xff{")
    assert build(shop, shop.write("a", arguments={"V": "3"}))["a"] == ("miss", ("no record: first build",))


def test_a_long_value_is_cut(shop: Workshop) -> None:
    build(shop, shop.write("a", arguments={"V": "x" * 500}))
    [cause] = build(shop, shop.write("a", arguments={"V": "y" * 500}))["a"][1]
    assert len(cause) < 300


def test_a_memory_that_cannot_be_written_is_no_error(shop: Workshop, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"")
    solver = shop.solver(memory=Memory(place / "slots"))
    solver.solve([shop.write("a")])
    assert solver.explained[0].outcome == "miss"


@pytest.mark.parametrize("outcome", ["hit", "miss"])
def test_a_row_can_be_printed(outcome: str) -> None:
    assert str(Explained("RUN make", outcome, ("why",))) == f"{outcome}: RUN make\n  why"  # type: ignore[arg-type]
