"""bin/compile: an app built by CNB buildpacks, and their layers made part of it."""

from __future__ import annotations

import contextlib
import os
import tempfile

from pylife_sdk.context import write_file
from pylife_sdk.output import Failure, note, report, warn

from pylife_classic import launching
from pylife_classic.kept import Kept, open_folder, remove
from pylife_classic.kinds import Kind
from pylife_classic.parts import Part, entries_for
from pylife_classic.place import FOLDER, final_place, link_for_later, moved
from pylife_classic.variables import Change, layer_changes

_RELEASE = "release.yml"


def build_app(home: str, kind: Kind, build_dir: str, cache_dir: str, env_dir: str) -> int:
    """Compiles the app; the exit code of bin/compile. The reason for a failure has been printed."""
    os.umask(0o022)
    place = final_place(build_dir, os.environ)
    try:
        _refuse_what_is_there(kind, build_dir)
    except Failure as failure:
        report(failure)
        return 1
    stack, machine = os.environ.get("STACK", "none"), os.uname().machine
    made_for = {"the stack": stack, "the app's folder": place, "the machine": machine}
    cache = open_folder(cache_dir, made_for)
    with tempfile.TemporaryDirectory(prefix="pylife-platform-") as platform, moved(build_dir, place) as own_home:
        os.chdir(place)
        _set_environment(kind, env_dir, platform, place, own_home)
        parts = _choose(kind, place, cache, platform)
        code = 1
        try:
            code = _build(parts, platform)
        finally:
            if code:
                _give_up(parts)
        if code:
            return code
        exported = _finish(kind, parts, place)
    link_for_later(build_dir, place, [part.name for part in parts])
    _export(home, exported)
    return 0


def release_file(app: str, kind: Kind) -> str:
    """What compile leaves for bin/release."""
    return os.path.join(app, FOLDER, kind.main, _RELEASE)


def _refuse_what_is_there(kind: Kind, build_dir: str) -> None:
    folder = os.path.join(FOLDER, kind.main)
    path = os.path.join(build_dir, folder)
    top = os.path.dirname(path)
    if os.path.lexists(top) and not os.path.isdir(top):
        folder, path = FOLDER, top
    if os.path.lexists(path):
        there = sorted(os.listdir(path))[:10] if os.path.isdir(path) else ["it is no folder"]
        raise Failure(
            "classic.built-already",
            f"The app has {folder} already, in which this buildpack puts what it makes.",
            found=", ".join(there) or "it is empty",
            fix=f"When the folder is committed, remove it:\ngit rm -r --cached {folder}\n"
            f"When the {kind.name} buildpack is in the list of buildpacks twice, name it once.",
        )


def _set_environment(kind: Kind, env_dir: str, platform: str, place: str, own_home: str) -> None:
    """The config variables, but those that the kind refuses, become the platform's and the process' own."""
    folder = os.path.join(platform, "env")
    os.mkdir(folder)
    refused = []
    for name in sorted(os.listdir(env_dir)) if os.path.isdir(env_dir) else []:
        path = os.path.join(env_dir, name)
        if name.startswith(".") or "=" in name or not os.path.isfile(path):
            continue
        if not kind.takes(name):
            refused.append(name)
            continue
        os.symlink(path, os.path.join(folder, name))
        with open(path, "rb") as file:
            value = file.read()
        if b"\0" in value:
            warn(f"The config variable {name} has a NUL byte: programs of the build do not get it.")
        else:
            os.environb[os.fsencode(name)] = value
    if refused:
        note(f"Config variables that a build does not take: {', '.join(refused)}.")
    # What a program leaves in its home must not become part of the app.
    if os.path.realpath(os.environ.get("HOME") or place) == place:
        os.environ["HOME"] = own_home


def _choose(kind: Kind, app: str, cache: str, platform: str) -> list[Part]:
    """The CNB buildpacks that take part, in order. The main one does, whatever its detection says: it can explain."""
    main = _part(kind.main, app, cache)
    if not main.detect(app, platform):
        note(main.said.strip())
    missing = {entry["name"] for entry in main.requires()} - main.provides()
    before = []
    for name in kind.before:
        part = _part(name, app, cache)
        if missing and not os.path.isdir(part.layers) and part.detect(app, platform) and missing & part.provides():
            before.append(part)
    after = [part for name in kind.after if (part := _part(name, app, cache)).detect(app, platform)]
    return [*before, main, *after]


def _part(name: str, app: str, cache: str) -> Part:
    layers = os.path.join(app, FOLDER, name)
    return Part(name, layers, Kept(os.path.join(cache, name), layers))


def _build(parts: list[Part], platform: str) -> int:
    for number, part in enumerate(parts):
        part.kept.restore()
        if code := part.build(platform, entries_for(part, parts)):
            return code
        if number + 1 < len(parts):
            for change in _for_later(part):
                change.apply(os.environ)  # type: ignore[arg-type]
    return 0


def _give_up(parts: list[Part]) -> None:
    for part in parts:
        part.kept.give_back()
        remove(part.layers)
        with contextlib.suppress(OSError):  # it is another buildpack's as long as it is not empty
            os.rmdir(os.path.dirname(part.layers))


def _for_later(part: Part) -> list[Change]:
    return layer_changes(part.kept.wanted("build"), launch=False)


def _finish(kind: Kind, parts: list[Part], app: str) -> list[Change]:
    """Makes the layers part of the app and the rest part of the cache; what later buildpacks are to have set."""
    types: dict[str, str] = {}
    exported: list[Change] = []
    for part in parts:
        changes = _for_later(part)
        types |= launching.processes(part.layers, app)
        staying = part.kept.store()
        exported += [change.moved(part.kept.places) for change in changes]
        for name in os.listdir(part.layers):
            if name not in staying:
                remove(os.path.join(part.layers, name))
        if staying:
            launching.write_profile(app, part.name, [os.path.join(part.layers, name) for name in staying])
        elif part.name != kind.main:
            os.rmdir(part.layers)
    write_file(release_file(app, kind), launching.render_release(types))
    return exported


def _export(home: str, changes: list[Change]) -> None:
    """Writes the file that is sourced before later buildpacks."""
    try:
        write_file(os.path.join(home, "export"), "".join(f"{change.as_shell()}\n" for change in changes))
    except OSError as error:
        warn(f"Later buildpacks will not find what this one made: {error.filename}: {error.strerror}.")
