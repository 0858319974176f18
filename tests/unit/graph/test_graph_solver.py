from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest
from graph_workshop import Workshop

from lifecycle.errors import PylifeError
from lifecycle.graph import Base, Cancellation, Node


def chain(shop: Workshop, *titles: str) -> list:  # type: ignore[type-arg]
    nodes: list = []  # type: ignore[type-arg]
    for title in titles:
        nodes.append(shop.write(title, nodes[-1] if nodes else None))
    return nodes


def test_a_first_build_does_every_step_in_order(shop: Workshop) -> None:
    assert shop.build(chain(shop, "a", "b", "c")[-1]) == ["a", "b", "c"]


def test_a_second_build_does_nothing(shop: Workshop) -> None:
    shop.build(chain(shop, "a", "b", "c")[-1])
    assert shop.build(chain(shop, "a", "b", "c")[-1]) == []
    assert shop.shown() == [("a", "reused"), ("b", "reused"), ("c", "reused")]


def test_a_probe_of_known_steps_starts_no_thread(shop: Workshop) -> None:
    shop.build(chain(shop, "a", "b")[-1])
    shop.packer.close()
    before = threading.active_count()
    node = chain(shop, "a", "b")[-1]
    probe = shop.solver().probe([node])
    assert probe.complete
    assert threading.active_count() == before
    assert len(probe.states[node].diff_ids) == 3


def test_the_state_has_the_layers_of_base_and_steps(shop: Workshop) -> None:
    nodes = chain(shop, "a", "b")
    first = shop.solver().solve(nodes[-1:])[nodes[-1]].diff_ids
    again = chain(shop, "a", "b")
    assert shop.solver().solve(again[-1:])[again[-1]].diff_ids == first
    assert len(set(first)) == 3


def test_only_steps_from_the_changed_one_on_are_done(shop: Workshop) -> None:
    shop.build(chain(shop, "a", "b", "c")[-1])
    assert shop.build(chain(shop, "a", "x", "c")[-1]) == ["x", "c"]
    assert shop.shown() == [("a", "reused"), ("x", "done"), ("c", "done")]


def test_a_changed_step_with_the_same_result_is_all_that_is_done(shop: Workshop) -> None:
    first = shop.write("a", files={"f": b"same"})
    shop.build(shop.write("b", first))
    other = shop.write("A", files={"f": b"same"})
    assert shop.build(shop.write("b", other)) == ["A"]
    assert shop.shown() == [("A", "done"), ("b", "reused")]
    again = shop.write("A", files={"f": b"same"})
    assert shop.build(shop.write("b", again)) == []


def test_a_stage_whose_consumer_is_known_is_not_done_when_its_own_record_is_gone(shop: Workshop) -> None:
    builder = shop.write("compile")
    shop.build(shop.write("copy", None, builder))
    builder = shop.write("compile")
    (shop.cache.root / "records" / builder.definition_key.hex).unlink()
    assert shop.build(shop.write("copy", None, builder)) == []


def test_a_changed_stage_with_the_same_content_leaves_the_copy_as_it_is(shop: Workshop) -> None:
    shop.build(shop.write("copy", None, shop.write("compile", files={"out": b"1"})))
    assert shop.build(shop.write("copy", None, shop.write("compile -v", files={"out": b"1"}))) == ["compile -v"]


def test_a_later_step_that_is_known_needs_no_earlier_one(shop: Workshop) -> None:
    nodes = chain(shop, "a", "b", "c")
    shop.build(nodes[-1])
    (shop.cache.root / "records" / nodes[1].definition_key.hex).unlink()
    assert shop.build(chain(shop, "a", "b", "c")[-1]) == []


def test_a_step_without_cache_is_done_again_and_what_follows_goes_by_content(shop: Workshop) -> None:
    shop.build(chain(shop, "a", "b")[-1])
    first = shop.write("a", no_cache=True)
    assert shop.build(shop.write("b", first)) == ["a"]


def test_a_result_without_cache_is_recorded(shop: Workshop) -> None:
    shop.build(shop.write("a", no_cache=True))
    assert shop.build(shop.write("a")) == []


def test_independent_stages_run_at_the_same_time(shop: Workshop) -> None:
    barrier = threading.Barrier(3, timeout=10)
    stages = [shop.write(f"s{n}", before=barrier.wait) for n in range(3)]
    shop.build(shop.write("end", None, *stages), jobs=3)
    assert shop.log[-1] == "end"


def test_no_more_steps_run_at_once_than_jobs_allow(shop: Workshop) -> None:
    running: list[int] = []
    most: list[int] = []

    def count() -> None:
        running.append(1)
        most.append(len(running))
        time.sleep(0.02)
        running.pop()

    stages = [shop.write(f"s{n}", before=count) for n in range(6)]
    shop.build(shop.write("end", None, *stages), jobs=2)
    assert max(most) == 2


def test_equal_steps_of_one_build_are_done_once(shop: Workshop) -> None:
    one, two = shop.write("same"), shop.write("same")
    assert shop.build(shop.write("end", None, one, two)) == ["same", "end"]


