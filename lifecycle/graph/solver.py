"""Finding the results of a graph in caches, and making what is not there."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

from lifecycle.events import Message, NullSink, Sink, Step, StepEnded, StepStarted, step
from lifecycle.graph.cache import Cache, Guarded, Record
from lifecycle.graph.cancel import Cancellation, Cancelled
from lifecycle.graph.explain import Explained, Memory, Verdict, explain
from lifecycle.graph.key import Ingredient, Key
from lifecycle.graph.node import Base, Node, Vertex, walk
from lifecycle.graph.packing import Packer
from lifecycle.graph.recording import Recorder
from lifecycle.graph.state import EMPTY, KnownLayer, LostLayer, State, StateLayer
from lifecycle.image.layer import BlobLayer, Layer
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass

Found = Literal["definition", "content", "made"]
"""How a result came to be known: by the step's definition, by its content, or by doing it."""

_BREATH = 0.5
"""Seconds after which, while steps run on, layers packed meanwhile are recorded and signals are seen."""
_MOMENT = 0.015
"""The same after a step has ended: the next ones are at their commands by then, and recording delays nobody."""
_FEWEST_JOBS = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known before anything is done. ``missing`` are the nodes that must be looked at more closely or done."""

    states: Mapping[Node, State]
    missing: tuple[Node, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return not self.missing


class Solver:
    """Finds results in ``caches`` (the first is asked first) and makes the rest, at most ``jobs`` steps at a time.

    ``cancellation`` is thrown with the first failure: operations that run long put their hooks there. With a
    ``memory``, ``explained`` tells after ``solve`` of every step why it was done or not. One solver serves one build,
    from one thread.
    """

    def __init__(
        self,
        caches: Sequence[Cache],
        packer: Packer,
        *,
        sink: Sink | None = None,
        jobs: int | None = None,
        cancellation: Cancellation | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.packer = packer
        self.cancellation = cancellation or Cancellation()
        self.jobs = jobs or max(_FEWEST_JOBS, os.cpu_count() or 1)
        self.explained: tuple[Explained, ...] = ()
        self._memory = memory
        self._sink = sink or NullSink()
        self._caches = [Guarded(cache, self._sink) for cache in caches]
        self._states: dict[Key, State] = {}
        self._missed: set[Key] = set()
        self._lost: set[Key] = set()
        self._unreadable: set[Digest] = set()
        self._found: dict[Key, Found] = {}
        self._records: dict[Key, Record] = {}
        self._known: dict[str, KnownLayer] = {}
        self._learned: list[tuple[Cache, Record]] = []
        self._told: set[Key] = set()

    # -- reading -------------------------------------------------------------------------------------------------

    def probe(self, targets: Sequence[Vertex]) -> Probe:
        """What is known of the targets, by reading alone: one thread, nothing unpacked, nothing done.

        Of a step that is known, nothing below is looked up, unless something else needs it.
        """
        everything = list(walk(targets))
        fresh: set[Key] = set()
        for node in everything:  # in this order no key needs another that is not known yet
            above = (node.parent, *node.inputs)
            if node.operation.no_cache or any(item.definition_key in fresh for item in above):
                fresh.add(node.definition_key)
        wanted: set[Key] = set()
        waiting = list(targets)
        while waiting:
            vertex = waiting.pop()
            if isinstance(vertex, Base) or vertex.definition_key in wanted:
                continue
            key = vertex.definition_key
            wanted.add(key)
            if key not in self._states and (key in fresh or not self._look_up(vertex)):
                waiting += [vertex.parent, *vertex.inputs]
        needed = [node for node in everything if node.definition_key in wanted]
        missing = {node.definition_key: node for node in needed if node.definition_key not in self._states}
        states = {node: self._states[node.definition_key] for node in needed if node.definition_key in self._states}
        return Probe(states, tuple(missing.values()))

    def _look_up(self, node: Node) -> bool:
        """Whether a cache has the node's result by its definition."""
        key = node.definition_key
        if key in self._missed:
            return False
        for number, cache in enumerate(self._caches):
            record = cache.get(key)
            if record is not None and not any(layer.diff_id in self._unreadable for layer in record.layers):
                self._records[key] = record
                self._learned += [(nearer, record) for nearer in self._caches[:number]]
                self._found[key] = "definition"
                self._states[key] = node.base.state.with_layer(*(self._layer(layer) for layer in record.layers))
                return True
        self._missed.add(key)
        if self._memory and any(cache.lost(key) for cache in self._caches):
            self._lost.add(key)
        return False

    def _layer(self, layer: Layer) -> KnownLayer:
        """One object for a layer, however many records have it: it is fetched and unpacked once."""
        return self._known.setdefault(str(layer.diff_id), self.packer.known(layer))

    # -- making --------------------------------------------------------------------------------------------------

    def solve(self, targets: Sequence[Vertex]) -> Mapping[Node, State]:
        """The state of every node that had to be known for the targets, all layers packed and recorded.

        Raises the first failure, when everything that ran has been stopped; what was finished before it is recorded.
        """
        probe = self.probe(targets)
        self._tell(targets, probe)
        for cache, record in self._learned:
            cache.put(record)
        self._learned.clear()
        if probe.missing:
            self._make_all(targets, probe.missing, Recorder(self._caches, self._records))
        if self._memory:
            self._explain(targets, self._memory)
        probe = self.probe(targets) if self._unreadable else probe
        needed = {*probe.states, *probe.missing, *(target for target in targets if isinstance(target, Node))}
        return {node: self._states[node.definition_key] for node in needed}

    def _tell(self, targets: Sequence[Vertex], probe: Probe) -> None:
        """Show the steps whose layers are used without being looked at, in the order of the graph."""
        known = {node.definition_key for hit in probe.states for node in hit.chain}
        known -= {node.definition_key for node in probe.missing}
        for node in walk(targets):
            key = node.definition_key
            if key in known and key not in self._told and self._found.get(key) != "made":
                self._told.add(key)
                self._sink.emit(StepStarted(f"step/{key.short}", node.operation.title))
                self._sink.emit(StepEnded(f"step/{key.short}", "reused"))

    def _explain(self, targets: Sequence[Vertex], memory: Memory) -> None:
        verdicts: dict[Found, Verdict] = {"definition": "hit", "content": "same content", "made": "miss"}
        nodes = list(walk(targets))
        outcomes = {node.definition_key: verdicts[found] for node in nodes if (found := self._outcome(node))}
        self.explained = explain(nodes, outcomes, memory.recall, self._lost)
        for node in nodes:
            if node.slot and node.definition_key in outcomes:
                memory.remember(node)

    def _outcome(self, node: Node) -> Found | None:
        """How the node was found; a step below one that was found counts as found with it."""
        found = self._found.get(node.definition_key)
        return found or ("definition" if node.definition_key in self._told else None)

    def records(self, targets: Sequence[Vertex], mode: Literal["min", "max"]) -> tuple[Record, ...]:
        """What is known of the graph after ``solve``, to be put into another cache, in the order of the graph.

        ``min``: of the steps whose layers the targets have; ``max``: of every step, as far as a cache has it.
        """
        nodes = list(walk(targets))
        if mode == "min":
            chosen = {node.definition_key for target in targets if isinstance(target, Node) for node in target.chain}
            nodes = [node for node in nodes if node.definition_key in chosen]
        found: dict[Key, Record] = {}
        for node in nodes:
            key = node.definition_key
            if key not in self._records and key not in found and key not in self._missed:
                self._look_up(node)
            if key in self._records:
                found[key] = self._records[key]
        return tuple(found.values())

    def _make_all(self, targets: Sequence[Vertex], nodes: Sequence[Node], recorder: Recorder) -> None:
        waiting = {node.definition_key: node for node in nodes}
        layers: dict[Key, StateLayer] = {}
        results: queue.SimpleQueue[tuple[Node, StateLayer | BaseException]] = queue.SimpleQueue()
        failure: BaseException | None = None
        running: set[Key] = set()
        threads: list[threading.Thread] = []
        patience = _MOMENT
        try:
            while True:
                self._assemble(nodes, layers, recorder)
                for key, node in list(waiting.items()):
                    if len(running) < self.jobs and self._ready(node):
                        del waiting[key]
                        running.add(key)
                        threads.append(self._thread(node, recorder, results))
                        threads[-1].start()
                if not running:
                    break
                try:
                    node, result = results.get(timeout=patience)
                except queue.Empty:
                    recorder.record_packed()
                    patience = _BREATH
                    continue
                patience = _MOMENT
                running.remove(node.definition_key)
                threads = [thread for thread in threads if thread.is_alive()]
                if isinstance(result, LostLayer):
                    self._distrust(result, layers)
                    nodes = self.probe(targets).missing
                    undone = [item for item in nodes if item.definition_key not in layers]
                    waiting = {item.definition_key: item for item in undone if item.definition_key not in running}
                    continue
                if isinstance(result, BaseException):
                    raise result
                layers[node.definition_key] = result
            recorder.finish()
            recorder.flush()
        except BaseException as error:
            failure = error
            self.cancellation.cancel()
            for thread in threads:  # what came of them may be read already: an interrupt comes at any moment
                with suppress(RuntimeError):  # not yet started: it will find that it is not wanted
                    thread.join()
            while not results.empty():
                node, result = results.get()
                if not isinstance(result, BaseException):
                    layers[node.definition_key] = result
                elif isinstance(failure, Cancelled):
                    failure = result
            if isinstance(failure, Exception):
                self._assemble(nodes, layers, recorder)
                recorder.finish(failed=True)
                recorder.flush()
            raise failure from failure.__cause__

    def _ready(self, node: Node) -> bool:
        below = node.inputs if node.operation.linked else (node.parent, *node.inputs)
        return all(isinstance(item, Base) or item.definition_key in self._states for item in below)

    def _assemble(self, nodes: Sequence[Node], layers: Mapping[Key, StateLayer], recorder: Recorder) -> None:
        """Put new layers upon their parents; a linked step's may have had to wait for its parent."""
        for node in nodes:
            key = node.definition_key
            parent = node.parent
            if key in self._states or key not in layers:
                continue
            if isinstance(parent, Base) or parent.definition_key in self._states:
                self._states[key] = self._state(parent).with_layer(layers[key])
                recorder.assembled(node, self._state(parent), layers[key])

    def _state(self, vertex: Vertex) -> State:
        return vertex.state if isinstance(vertex, Base) else self._states[vertex.definition_key]

    def _thread(
        self, node: Node, recorder: Recorder, results: queue.SimpleQueue[tuple[Node, StateLayer | BaseException]]
    ) -> threading.Thread:
        parent = EMPTY if node.operation.linked else self._state(node.parent)
        inputs = [self._state(item) for item in node.inputs]

        def run() -> None:
            try:
                results.put((node, self._make(node, parent, inputs, recorder)))
            except BaseException as error:
                results.put((node, error))

        return threading.Thread(target=run, name=f"step {node.definition_key.short}", daemon=True)

    def _make(self, node: Node, parent: State, inputs: Sequence[State], recorder: Recorder) -> StateLayer:
        """The node's own layer, and what becomes of it shown; Cancelled when it is of no use any more."""
        self.cancellation.check()
        with step(self._sink, f"step/{node.definition_key.short}", node.operation.title) as shown:
            try:
                return self._find_or_do(node, parent, inputs, recorder, shown)
            except BaseException as error:
                if not self.cancellation.cancelled:
                    raise
                shown.outcome, shown.detail = "skipped", "given up"
                ended = error
        raise Cancelled(f"{node.operation.title} was given up") from ended

    def _find_or_do(
        self, node: Node, parent: State, inputs: Sequence[State], recorder: Recorder, shown: Step
    ) -> StateLayer:
        key = node.definition_key
        operation = node.operation
        own: tuple[Ingredient, ...] | None = None
        if not operation.no_cache and any(cache.seen(node.operation_key) for cache in self._caches):
            own = operation.content(parent, inputs)
            layer = self._by_content(node.content_key(own, parent.diff_ids))
            if layer is not None:
                shown.outcome, shown.detail = "reused", "made of the same as before"
                self._found[key] = "content"
                recorder.expect(node, own)
                return self._layer(layer)
        self.cancellation.check()
        made = operation.execute(parent, inputs)
        self._found[key] = "made"
        recorder.expect(node, operation.content(parent, inputs) if own is None else own)
        return made

    def _by_content(self, key: Key) -> Layer | None:
        found = (layer for cache in self._caches if (layer := cache.by_content(key)))
        return next((layer for layer in found if layer.diff_id not in self._unreadable), None)

    def _distrust(self, lost: LostLayer, layers: dict[Key, StateLayer]) -> None:
        """Forget what was found in caches and has the layer: its step will be done again."""
        text = f"{lost}; the step that it comes from is done again."
        self._sink.emit(Message(text, "warning", lost.code))
        diff_id = lost.layer.diff_id
        self._unreadable.add(diff_id)
        bad = self._known.pop(str(diff_id), None)
        for key, state in list(self._states.items()):
            if bad in state.layers:
                del self._states[key]
                if self._found.get(key) == "definition":
                    del self._found[key]
                    self._records.pop(key, None)
        for key, layer in list(layers.items()):
            if layer is bad:
                del layers[key]
        store = self.packer.store
        if lost.damaged and isinstance(lost.layer, BlobLayer) and lost.layer.blobs is store.blobs:
            store.blobs.delete(lost.layer.descriptor.digest)  # or it would be taken for the new layer's
