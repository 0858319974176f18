"""The steps of a Dockerfile as operations of the build graph: RUN, COPY, ADD and WORKDIR.

Each names what its result depends on, in people's words, and does the step when nobody knows its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal

from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.location import Location
from lifecycle.errors import PylifeError
from lifecycle.events import Output
from lifecycle.graph.key import Ingredient, Value
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.archive.filetree import FileTree, HostTree
    from lifecycle.dockerfile.copying import CopySpec, Memory, Selection
    from lifecycle.dockerfile.mounting import MountPlan
    from lifecycle.dockerfile.running.errors import StepFailed
    from lifecycle.dockerfile.running.order import RunOrder
    from lifecycle.dockerfile.running.tools import RunTools
    from lifecycle.graph.packing import Packer
    from lifecycle.graph.state import State, StateLayer
    from lifecycle.oci.digest import Digest
    from lifecycle.snapshot import Root, Snapshotter, View


class Workshop:
    """What steps are done with. Its engine is opened only when a step must really be done.

    ``memory`` knows the digests of files that did not change, ``scratch`` gives a folder for what must be unpacked;
    it is called when there is something. ``keep_failed`` gets the root filesystem of a RUN that failed, as the command
    left it, with its order and the layers below; it returns how to open it again.
    """

    def __init__(self, packer: Packer, memory: Memory, scratch: Callable[[], Path]) -> None:
        self.packer = packer
        self.memory = memory
        self.scratch = scratch
        self.keep_failed: Callable[[Root, RunOrder, State], str] | None = None
        self._engine: tuple[Snapshotter, RunTools] | None = None

    def open(self, snapshotter: Snapshotter, tools: RunTools) -> None:
        """Equip it; steps may be done from here on."""
        self._engine = snapshotter, tools

    @property
    def snapshotter(self) -> Snapshotter:
        assert self._engine is not None, "no step is done before the engine is open"
        return self._engine[0]

    @property
    def tools(self) -> RunTools:
        assert self._engine is not None, "no step is done before the engine is open"
        return self._engine[1]

    def view(self, state: State) -> View:
        """A look at ``state``, open for as long as layers are packed from it."""
        view = self.snapshotter.view(state.view_strata(self.snapshotter))
        self.packer.keep(view.close)
        return view


def place_error(error: PylifeError, location: Location) -> None:
    """Put the place in the Dockerfile before where else an error happened (a URL, a file)."""
    if error.where is None:
        error.where = str(location)
    elif not isinstance(error, DockerfileError) and not error.where.startswith(f"{location.file}:"):
        error.where = f"{location}, {error.where}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step stands: its title for people, its location in the file, its source line."""

    title: str
    location: Location
    line: str

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors that do not say where in the Dockerfile they come from get this place."""
        try:
            yield
        except PylifeError as error:
            place_error(error, self.location)
            if error.details is None:
                error.details = self.source
            raise

    @property
    def source(self) -> str:
        """The line as errors show it."""
        return f"{self.location.line} | {self.line}"


@dataclass(eq=False)
class _Step:
    """What all steps have."""

    place: Place
    workshop: Workshop
    no_cache: bool = field(default=False, kw_only=True)

    @property
    def title(self) -> str:
        return self.place.title

    @property
    def linked(self) -> bool:
        return False

    def manifest(self) -> Mapping[str, str]:
        return {}

    def content(self, parent: State, inputs: Sequence[State]) -> tuple[Ingredient, ...]:
        return ()


@dataclass(eq=False)
class WorkdirStep(_Step):
    """WORKDIR: the directory and what is missing above it, owned by the user of the moment."""

    path: str
    user: str
    kind: Literal["workdir"] = field(default="workdir", init=False)

    def definition(self) -> tuple[Ingredient, ...]:
        return (
            Ingredient("instruction", ["WORKDIR", self.path]),
            Ingredient("user", self.user),
            _time(self.workshop),
        )

    def execute(self, parent: State, inputs: Sequence[State]) -> StateLayer:
        from lifecycle.dockerfile.copying import workdir
        from lifecycle.graph.state import MemberLayer

        with self.place.named():
            workshop = self.workshop
            members = workdir(self.path, self.user, workshop.view(parent), mtime=workshop.packer.mtime)
            return MemberLayer(members, self.workshop.packer, self.title)


@dataclass(frozen=True, slots=True)
class Part:
    """Some sources of a COPY or ADD that come from one place: ``tree``, or the step's only input when None.

    ``url`` is set for what was fetched: then ``fetched`` names its content.
    """

    spec: CopySpec
    tree: HostTree | None
    url: str = ""
    fetched: str = ""


@dataclass(eq=False)
class CopyStep(_Step):
    """COPY and ADD. Reads its sources and looks at where they go; needs neither mount nor root filesystem."""

    keyword: str
    parts: tuple[Part, ...]
    kind: Literal["copy"] = field(default="copy", init=False)
    _selections: dict[int, Selection] = field(default_factory=dict, init=False, repr=False)

    @property
    def linked(self) -> bool:
        """--link reads nothing of what is below."""
        return all(part.spec.linked for part in self.parts)

    def definition(self) -> tuple[Ingredient, ...]:
        with self.place.named():
            found = [Ingredient("instruction", [self.keyword, *(_described(part) for part in self.parts)])]
            for number, part in enumerate(self.parts):
                inlines = [(item.name, item.data) for item in part.spec.inlines]
                found += (Ingredient(f"heredoc {name}", data) for name, data in inlines if isinstance(data, bytes))
                if part.url:
                    found.append(Ingredient(f"url {part.url}", part.fetched))
                elif part.tree is not None and part.spec.sources:
                    found.append(Ingredient("context files", self._selection(number, part.tree).digest))
        return (*found, _time(self.workshop))

    def content(self, parent: State, inputs: Sequence[State]) -> tuple[Ingredient, ...]:
        with self.place.named():
            return tuple(
                Ingredient("files", self._selection(number, self.workshop.view(inputs[0])).digest)
                for number, part in enumerate(self.parts)
                if part.tree is None
            )

    @property
    def seen(self) -> list[tuple[HostTree, CopySpec, Digest]]:
        """What was selected from directories of this host, and the digests that stand for it."""
        found = [(part.tree, part.spec, self._selections.get(number)) for number, part in enumerate(self.parts)]
        return [(tree, spec, item.digest) for tree, spec, item in found if tree is not None and item is not None]

    def _selection(self, number: int, tree: FileTree) -> Selection:
        from lifecycle.dockerfile.copying import select

        if number not in self._selections:
            self._selections[number] = select(tree, self.parts[number].spec, self.workshop.memory)
        return self._selections[number]

    def manifest(self) -> Mapping[str, str]:
        return {name: digest for item in self._selections.values() for name, digest in item.files.items()}

    def execute(self, parent: State, inputs: Sequence[State]) -> StateLayer:
        from lifecycle.archive.filetree import EmptyTree
        from lifecycle.dockerfile.copying import place_all
        from lifecycle.graph.state import MemberLayer

        workshop = self.workshop
        with self.place.named():
            target: FileTree = EmptyTree() if self.linked else workshop.view(parent)
            copies = []
            for number, part in enumerate(self.parts):
                tree = part.tree if part.tree is not None else workshop.view(inputs[0])
                copies.append((self._selection(number, tree), part.spec))
            scratch = workshop.scratch() if any(part.spec.unpack for part in self.parts) else None
            members = place_all(copies, target, mtime=workshop.packer.mtime, scratch=scratch)
            return MemberLayer(members, workshop.packer, self.title)


@dataclass(eq=False)
class RunStep(_Step):
    """RUN. ``order`` is complete but for the mounts, whose sources exist only when the step is done.

    ``visible`` names every variable that the command sees and that counts: (``argument`` or ``variable``, name,
    value). Those that do not count (proxies that nobody declared) are in the order's environment only.
    """

    order: RunOrder
    visible: tuple[tuple[str, str, str], ...]
    platform: str
    mounts: tuple[MountPlan, ...] = ()
    stage: str = ""
    foreign: bool = False
    kind: Literal["run"] = field(default="run", init=False)

    def definition(self) -> tuple[Ingredient, ...]:
        order = self.order
        found = [
            Ingredient("instruction", ["RUN", *order.argv]),
            Ingredient("platform", self.platform),
            Ingredient("working directory", order.cwd),
            Ingredient("user", order.user),
            *(Ingredient(f"{kind} {name}", value) for kind, name, value in self.visible),
        ]
        plain = {"network": ("default", order.network), "security": ("sandbox", order.security)}
        found += (Ingredient(name, value) for name, (default, value) in plain.items() if value != default)
        found += (Ingredient(f"heredoc {item.name}", item.content) for item in order.scripts)
        with self.place.named():
            for mount in self.mounts:
                found += mount.definition()
        return (*found, _time(self.workshop))

    @property
    def seen(self) -> list[tuple[HostTree, CopySpec, Digest]]:
        """What mounts took from directories of this host, and the digests that stand for it."""
        return [item for mount in self.mounts for item in mount.seen]

    def content(self, parent: State, inputs: Sequence[State]) -> tuple[Ingredient, ...]:
        with self.place.named():
            return tuple(
                Ingredient(f"mount {mount.target}", mount.digest(self.workshop.view(inputs[mount.input])))
                for mount in self.mounts
                if mount.input is not None and mount.counts
            )

    def manifest(self) -> Mapping[str, str]:
        return {name: digest for mount in self.mounts for name, digest in mount.files.items()}

    def execute(self, parent: State, inputs: Sequence[State]) -> StateLayer:
        from lifecycle.dockerfile.running.errors import StepFailed
        from lifecycle.dockerfile.running.step import run_step
        from lifecycle.graph.state import DiffLayer

        workshop = self.workshop
        with self.place.named(), ExitStack() as stack:
            roots: dict[int, Root] = {}
            for mount in self.mounts:
                if mount.input is not None and mount.input not in roots:
                    source = workshop.snapshotter.prepare(inputs[mount.input].strata(workshop.snapshotter))
                    roots[mount.input] = stack.enter_context(source)
            order = replace(self.order, mounts=tuple(mount.resolve(roots) for mount in self.mounts))
            root = workshop.snapshotter.prepare(parent.strata(workshop.snapshotter))
            try:
                run_step(order, root, workshop.tools, self._show)
                diff = root.commit()
            except StepFailed as error:
                again = workshop.keep_failed(root, order, parent) if workshop.keep_failed else None
                raise self._explained(error, again) from error
            finally:
                root.close()
            return DiffLayer(diff, workshop.packer, self.title)

    def _show(self, stream: Literal["stdout", "stderr"], line: str) -> None:
        self.workshop.tools.sink.emit(Output(self.stage or "run", line, stream))

    def _explained(self, error: StepFailed, again: str | None) -> StepFailed:
        """The failure with its place in the Dockerfile, the line itself, and how to look at what is left."""
        said = "\n".join(part for part in (self.place.source, error.details) if part)
        return type(error)(
            f"{self.title} failed",
            why=error.why or error.what,
            where=str(self.place.location),
            details=said,
            fix=f"`{again}` opens a shell in the root filesystem as the command left it." if again else error.fix,
            exit_code=error.exit_code,
        )


def _time(workshop: Workshop) -> Ingredient:
    """Every entry of a new layer has this time."""
    return Ingredient("SOURCE_DATE_EPOCH", workshop.packer.mtime)


def _described(part: Part) -> Value:
    """What the instruction asks for, its sources' content aside."""
    spec = part.spec
    return {
        "sources": list(spec.sources),
        "files": [item.name for item in spec.inlines],
        "destination": spec.destination,
        "chown": spec.chown,
        "chmod": None if spec.chmod is None else spec.chmod.text,
        "link": spec.link,
        "parents": spec.parents,
        "exclude": list(spec.exclude),
        "unpack": spec.unpack,
    }