def test_a_linked_step_is_done_before_its_parent_ends_and_survives_its_change(shop: Workshop) -> None:
    gate = threading.Event()
    slow = shop.write("slow", before=lambda: gate.wait(10) or None)
    linked = shop.write("linked", slow, linked=True, before=gate.set)
    assert sorted(shop.build(linked, jobs=2)) == ["linked", "slow"]
    assert shop.build(shop.write("linked", shop.write("other"), linked=True)) == ["other"]


def test_the_first_failure_stops_the_rest_and_is_the_one_that_is_raised(shop: Workshop) -> None:
    cancellation = Cancellation()
    stopped = threading.Event()

    class Broken(PylifeError):
        code = "test.broken"

    def fail() -> None:
        raise Broken("this is it")

    def wait() -> None:
        with cancellation.calling(stopped.set):
            assert stopped.wait(10)
        cancellation.check()

    long, bad = shop.write("long", before=wait), shop.write("bad", before=fail)
    later = shop.write("later", long)
    with pytest.raises(Broken):
        shop.build(shop.write("end", None, later, bad), cancellation=cancellation, jobs=2)
    assert shop.log == []
    assert shop.shown() == [("bad", "failed"), ("long", "skipped")]


def test_what_was_finished_before_a_failure_is_recorded(shop: Workshop) -> None:
    def fail() -> None:
        raise ValueError("no")

    first = shop.write("first")
    with pytest.raises(ValueError, match="no"):
        shop.build(shop.write("second", first, before=fail))
    assert shop.build(shop.write("second", shop.write("first"))) == ["second"]


def test_an_error_while_packing_is_the_error_of_the_build(shop: Workshop) -> None:
    with pytest.raises(PylifeError, match="a"):
        shop.build(shop.write("b", shop.write("a", broken=True)))
    assert shop.build(shop.write("b", shop.write("a"))) == ["a", "b"]


def test_an_interrupt_is_passed_on_when_running_steps_have_stopped(shop: Workshop) -> None:
    cancellation = Cancellation()
    stopped, ended = threading.Event(), threading.Event()

    def wait() -> None:
        with cancellation.calling(stopped.set):
            os.kill(os.getpid(), signal.SIGINT)
            assert stopped.wait(10)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        shop.build(shop.write("long", before=wait), cancellation=cancellation)
    assert ended.is_set()


def test_a_thousand_steps_are_no_problem(shop: Workshop) -> None:
    nodes = [shop.write("0")]
    for number in range(1, 1000):
        nodes.append(shop.write(str(number), nodes[-1]))
    probe = shop.solver().probe(nodes[-1:])
    assert len(probe.missing) == 1000


def test_a_target_that_is_a_base_is_known(shop: Workshop) -> None:
    assert shop.build(Base()) == []


def test_an_unchanged_build_is_looked_up_in_a_few_milliseconds(shop: Workshop) -> None:
    titles = [str(number) for number in range(10)]
    shop.build(chain(shop, *titles)[-1])
    node = chain(shop, *titles)[-1]
    began = time.perf_counter()
    assert shop.solver().probe([node]).complete
    assert time.perf_counter() - began < 0.05


@pytest.mark.parametrize("seed", range(20))
def test_graphs_made_by_chance_end_whatever_happens(shop: Workshop, seed: int) -> None:
    """Every step is done once and after what it reads; a failing one ends the build; what was done is known then.

    A linked step that was done before its parent failed has no filesystem to be recorded in.
    """
    dice = random.Random(seed)
    failing = dice.choice([None, dice.randrange(25)])

    def fail() -> None:
        raise ValueError("by chance")

    def graph(broken: int | None) -> list[Node]:
        shape = random.Random(seed)
        nodes: list[Node] = []
        for number in range(25):
            above = shape.sample(nodes, min(len(nodes), shape.randrange(4)))
            options = {"linked": shape.random() < 0.2, "no_cache": False}
            parent, inputs = (above[0], above[1:]) if above else (None, [])
            before = fail if number == broken else (lambda: time.sleep(0.001))
            nodes.append(shop.write(f"s{number}", parent, *inputs, before=before, **options))
        return nodes

    def in_order(nodes: list[Node], done: list[str], known: set[str]) -> None:
        for node in nodes:
            if node.operation.title in done:
                reads = node.inputs if node.operation.linked else (node.parent, *node.inputs)
                for item in reads:
                    title = item.operation.title if isinstance(item, Node) else None
                    assert title is None or title in known or done.index(title) < done.index(node.operation.title)

    nodes = graph(failing)
    if failing is not None:
        with pytest.raises(ValueError, match="by chance"):
            shop.build(*nodes, jobs=dice.randrange(1, 5))
        in_order(nodes, list(shop.log), set())
    before = set(shop.log)
    nodes = graph(None)
    done = shop.build(*nodes, jobs=dice.randrange(1, 5))
    in_order(nodes, done, before)
    titles = [node.operation.title for node in nodes]
    linked = {node.operation.title for node in nodes if node.operation.linked}
    assert len(done) == len(set(done))
    assert set(done) | before == set(titles)
    assert set(done) & before <= linked
    assert shop.build(*graph(None)) == []
