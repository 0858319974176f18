"""Where an app is built: at the very path where it will run.

The folder that it is given in is another one (``/tmp/build``, and the app runs in ``/app``), so its entries are moved
for the time of a build. Links stand for them meanwhile, since programs of earlier buildpacks may be known by the old
path. What was in the app's folder before (the home directory's own files) is moved to a home of this build.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

VARIABLE, USUAL = "APP_PATH", "/app"
"""The variable that names the folder where apps run, and the folder when it does not."""
FOLDER = ".heroku"
"""The folder of an app that its buildpacks' files are in, one folder a buildpack."""


def final_place(build_dir: str, env: Mapping[str, str]) -> str:
    """Where the app will run: $APP_PATH, else /app; the folder it is given in when there is no such writable one."""
    place = os.path.realpath(env.get(VARIABLE) or USUAL)
    return place if os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK) else os.path.realpath(build_dir)


@contextmanager
def moved(build_dir: str, place: str) -> Iterator[str]:
    """The app is in ``place`` as long as the block runs, whose value is a home directory for the programs of a build.

    The home has what was in ``place``. Afterwards all is back where it was, but for what programs left in the home,
    which is removed with it.
    """
    with _home_beside(build_dir) as home:
        if os.path.realpath(build_dir) == place:
            yield home
            return
        aside: list[str] = []
        given: list[str] = []
        try:
            for name in sorted(os.listdir(place)):
                _move(os.path.join(place, name), os.path.join(home, name))
                aside.append(name)
            for name in sorted(os.listdir(build_dir)):
                _move(os.path.join(build_dir, name), os.path.join(place, name))
                os.symlink(os.path.join(place, name), os.path.join(build_dir, name))
                given.append(name)
            yield home
        finally:
            for name in given:
                link = os.path.join(build_dir, name)
                if os.path.islink(link) and os.readlink(link) == os.path.join(place, name):
                    os.unlink(link)
            for name in sorted(os.listdir(place)):
                _move(os.path.join(place, name), os.path.join(build_dir, name))
            for name in aside:
                _move(os.path.join(home, name), os.path.join(place, name))


def _move(source: str, target: str) -> None:
    """Moves a file or a folder, also one that its owner may not write to: its entry ".." changes."""
    mode = os.lstat(source).st_mode
    frozen = stat.S_ISDIR(mode) and not mode & stat.S_IWUSR
    if frozen:
        os.chmod(source, stat.S_IMODE(mode) | stat.S_IWUSR)
    shutil.move(source, target)
    if frozen:
        os.chmod(target, stat.S_IMODE(mode))


@contextmanager
def _home_beside(build_dir: str) -> Iterator[str]:
    """A new home directory, at the same path in every build: compilers and bundlers write down where it is, and the
    same source is to give the same bytes. Elsewhere where none can be made beside the app."""
    home = f"{build_dir}.home"
    shutil.rmtree(home, ignore_errors=True)  # of a build that was killed
    try:
        os.mkdir(home, 0o700)
    except OSError:
        home = tempfile.mkdtemp(prefix="pylife-home-")
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def link_for_later(build_dir: str, place: str, names: list[str]) -> None:
    """Makes what this buildpack left in ``.heroku`` reachable by the paths that it will have when the app runs: later
    buildpacks start programs there before the app is moved."""
    if os.path.realpath(build_dir) == place:
        return
    folder = os.path.join(place, FOLDER)
    os.makedirs(folder, exist_ok=True)
    for name in names:
        link, target = os.path.join(folder, name), os.path.join(os.path.realpath(build_dir), FOLDER, name)
        if os.path.realpath(link) == target:
            continue
        if os.path.islink(link):
            os.unlink(link)
        if not os.path.lexists(link):
            os.symlink(target, link)
