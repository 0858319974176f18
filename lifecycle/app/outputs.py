"""Where a build's result goes besides the store: written in the form that each ``--output`` asks for."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lifecycle.app.output_spec import Annotation, BadOutput, Output, OutputKind, parse_output
from lifecycle.archive.entry import DIR, HARDLINK, Entry, Member, printable
from lifecycle.archive.piping import open_tar
from lifecycle.archive.writer import write_tar
from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink, step
from lifecycle.image.edit import with_annotations, with_dialect
from lifecycle.image.filesystem import filesystem
from lifecycle.image.image import Image, ImageIndex
from lifecycle.image.layer import compress_layer
from lifecycle.image.places import OciArchivePlace, OciPlace, Place, RegistryPlace, StorePlace, send
from lifecycle.image.source import index_of, read
from lifecycle.oci import Dialect, Digest, Reference
from lifecycle.record import dataclass
from lifecycle.store import Partial

if TYPE_CHECKING:
    from lifecycle.app.ports import Ports
    from lifecycle.image.transfer import Transfer

__all__ = ["BadOutput", "Output", "OutputKind", "Written", "check_outputs", "parse_output", "write_outputs"]


class OutputFailed(PylifeError):
    """An output could not be written."""

    code = "output.failed"
    fix = "Free some space there or choose another place; the image itself is built and kept."


@dataclass(frozen=True, slots=True)
class Written:
    """One thing that was written: where, for people; the transfer for those that are images in places."""

    output: Output
    where: str
    transfer: Transfer | None = None


def check_outputs(outputs: Sequence[Output], names: Sequence[str], *, several: bool) -> None:
    """Refuse what could not be written, before anything is built; raises BadOutput.

    ``names`` are those of the build; ``several`` says that the result will be an index.
    """
    places = [output.destination for output in outputs if output.destination]
    for place in places:
        if places.count(place) > 1 and (place == "-" or not Path(place).is_dir()):
            shown = "standard output" if place == "-" else place
            raise BadOutput(f"Two outputs go to {shown}", fix="Give each its own dest.")
    for output in outputs:
        if output.kind in ("image", "registry") and not (output.names or names):
            raise BadOutput(f"type={output.kind} needs a name", fix="Add name=NAME, or -t NAME.")
        if output.by_digest and not output.names and any(_has_tag(name) for name in names):
            raise BadOutput("An image that is pushed by its digest has no tag", fix="Name it by name=REPOSITORY.")
        if output.kind == "docker" and several:
            raise BadOutput("A docker archive holds one platform", fix="Write type=oci, or build for one platform.")
        if not several and any(item.level != "manifest" for item in output.annotations):
            raise BadOutput("An image of one platform has no index", fix="Write annotation.KEY, for its manifest.")


def _has_tag(name: str) -> bool:
    return Reference.parse(name).tag is not None


def write_outputs(
    result: Image | ImageIndex,
    outputs: Sequence[Output],
    ports: Ports,
    *,
    names: Sequence[str] = (),
    stdout: BinaryIO | None = None,
    new: Collection[Digest] | None = None,
) -> tuple[Written, ...]:
    """Write the result to every output, in order.

    ``names`` are the names of the build, for outputs without one. ``new`` are the diffIDs of the layers that the build
    made: an output's compression holds for them (for all, when it is None or the output forces it). Raises BadOutput,
    OutputFailed, and what saving images raises.
    """
    check_outputs(outputs, names, several=isinstance(result, ImageIndex))
    written: list[Written] = []
    for output in outputs:
        refs = output.names or tuple(Reference.parse(name) for name in names)
        match output.kind:
            case "cacheonly":
                continue
            case "local":
                _write_local(result, output, ports.sink)
                written.append(Written(output, output.destination))
            case "tar":
                with _file(output, ports, stdout) as out:
                    write_tar(_members(result, output.platform_split), out)
                written.append(Written(output, _shown(output)))
            case "docker":
                assert isinstance(result, Image)
                _write_docker(result, refs, output, ports, stdout)
                written.append(Written(output, _shown(output)))
            case "oci":
                written += _write_oci(_formed(result, output, ports, new), refs, output, ports, stdout)
            case "image" | "registry":
                written += _send(_formed(result, output, ports, new), refs, output, ports)
    return tuple(written)


def _shown(output: Output) -> str:
    return "standard output" if output.destination == "-" else output.destination


# -- the image in the form that an output wants --------------------------------------------------------------------


def _formed(
    result: Image | ImageIndex, output: Output, ports: Ports, new: Collection[Digest] | None
) -> Image | ImageIndex:
    dialect = Dialect.OCI if output.kind == "oci" else output.dialect
    if dialect is None and output.profile is None and not output.annotations:
        return result
    if isinstance(result, Image):
        return _formed_image(result, output, dialect, ports, new)
    images, described = [], []
    for member in result.index.manifests:
        image = read(result.source, member)
        if not isinstance(image, Image):
            raise BadOutput(f"The member {member.digest} of the index is no image", fix="Leave the form as it is.")
        images.append(_formed_image(image, output, dialect, ports, new))
        described.append({**member.annotations, **_annotations(output, image, "manifest-descriptor")})
    own = {item.key: item.value for item in output.annotations if item.level == "index"}
    return index_of(images, {**result.index.annotations, **own}, described)


def _formed_image(
    image: Image, output: Output, dialect: Dialect | None, ports: Ports, new: Collection[Digest] | None
) -> Image:
    if output.profile is not None:
        every = output.force_compression or new is None
        image = replace(
            image,
            layers=tuple(
                compress_layer(layer, ports.store, output.profile, image.dialect)
                if every or layer.diff_id in (new or ())
                else layer
                for layer in image.layers
            ),
        )
    if dialect is not None:
        image = with_dialect(image, dialect)
    return with_annotations(image, _annotations(output, image, "manifest")) if output.annotations else image


def _annotations(output: Output, image: Image, level: str) -> Mapping[str, str]:
    def holds(item: Annotation) -> bool:
        return item.level == level and (item.platform is None or image.platform.satisfies(item.platform))

    return {item.key: item.value for item in output.annotations if holds(item)}


# -- places ----------------------------------------------------------------------------------------------------------


def _send(result: Image | ImageIndex, refs: Sequence[Reference], output: Output, ports: Ports) -> Iterator[Written]:
    images = ports.images()
    for ref in refs:
        place: Place = StorePlace(ref.with_default_tag())
        if output.by_digest:
            place = RegistryPlace(ref.with_digest(result.digest))
        elif output.push:
            place = RegistryPlace(ref.with_default_tag())
        yield Written(output, str(place), send(result, place, images, ports.sink))


def _write_oci(
    result: Image | ImageIndex, refs: Sequence[Reference], output: Output, ports: Ports, stdout: BinaryIO | None
) -> Iterator[Written]:
    """A layout under every tag of the names; an archive can have one only, the first."""
    images = ports.images()
    tags = list(dict.fromkeys(ref.with_default_tag().tag for ref in refs)) or [None]
    if not output.packed:
        for tag in tags:
            place = OciPlace(Path(output.destination), tag)
            yield Written(output, str(place), send(result, place, images, ports.sink))
    elif output.destination == "-":
        with _file(output, ports, stdout) as out:
            transfer = send(result, OciArchivePlace(Path(out.name), tags[0]), images, ports.sink)
        yield Written(output, "standard output", transfer)
    else:
        place_ = OciArchivePlace(Path(output.destination), tags[0])
        with _translated(output.destination):
            Path(output.destination).parent.mkdir(parents=True, exist_ok=True)
        yield Written(output, str(place_), send(result, place_, images, ports.sink))


def _write_docker(
    image: Image, refs: Sequence[Reference], output: Output, ports: Ports, stdout: BinaryIO | None
) -> None:
    from lifecycle.store.docker_archive import write_docker_archive

    tags = [ref.with_default_tag().familiar for ref in refs]
    layers = [(layer.diff_id, layer.uncompressed) for layer in image.layers]
    home = ports.home if output.destination == "-" else Path(output.destination).parent
    with step(ports.sink, f"output/docker/{output.destination}", f"Write {_shown(output)}"), _translated(str(home)):
        home.mkdir(parents=True, exist_ok=True)
        with Partial(home) as partial:
            write_docker_archive(partial, image.config.raw, layers, tags)
            if output.destination != "-":
                partial.keep(Path(output.destination))
                return
            with partial.reopen() as whole:
                shutil.copyfileobj(whole, _console(stdout), 1 << 20)


@contextmanager
def _file(output: Output, ports: Ports, stdout: BinaryIO | None) -> Iterator[BinaryIO]:
    """A file that gets its name when it is whole. For standard output, a tar goes there as it is made."""
    with step(ports.sink, f"output/{output.kind}/{output.destination}", f"Write {_shown(output)}"):
        if output.destination == "-" and output.kind == "tar":
            with _translated("standard output"):
                yield _console(stdout)
            return
        if output.destination == "-":
            _console(stdout)
            from lifecycle.app.engine import scratch

            with scratch(ports) as directory:
                path = directory / "output"
                with open(path, "w+b") as out:
                    yield out
                with open(path, "rb") as whole, _translated("standard output"):
                    shutil.copyfileobj(whole, _console(stdout), 1 << 20)
            return
        path = Path(output.destination)
        with _translated(output.destination):
            path.parent.mkdir(parents=True, exist_ok=True)
            with Partial(path.parent) as partial:
                yield partial.file
                partial.keep(path)


def _console(stdout: BinaryIO | None) -> BinaryIO:
    if stdout is None:
        raise OutputFailed("Nothing can be written to standard output", why="it is not open")
    if stdout.isatty():
        raise BadOutput("An archive is nothing for a terminal", fix="Add dest=FILE, or pipe it into another program.")
    return stdout


@contextmanager
def _translated(place: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # whoever read standard output has enough: no failure of the output
        raise
    except OSError as error:
        raise OutputFailed(f"{error.filename or place} cannot be written", why=error.strerror) from error


# -- filesystems -----------------------------------------------------------------------------------------------------


def _members(result: Image | ImageIndex, split: bool | None) -> Iterator[Member]:
    """The filesystem of an image; of an index one folder a platform, or all in one when ``split`` is off."""
    if isinstance(result, Image):
        if not split:
            yield from filesystem(result.layers)
        else:
            yield from _below(str(result.platform), result)
        return
    seen: dict[bytes, str] = {}
    for member in result.index.manifests:
        image = read(result.source, member)
        if not isinstance(image, Image):
            continue
        platform = str(member.platform or image.platform)
        if split or split is None:
            yield from _below(platform, image)
            continue
        for entry, content in filesystem(image.layers):
            if entry.kind is not DIR and seen.setdefault(entry.name, platform) != platform:
                why = f"{printable(entry.name)} is in {seen[entry.name]} and in {platform}"
                raise BadOutput("The platforms do not fit into one tree", why=why, fix="Leave platform-split out.")
            yield entry, content


def _below(platform: str, image: Image) -> Iterator[Member]:
    folder = platform.replace("/", "_").encode()
    yield Entry(folder, DIR, 0o755), None
    for entry, content in filesystem(image.layers):
        if entry.name == b".":
            continue
        link = folder + b"/" + entry.linkname if entry.kind is HARDLINK else entry.linkname
        yield replace(entry, name=folder + b"/" + entry.name, linkname=link), content


def _write_local(result: Image | ImageIndex, output: Output, sink: Sink) -> None:
    """The filesystem in a directory: what is there is overwritten, or with ``delete`` also removed where it is no part.

    Owners are kept only by the host's own root.
    """
    from lifecycle.archive import Ownership, Whiteouts, extract

    top = Path(output.destination)
    if output.delete and top.resolve() in (Path("/"), Path.home()):
        raise BadOutput(f"{top} would be emptied", where="mode=delete", fix="Name a directory of its own.")
    names: set[bytes] = set()

    def told() -> Iterator[Member]:
        for entry, content in _members(result, output.platform_split):
            if entry.name == b".":  # the directory itself stays as it is
                continue
            names.add(entry.name)
            yield entry, content

    ownership = Ownership.KEEP if _is_host_root() else Ownership.SELF
    with step(sink, f"output/local/{top}", f"Write {top}"), _translated(str(top)):
        top.mkdir(parents=True, exist_ok=True)
        with open_tar(told()) as stream:
            done = extract(stream, top, ownership=ownership, whiteouts=Whiteouts.KEEP)
        if output.delete:
            _delete_others(top, names)
    for what, count in done.dropped_xattrs:
        sink.emit(Message(f"The attribute {what} of {count} files could not be set in {top}.", "warning"))
    if done.skipped_devices:
        sink.emit(Message(f"{len(done.skipped_devices)} device nodes could not be made in {top}.", "warning"))


def _delete_others(top: Path, names: set[bytes]) -> None:
    kept = set(names)
    for name in names:  # directories that no entry names, but that hold one
        while name := name.rpartition(b"/")[0]:
            kept.add(name)
    root = os.fsencode(top)
    for directory, directories, files in os.walk(root, topdown=True):
        below = os.path.relpath(directory, root)
        for name in [*directories, *files]:
            path = name if below == b"." else below + b"/" + name
            if path in kept:
                continue
            place = os.path.join(directory, name)
            if stat.S_ISDIR(os.lstat(place).st_mode):
                shutil.rmtree(place)
            else:
                os.unlink(place)
            with suppress(ValueError):
                directories.remove(name)


def _is_host_root() -> bool:
    """True for root that is no user's root of a namespace: there, owners on disk would be made-up numbers."""
    if os.geteuid() != 0:
        return False
    try:
        return Path("/proc/self/uid_map").read_text().split()[:2] == ["0", "0"]
    except OSError:
        return True
