"""Building a Dockerfile: read, plan, find what is known, do the rest, keep and send the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.app.dockerfile import memo
from lifecycle.app.dockerfile.caches import StepCaches, export, step_caches
from lifecycle.app.dockerfile.epoch import NAME
from lifecycle.app.dockerfile.job import Job, is_true, open_job
from lifecycle.app.dockerfile.platforms import check_foreign, parse_platforms
from lifecycle.app.dockerfile.reading import candidates
from lifecycle.app.dockerfile.request import DockerfileRequest, DockerfileResult
from lifecycle.app.keeping import Destinations
from lifecycle.app.output_spec import parse_output
from lifecycle.archive.compress import Profile
from lifecycle.dockerfile import config
from lifecycle.dockerfile.copying.memory import Memory
from lifecycle.dockerfile.operations import CopyStep, RunStep, Workshop
from lifecycle.dockerfile.plan import Plan, Planner, PlanOptions, unused_arguments
from lifecycle.events import Message
from lifecycle.graph import explain
from lifecycle.graph.node import Base, Node, Vertex, walk
from lifecycle.graph.packing import Packer
from lifecycle.graph.solver import Solver
from lifecycle.image.image import Image, ImageIndex
from lifecycle.image.layer import in_dialect
from lifecycle.image.places import RegistryPlace, StorePlace
from lifecycle.oci import Platform
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.app.output_spec import Output
    from lifecycle.app.outputs import Written
    from lifecycle.app.ports import Ports
    from lifecycle.dockerfile.lint import Finding
    from lifecycle.graph.cache import Record
    from lifecycle.graph.document import Mounts
    from lifecycle.graph.explain import Explained
    from lifecycle.graph.state import State
    from lifecycle.image import Layer


def build(request: DockerfileRequest, ports: Ports) -> DockerfileResult:
    """Build the target, keep the image in the store under all its names, push it where a name says a registry.

    Nothing is entered, forked or started when every step's result is known.
    """
    parse_platforms(request.platforms)
    destinations = Destinations.of(request.names, request.push)
    outputs = [parse_output(text) for text in request.outputs]
    several = len(request.platforms) > 1 or is_true(request.build_args.get("BUILDKIT_MULTI_PLATFORM", ""))
    if outputs:
        from lifecycle.app.outputs import check_outputs

        check_outputs(outputs, request.names, several=several)
    with ports.store.hold(), open_job(request, ports) as job:
        messages = _hint(job)
        solved = _images(job, destinations.pushed)
        result: Image | ImageIndex = solved.images[0]
        if several:
            from lifecycle.image.source import index_of

            result = index_of(solved.images, dict(request.annotations))
        sent = destinations.receive(result, ports)
        written = _write(result, outputs, solved, request, ports)
        done = DockerfileResult(
            result, solved.images, sent, written, solved.made, solved.reused, solved.unchanged, solved.explained
        )
        _remember(job, solved, done, messages)
    return done


def _remember(job: Job, solved: _Solved, done: DockerfileResult, messages: Sequence[tuple[str, str]]) -> None:
    """Keep in mind what the build looked at, if it was nothing but this machine's files and images."""
    request = job.request
    pushed = any(item.pushed or not isinstance(item.place, StorePlace) for item in done.sent)
    if pushed or not (job.sources.local and memo.memorable(request)):
        return
    witnesses = [["image", name, digest] for name, digest in job.sources.images]
    for name in request.files:
        witnesses += (memo.file_witness(path) for path in candidates(name, job.context.directory))
    witnesses += (memo.file_witness(path) for path in memo.ignore_files(job.context.directory, job.text.path))
    named = "" if request.ignore_file is None else str(request.ignore_file)
    if named:
        witnesses.append(memo.file_witness(named))
    for node in walk(solved.targets):
        operation = node.operation
        for tree, spec, digest in operation.seen if isinstance(operation, CopyStep | RunStep) else ():
            main = tree is job.sources.context()
            dockerfile = job.text.path if main else tree.directory / "Dockerfile"
            witnesses.append(memo.tree_witness(tree.directory, dockerfile, named if main else "", spec, str(digest)))
    facts = done.facts()
    steps = facts["new"] + facts["reused"]
    facts |= {"new": [], "new_bytes": 0, "reused": steps}
    memo.remember(request, memo.Memo(tuple(witnesses), tuple(messages), facts), job.ports)


