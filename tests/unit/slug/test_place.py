"""Where an app is put, with volumes mounted in it or without: real mounts, in a namespace of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.slug.place import is_filled, move_around, volumes_in

MOUNT = 'mount -t tmpfs none "$1" && shift && exec "$@"'


def with_volume(place: Path, program: str, *args: str | Path) -> list[object]:
    """What a Python program prints as JSON, run where a volume is mounted at ``place``."""
    python = [sys.executable, "-c", program, *map(str, args)]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh", str(place), *python]
    probe = subprocess.run([*command[:4], "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no namespace of its own can be made: {probe.stderr.strip()}")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_a_directory_is_filled_by_any_file_of_its_own(tmp_path: Path) -> None:
    assert not is_filled(str(tmp_path / "missing"))
    assert not is_filled(str(tmp_path))
    (tmp_path / "empty").mkdir()
    assert is_filled(str(tmp_path))


def test_mounted_volumes_and_what_leads_to_them_fill_no_directory(tmp_path: Path) -> None:
    volume = tmp_path / "var" / "log files"
    volume.mkdir(parents=True)
    program = """
import json, os, sys
from lifecycle.slug.place import is_filled, volumes_in
top, volume = sys.argv[1:]
open(f"{volume}/old.log", "w").close()
first = is_filled(top)
open(f"{top}/var/own", "w").close()
print(json.dumps([sorted(volumes_in(top)), first, is_filled(top)]))
"""
    assert with_volume(volume, program, tmp_path, volume) == [[str(volume)], False, True]
    assert volumes_in(str(tmp_path)) == frozenset()


def test_what_is_unpacked_goes_around_volumes(tmp_path: Path) -> None:
    volume = tmp_path / "app" / "logs"
    volume.mkdir(parents=True)
    new = tmp_path / "app" / ".new"
    for name in ("Procfile", "logs/.keep", "bin/run"):
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_text(name)
    program = """
import json, os, sys
from lifecycle.slug.place import move_around
new, app = sys.argv[1:]
open(f"{app}/logs/old.log", "w").close()
move_around(new, app)
print(json.dumps([sorted(os.listdir(app)), os.listdir(f"{app}/logs"), os.listdir(f"{app}/bin")]))
"""
    assert with_volume(volume, program, new, tmp_path / "app") == [["Procfile", "bin", "logs"], ["old.log"], ["run"]]


def test_without_volumes_everything_is_moved(tmp_path: Path) -> None:
    (tmp_path / "app/.new/a").mkdir(parents=True)
    (tmp_path / "app/.new/b").symlink_to("a")
    move_around(str(tmp_path / "app/.new"), str(tmp_path / "app"))
    assert sorted(path.name for path in (tmp_path / "app").iterdir()) == ["a", "b"]


def test_a_directory_that_is_mounted_read_only_is_known_before_the_build(tmp_path: Path) -> None:
    volume = tmp_path / "app"
    volume.mkdir()
    program = """
import json, subprocess, sys
from pathlib import Path
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.slug.place import check_writable
from lifecycle.store.errors import NoAccess
root = BuildRoot(Path(sys.argv[1]))
check_writable(root, "/app")
subprocess.run(["mount", "-o", "remount,ro", sys.argv[2]], check=True)
try:
    check_writable(root, "/app")
except NoAccess as error:
    print(json.dumps([error.what, error.why]))
"""
    assert with_volume(volume, program, tmp_path, volume) == ["/app cannot be written to", "it is mounted read-only"]


def test_the_env_directory_is_another_where_it_is_mounted_read_only(tmp_path: Path) -> None:
    volume = tmp_path / "env"
    volume.mkdir()
    program = """
import json, os, subprocess, sys
from pathlib import Path
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.slug.environment import env_dir, read_env_dir
from lifecycle.slug.paths import Paths
root = BuildRoot(Path(sys.argv[1]))
open(f"{sys.argv[2]}/OLD", "w").write("old")
subprocess.run(["mount", "-o", "remount,ro", sys.argv[2]], check=True)
with env_dir(root, Paths(env="/env", build="/build"), {"OLD": "old", "NEW": "new"}) as place:
    found = read_env_dir(root, place)
print(json.dumps([place != "/env", found, os.listdir(sys.argv[1])]))
"""
    assert with_volume(volume, program, tmp_path, volume) == [True, {"OLD": "old", "NEW": "new"}, ["env"]]


def test_an_app_that_takes_the_place_of_another_leaves_volumes_as_they_are(tmp_path: Path) -> None:
    volume = tmp_path / "app" / "var" / "log"
    volume.mkdir(parents=True)
    for name in ("build/made", "build/var/new", "app/old", "app/var/old", "app/dir/old"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    program = """
import json, os, sys
from pathlib import Path
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.slug.place import move_app
top, volume = sys.argv[1:]
open(f"{volume}/kept.log", "w").close()
move_app(BuildRoot(Path(top)), "/build", "/app", None)
files = [os.path.relpath(os.path.join(at, name), top) for at, _, names in os.walk(top) for name in names]
print(json.dumps(sorted(files)))
"""
    assert with_volume(volume, program, tmp_path, volume) == ["app/made", "app/var/log/kept.log", "app/var/new"]
