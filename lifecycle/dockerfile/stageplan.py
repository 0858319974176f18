"""One stage, instruction by instruction: the configuration as a value, and a node for each step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.archive.writer import OnDisk
from lifecycle.dockerfile import config, history
from lifecycle.dockerfile.copying import CopySpec, Inline
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    HealthCheck,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Scope,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from lifecycle.dockerfile.operations import CopyStep, Part, Place, RunStep, WorkdirStep
from lifecycle.dockerfile.scope import proxies
from lifecycle.graph.node import Base, Node, Vertex

if TYPE_CHECKING:
    from lifecycle.archive.filetree import HostTree
    from lifecycle.dockerfile.instructions import Instruction
    from lifecycle.dockerfile.instructions.mounts import Mount
    from lifecycle.dockerfile.mounting import MountPlan
    from lifecycle.dockerfile.operations import Workshop
    from lifecycle.dockerfile.plan import Planner, StagePlan
    from lifecycle.dockerfile.running.order import Script
    from lifecycle.dockerfile.stages import Stage
    from lifecycle.graph.node import Operation
    from lifecycle.oci import Digest

_TITLE = 120  # characters


class BadChecksum(DockerfileError):
    """ADD has a checksum that is none."""

    code = "dockerfile.bad-checksum"
    fix = "Write it as sha256: and 64 hexadecimal digits; for a git repository the commit."


class DeviceAsked(DockerfileError):
    """RUN asks for a device of the host, which pylife gives no step."""

    code = "dockerfile.no-devices"
    fix = "Leave --device out: run what needs the device when the image runs."


class BadHeredoc(DockerfileError):
    """A RUN has a here-document where none can be run."""

    code = "dockerfile.bad-heredoc"
    fix = "Write RUN <<EOF, or the command with its here-document in the shell form."


class StageBuild:
    """A stage being planned: instructions go in, a ``StagePlan`` comes out."""

    def __init__(self, planner: Planner, stage: Stage, begun: StagePlan, *, counts_base: bool) -> None:
        self.planner = planner
        self.stage = stage
        self.begun = begun
        self.draft = begun.draft
        self.scope = begun.scope
        self.vertex: Vertex = begun.vertex
        options = planner.options
        names = {name.lower() for name in options.no_cache_stages}
        self._no_cache = options.no_cache or bool({stage.name or str(stage.index), str(stage.index)} & names)
        self._index = 1 if counts_base else 0
        self._total = self._index
        self._trigger = False
        waited = [planner.source(stage, name, stage.from_, begun.platform) for name in stage.from_.after]
        self._after = tuple(found for found in waited if isinstance(found, Node | Base))

    def run(self, instructions: Sequence[Instruction], triggers: int) -> StagePlan:
        """The plan after ``instructions``, the first ``triggers`` of which came from the base."""
        self._total += sum(isinstance(item, Run | Copy | Add | Workdir) for item in instructions)
        for number, instruction in enumerate(instructions):
            self._trigger = number < triggers
            self._apply(instruction)
        return replace(self.begun, draft=self.draft, scope=self.scope, vertex=self.vertex)

    def _apply(self, instruction: Instruction) -> None:
        if isinstance(instruction, Arg):
            self._declare(instruction)
            return
        instruction = instruction.expand(Scope(self.scope.env, self.planner.dockerfile.file.escape))
        draft = self.draft
        match instruction:
            case Env(pairs=pairs):
                self.scope = self.scope.set(pairs)
                self.draft = config.env(draft, pairs)
            case Label(pairs=pairs):
                self.draft = config.label(draft, pairs)
            case Run():
                self._run(instruction)
            case Copy():
                self._copy(instruction)
            case Add():
                self._add(instruction)
            case Workdir(path=path):
                self._workdir(instruction, path)
            case Cmd(command=command):
                self.draft = config.cmd(draft, self._argv(command))
            case Entrypoint(command=command):
                self.draft = config.entrypoint(draft, self._argv(command))
            case Shell(args=args):
                self.draft = config.shell(draft, args)
            case User(user=user):
                self.draft = config.user(draft, user)
            case Expose(ports=ports):
                self.draft = config.expose(draft, ports)
            case Volume(paths=paths):
                self.draft = config.volume(draft, paths)
            case StopSignal(signal=signal):
                self.draft = config.stop_signal(draft, signal)
            case HealthCheck():
                self.draft = config.health_check(
                    draft,
                    instruction.test,
                    interval=instruction.interval,
                    timeout=instruction.timeout,
                    start_period=instruction.start_period,
                    start_interval=instruction.start_interval,
                    retries=instruction.retries,
                )
            case OnBuild(text=text):
                self.draft = config.on_build(draft, text)
            case Maintainer(author=author):
                self.draft = config.maintainer(draft, author)
            case _:
                raise AssertionError(f"{type(instruction).__name__} is not planned")

    def _declare(self, arg: Arg) -> None:
        found = []
        for name, _ in arg.pairs:
            value = self.planner.argument(arg, name, self.scope)
            self.scope = self.scope.declare(name, value)
            found.append((name, value))
        self.draft = config.argument(self.draft, found)

    def _argv(self, command: Command) -> tuple[str, ...]:
        """A command as it is started: the shell in front of a shell form."""
        return (*self.draft.shell, *command.args) if command.shell else command.args

    # -- steps ---------------------------------------------------------------------------------------------------

    def _place(self, instruction: Instruction) -> Place:
        """Where the next step stands, numbered as people see it: ``[build 2/5] RUN make``."""
        self._index += 1
        node = instruction.node
        name = self.stage.name or (f"stage-{self.stage.index}" if len(self.planner.dockerfile.stages) > 1 else "")
        shown = [str(self.begun.platform)] if self.planner.options.show_platform else []
        shown += [name] if name else []
        shown.append(f"{self._index:>{len(str(self._total))}}/{self._total}")
        text = " ".join(node.text.split()).partition(" ")
        title = f"{'ONBUILD ' if self._trigger else ''}{text[0].upper()} {text[2]}"
        if len(title) > _TITLE:
            title = title[: _TITLE - 1] + "…"
        line = node.lines[node.location.line - 1].strip() if node.location.line <= len(node.lines) else node.text
        return Place(f"[{' '.join(shown)}] {title}", node.location, line)

    def _push(self, operation: Operation, inputs: tuple[Vertex, ...] = ()) -> None:
        position = len(self.vertex.chain) if isinstance(self.vertex, Node) else 0
        slot = f"{self.planner.options.slot}/{self.stage.name or self.stage.index}/{position}"
        self.vertex = Node(operation, self.vertex, (*inputs, *self._after), slot)
        self._after = ()

    def _workdir(self, instruction: Workdir, path: str) -> None:
        place = self._place(instruction)
        user = self.draft.user
        self.draft = config.workdir(self.draft, path)
        if self.draft.working_dir != "/":
            step = WorkdirStep(place, self.planner.workshop, self.draft.working_dir, user, no_cache=False)
            self._push(step)

    def _run(self, instruction: Run) -> None:
        from lifecycle.dockerfile.running.order import RunOrder

        options = self.planner.options
        place = self._place(instruction)
        argv, scripts = self._command(instruction)
        mounts, inputs = self._mounts(instruction)
        network = instruction.network if instruction.network != "default" else options.network
        env = {**proxies(options.build_args), **self.scope.env}
        env.setdefault("SOURCE_DATE_EPOCH", str(options.epoch))
        order = RunOrder(
            argv=argv,
            env=env,
            cwd=self.draft.working_dir,
            user=self.draft.user,
            network=network,  # type: ignore[arg-type]
            security=instruction.security,
            scripts=scripts,
            memory=options.memory,
            timeout=options.timeout,
        )
        if hostname := options.build_args.get("BUILDKIT_SANDBOX_HOSTNAME"):
            order = replace(order, hostname=hostname)
        if instruction.devices:
            raise instruction.node.error(
                DeviceAsked,
                "RUN --device cannot be given",
                word="--device",
                why="pylife gives steps no devices of the host",
            )
        step = RunStep(
            place,
            self.planner.workshop,
            order,
            tuple(self.scope.names()),
            str(self.begun.platform),
            mounts,
            place.title[1 : place.title.index("]")],
            no_cache=self._no_cache,
        )
        self._push(step, inputs)
        self.draft = config.note(self.draft, history.run(argv, self.scope.visible_arguments), layer=True)

    def _command(self, instruction: Run) -> tuple[tuple[str, ...], tuple[Script, ...]]:
        """What is started. A here-document alone is the script, run by the shell or, with ``#!``, by itself."""
        from lifecycle.dockerfile.running.order import Script

        command = instruction.command
        if not command.heredocs:
            return self._argv(command), ()
        if not command.shell or len(command.args) != 1:
            raise instruction.node.error(BadHeredoc, "A here-document needs the shell form of RUN")
        first = command.heredocs[0]
        if len(command.heredocs) == 1 and _is_heredoc_only(command.args[0]):
            if first.body.startswith("#!"):
                script = Script(first.name, first.body.encode("utf-8", "surrogateescape"))
                return (*self.draft.shell, script.target), (script,)
            return (*self.draft.shell, first.body), ()
        text = command.args[0] + "".join(f"\n{item.content}{item.name}" for item in command.heredocs)
        return (*self.draft.shell, text), ()

    def _mounts(self, instruction: Run) -> tuple[tuple[MountPlan, ...], tuple[Vertex, ...]]:
        inputs: list[Vertex] = []
        plans = tuple(self._mount(instruction, mount, inputs) for mount in instruction.mounts)
        return plans, tuple(inputs)

    def _mount(self, instruction: Run, mount: Mount, inputs: list[Vertex]) -> MountPlan:
        from lifecycle.dockerfile.mounting import plan_mount

        cwd, node, memory = self.draft.working_dir, instruction.node, self.planner.workshop.memory
        if mount.type not in ("bind", "cache"):
            return plan_mount(mount, cwd, node, memory)
        if not mount.from_:
            return plan_mount(mount, cwd, node, memory, tree=self._tree() if mount.type == "bind" else None)
        name = self.planner.expanded(mount.from_, self.scope)
        found = self.planner.source(self.stage, name, instruction, self.begun.platform)
        if isinstance(found, Node | Base):
            if found not in inputs:
                inputs.append(found)
            return plan_mount(mount, cwd, node, memory, input=inputs.index(found))
        return plan_mount(mount, cwd, node, memory, tree=found)

    def _tree(self) -> HostTree:
        return self.planner.sources.context()

    # -- COPY and ADD --------------------------------------------------------------------------------------------

    def _copy(self, instruction: Copy) -> None:
        place = self._place(instruction)
        inputs: tuple[Vertex, ...] = ()
        tree: HostTree | None = None
        if any(flag.startswith("--from") for flag in instruction.node.flags):
            name = self.planner.expanded(instruction.from_ or "", self.scope)
            found = self.planner.source(self.stage, name, instruction, self.begun.platform)
            if isinstance(found, Node | Base):
                inputs = (found,)
            else:
                tree = found
        else:
            tree = self._tree()
        spec = replace(self._spec(instruction, instruction.sources), parents=instruction.parents)
        self._push_copy(instruction, place, (Part(spec, tree),), inputs, parents=instruction.parents)

    def _add(self, instruction: Add) -> None:
        place = self._place(instruction)
        local, parts = [], []
        for source in instruction.sources:
            with place.named():
                remote = self._remote(instruction, source)
            if remote is None:
                local.append(source)
            else:
                parts.append(remote)
        if local or instruction.files:
            spec = replace(self._spec(instruction, tuple(local)), unpack=instruction.unpack is not False)
            parts.insert(0, Part(spec, self._tree()))
        self._push_copy(instruction, place, tuple(parts), ())

    def _remote(self, instruction: Add, source: str) -> Part | None:
        """A source elsewhere, fetched; None for a path of the context."""
        sources, checksum = self.planner.sources, instruction.checksum or ""
        spec = replace(self._spec(instruction, ()), inlines=())
        cloned = sources.git(source, keep_git=instruction.keep_git_dir, checksum=checksum)
        if cloned is not None:
            tree, commit = cloned
            return Part(replace(spec, sources=("/",)), tree, source, commit)
        if not source.startswith(("http://", "https://")):
            return None
        fetched = sources.url(source, _digest(checksum, instruction))
        inline = Inline(fetched.name or "download", OnDisk(os.fsencode(fetched.path)), fetched.mode)
        remote = replace(spec, inlines=(inline,), unpack=bool(instruction.unpack))
        return Part(remote, self._tree(), source, str(fetched.digest))

    def _spec(self, instruction: Copy | Add, sources: tuple[str, ...]) -> CopySpec:
        destination = instruction.destination
        place = config.join(self.draft.working_dir, destination)
        if place != "/" and (destination.endswith(("/", "/.")) or destination in ("", ".")):
            place += "/"
        files = tuple(Inline(item.name, item.body.encode("utf-8", "surrogateescape")) for item in instruction.files)
        return CopySpec(
            sources=sources,
            destination=place,
            inlines=files,
            chown=instruction.chown,
            chmod=instruction.mode,
            link=instruction.link,
            exclude=instruction.exclude,
            what=instruction.node.keyword.upper(),
        )

    def _push_copy(
        self,
        instruction: Copy | Add,
        place: Place,
        parts: tuple[Part, ...],
        inputs: tuple[Vertex, ...],
        *,
        parents: bool = False,
    ) -> None:
        keyword = instruction.node.keyword.upper()
        self._push(CopyStep(place, self.planner.workshop, keyword, parts, no_cache=self._no_cache), inputs)
        text = history.copy(
            keyword,
            instruction.sources,
            instruction.destination,
            parents=parents,
            chown=instruction.chown or "",
            chmod=instruction.chmod or "",
            documents=[item.name for item in instruction.files],
        )
        self.draft = config.note(self.draft, text, layer=True)


def _is_heredoc_only(text: str) -> bool:
    """Whether a command is nothing but ``<<NAME``."""
    return text.lstrip("0123456789").startswith("<<") and len(text.split()) == 1


def _digest(checksum: str, instruction: Add) -> Digest | None:
    from lifecycle.oci import BadDigest, Digest

    try:
        return Digest.parse(checksum) if checksum else None
    except BadDigest as error:
        why = "write it as sha256:… with 64 hexadecimal digits"
        raise instruction.node.error(BadChecksum, f"{checksum!r} is no checksum", word=checksum, why=why) from error


def copy_of_tree(tree: HostTree, stage: Stage, workshop: Workshop) -> Node:
    """A directory of this host as the filesystem that a stage begins with."""
    node = stage.from_.node
    place = Place(f"[{stage.name or stage.index}] {node.text}", node.location, node.text)
    return Node(CopyStep(place, workshop, "FROM", (Part(CopySpec(("/",), "/", what="FROM"), tree),)), Base())