def check(request: DockerfileRequest, ports: Ports) -> list[Finding]:
    """What the checks find; nothing is built."""
    parse_platforms(request.platforms)
    with open_job(request, ports) as job:
        return _findings(job)


# -- checks ------------------------------------------------------------------------------------------------------


def _findings(job: Job) -> list[Finding]:
    from lifecycle.app.local import stored_config
    from lifecycle.dockerfile.lint.engine import check as find

    request, dockerfile = job.request, job.dockerfile
    target = dockerfile.target(request.target) if request.target else None
    return find(
        dockerfile,
        ignore_rules=job.rules,
        build_args=request.build_args,
        target=target,
        images=lambda stage, name: stored_config(name, job.ports.store),
    )


def _hint(job: Job) -> list[tuple[str, str]]:
    """Say what the checks find and which build arguments nobody asks for; raises ChecksFailed if the file asks so."""
    from lifecycle.app.dockerfile.hints import likely_stages, unknown_stages
    from lifecycle.app.local import stored_config
    from lifecycle.dockerfile.lint.rule import ChecksFailed

    findings = _findings(job)
    texts = [f"{finding.rule}: {finding.message} ({finding.location})" for finding in findings]
    for name, hint in unused_arguments(job.dockerfile, job.request.build_args):
        text = f"The build argument {name} is not used: no ARG declares it."
        texts.append(f"{text} {hint}" if hint else text)
    texts += unknown_stages(job.dockerfile, job.request.no_cache_stages)
    texts += likely_stages(job.dockerfile, {*job.sources.names}, lambda name: stored_config(name, job.ports.store))
    for text in texts:
        job.ports.sink.emit(Message(text, "warning"))
    ChecksFailed.raise_for(findings)
    return [(text, "warning") for text in texts]


# -- images ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Solved:
    """The images, one for each platform, and how their layers came to be."""

    images: tuple[Image, ...]
    made: tuple[Layer, ...]
    reused: tuple[Layer, ...]
    unchanged: bool
    explained: tuple[Explained, ...]
    targets: tuple[Vertex, ...]


def _images(job: Job, push: Sequence[RegistryPlace]) -> _Solved:
    """Plan for each platform, find what is known, do the rest, assemble."""
    request, ports = job.request, job.ports
    host = Platform.host()
    platforms = parse_platforms(request.platforms) or (host,)
    caches = step_caches(request, ports)
    with Packer(ports.store, sink=ports.sink, profile=Profile.parse(request.compression), mtime=job.epoch) as packer:
        workshop = Workshop(packer, Memory(ports.caches / "files"), job.scratch)
        plans = [_plan(job, platform, host, workshop, several=len(platforms) > 1) for platform in platforms]
        explaining = explain.Memory(ports.caches / "explain")
        solver = Solver(caches.caches, packer, sink=ports.sink, jobs=request.jobs, memory=explaining)
        targets = [plan.target.vertex for plan in plans]
        probe = solver.probe(targets)
        mounts: Mounts = ()
        if probe.complete and not caches.moves_mounts:
            states = solver.solve(targets)
        else:
            check_foreign(probe.missing, host)
            for place in push:
                ports.registry.check_push(place.ref)
            states, mounts = _solve(job, solver, targets, workshop, caches)
        records = solver.records(targets, "min") if caches.inline else ()
        images = tuple(_image(plan, states, job, records if caches.inline else None) for plan in plans)
        if caches.targets:
            export(caches, solver, targets, mounts, ports)
    outcomes = dict(zip(walk(targets), (row.outcome for row in solver.explained), strict=True))
    own = [pair for image, plan in zip(images, plans, strict=True) for pair in _own(image, plan)]
    made = tuple(layer for node, layer in own if outcomes.get(node) == "miss")
    reused = tuple(layer for node, layer in own if outcomes.get(node) != "miss")
    return _Solved(images, made, reused, probe.complete, solver.explained, tuple(targets))


def _own(image: Image, plan: Plan) -> Iterator[tuple[Node, Layer]]:
    """The steps upon the base, and the layer of each."""
    return zip(plan.nodes, image.layers[len(image.layers) - len(plan.nodes) :], strict=True)


def _plan(job: Job, platform: Platform, host: Platform, workshop: Workshop, *, several: bool) -> Plan:
    request = job.request
    name = request.names[0] if request.names else str(job.text.path)
    options = PlanOptions(
        target=request.target,
        build_args=_with_time(job),
        platform=platform,
        build_platform=host,
        epoch=job.epoch,
        no_cache=request.no_cache,
        no_cache_stages=frozenset(request.no_cache_stages),
        show_platform=several,
        slot=f"{name} {platform}",
        network=request.network,
        memory=request.memory,
        timeout=request.timeout,
        labels=request.labels,
    )
    return Planner(job.dockerfile, options, job.sources, workshop).plan()


def _with_time(job: Job) -> Mapping[str, str]:
    """The build arguments; a SOURCE_DATE_EPOCH that the Dockerfile sees is the number that was found for it."""
    args = job.request.build_args
    named = NAME in args or any(name == NAME for arg in job.dockerfile.globals for name, _ in arg.pairs)
    return {**args, NAME: str(job.epoch)} if named else args


def _solve(
    job: Job, solver: Solver, targets: Sequence[Node | Base], workshop: Workshop, caches: StepCaches
) -> tuple[Mapping[Node, State], Mounts]:
    """Do what is not known: only here the engine is opened. Gives the cache mounts too where they are wanted."""
    from contextlib import closing

    from lifecycle.app.dockerfile.caches import fill_mounts, pack_mounts
    from lifecycle.app.engine import enter_rung, open_sandbox
    from lifecycle.dockerfile.running.tools import RunTools
    from lifecycle.snapshot import open_snapshotter

    request, ports = job.request, job.ports
    rung = enter_rung(ports)
    with open_sandbox(rung, ports) as sandbox, closing(open_snapshotter(ports.home, rung)) as snapshotter:
        tools = RunTools(
            sandbox,
            ports.home,
            ports.sink,
            secrets=job.secrets,
            ssh=job.ssh,
            namespace=request.build_args.get("BUILDKIT_CACHE_MOUNT_NS", ""),
            allowed=request.allowed,
            allow_degraded=request.allow_degraded,
        )
        workshop.open(snapshotter, tools)
        if request.keep_failed:
            from lifecycle.app.dockerfile.failed import keeper

            workshop.keep_failed = keeper(ports, workshop.packer)
        fill_mounts(caches, request, ports, rung)

        def give_up() -> None:  # the first failure, or Ctrl-C, ends what runs beside it
            workshop.keep_failed = None
            sandbox.close()

        with solver.cancellation.calling(give_up):
            states = solver.solve(targets)
        mounts: Mounts = ()
        if any(target.mounts for target in caches.targets):
            mounts = pack_mounts(list(walk(targets)), request, ports, rung)
        return states, mounts


def _image(plan: Plan, states: Mapping[Node, State], job: Job, records: Sequence[Record] | None) -> Image:
    """The image of one platform, assembled; with ``records`` it is a cache too."""
    target = plan.target
    state = target.vertex.state if isinstance(target.vertex, Base) else states[target.vertex]
    layers = tuple(in_dialect(layer, target.dialect) for layer in state.image_layers())
    draft = target.draft
    if job.request.platforms:
        draft = replace(draft, document={**draft.document, **target.platform.to_json()})
    document = config.finish(draft, [layer.diff_id for layer in layers], job.epoch)
    if records is not None:
        from lifecycle.graph.document import with_inline_cache

        document = with_inline_cache(document, records)
    return Image(document, layers, target.dialect, dict(job.request.annotations))


# -- keeping -----------------------------------------------------------------------------------------------------


def _write(
    result: Image | ImageIndex, outputs: Sequence[Output], solved: _Solved, request: DockerfileRequest, ports: Ports
) -> tuple[Written, ...]:
    if not outputs:
        return ()
    import sys

    from lifecycle.app.outputs import write_outputs

    stdout = sys.stdout.buffer if sys.stdout is not None else None
    new = {layer.diff_id for layer in (*solved.made, *solved.reused)}
    return write_outputs(result, outputs, ports, names=request.names, stdout=stdout, new=new)
