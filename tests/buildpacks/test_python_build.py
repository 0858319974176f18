"""bin/build of the Python buildpack: layers, reuse and its reasons, reproducibility, the run image without Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
from pylife_sdk.tree import tree_digest
from workbench import BUILDPACKS, Bench, outer_env


def types(bench: Bench, name: str) -> dict[str, bool]:
    return dict(tomllib.loads(Path(f"{bench.layer('python', name)}.toml").read_text())["types"])


def test_layers_have_the_types_that_they_need(made: Bench) -> None:
    everywhere = {"build": True, "launch": True, "cache": True}
    assert types(made, "runtime") == everywhere
    assert types(made, "venv") == everywhere
    assert types(made, "uv") == {"build": True, "launch": False, "cache": True}
    assert types(made, "uv-cache") == {"build": False, "launch": False, "cache": True}


def test_the_environment_is_activated(made: Bench) -> None:
    assert (made.layer("python", "venv") / "env/VIRTUAL_ENV.override").read_text() == str(made.layer("python", "venv"))
    assert (made.layer("python", "runtime") / "env/PYTHONUNBUFFERED.default").read_text() == "1"
    python = made.layer("python", "venv") / "bin/python"
    run = subprocess.run([python, "-c", "import parrot; print(parrot.talk())"], capture_output=True, text=True)
    assert run.stdout == "hello from the parrot\n"


def test_an_unchanged_app_keeps_all_layers_and_starts_no_installer(made: Bench) -> None:
    before = {name: tree_digest(str(made.layer("python", name)), skip=()) for name in ("runtime", "venv", "uv")}
    changed = [made.layer("python", "venv").stat().st_mtime_ns, made.layer("python", "runtime").stat().st_mtime_ns]
    program = made.layer("python", "uv") / "bin/uv"
    hidden = program.with_name("uv.hidden")
    program.rename(hidden)
    try:
        started = time.monotonic()
        ran = made.build("python")
        took = time.monotonic() - started
    finally:
        hidden.rename(program)
    assert ran.code == 0, ran.err
    assert "The virtual environment is kept from the last build: its requirements are the same (" in ran.out
    assert took < 2
    assert {name: tree_digest(str(made.layer("python", name)), skip=()) for name in before} == before
    after = [made.layer("python", "venv").stat().st_mtime_ns, made.layer("python", "runtime").stat().st_mtime_ns]
    assert after == changed
    assert types(made, "venv")["launch"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"requirements.txt": "parrot==2.0\n"}, "requirements.txt changed"),
        ({"more/base.txt": "parrot\ncage\n"}, "more/base.txt changed"),
        ({"pins.txt": "parrot<1.5\n"}, "pins.txt changed"),
    ],
)
def test_a_changed_requirements_file_rebuilds_and_says_which(offline: Bench, files: dict[str, str], why: str) -> None:
    first = {
        "requirements.txt": "-r more/base.txt\n-c pins.txt\n",
        "more/base.txt": "parrot\n",
        "pins.txt": "parrot<2\n",
    }
    ran = offline.write(first).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert "+ parrot==1.0" in ran.out
    ran = offline.write(files).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert f"into a new virtual environment: {why}" in ran.out


def test_an_uninstalled_package_is_gone(offline: Bench) -> None:
    offline.write({"requirements.txt": "cage\n"}).build("python")
    site = next(offline.layer("python", "venv").glob("lib/*/site-packages"))
    assert (site / "cage.py").exists()
    ran = offline.write({"requirements.txt": "parrot==1.0\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert not (site / "cage.py").exists()
    assert not (site / "__pycache__").exists()


def test_an_editable_app_is_installed_and_its_source_is_part_of_the_key(offline: Bench) -> None:
    backend = """\
import base64, os, zipfile
def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "shop-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("shop.pth", os.path.join(os.getcwd(), "src"))
        wheel.writestr("shop-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: shop\\nVersion: 1.0\\n")
        wheel.writestr("shop-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("shop-1.0.dist-info/RECORD", "shop.pth,,\\n")
    os.makedirs("shop.egg-info", exist_ok=True)
    return name
build_wheel = build_editable
"""
    project = '[project]\nname = "shop"\nversion = "1.0"\n'
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    offline.write(
        {
            "requirements.txt": "-e .\n",
            "pyproject.toml": project + system,
            "backend.py": backend,
            "src/shop/__init__.py": "OPEN = True\n",
        }
    )
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    python = offline.layer("python", "venv") / "bin/python"
    run = subprocess.run([python, "-c", "import shop; print(shop.__file__)"], capture_output=True, text=True, cwd="/")
    assert run.stdout.strip() == str(offline.app / "src/shop/__init__.py")
    assert not (offline.app / "shop.egg-info").exists()
    assert not list(offline.layer("python", "venv").glob("lib/*/site-packages/*/uv_cache.json"))
    assert "is kept" in offline.build("python").out.partition("Packages")[2]
    ran = offline.write({"src/shop/__init__.py": "OPEN = False\n"}).build("python")
    assert "the source of . changed" in ran.out


def test_a_virtualenv_that_git_ignores_is_left_out(offline: Bench) -> None:
    offline.write({"requirements.txt": "parrot\n", ".gitignore": "*.log\n/.venv/\n", ".venv/pyvenv.cfg": "home = /x\n"})
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    assert ".venv/ is left out" in ran.out
    assert ".gitignore:2" in ran.out
    assert not (offline.app / ".venv").exists()


def test_pip_settings_of_the_user_reach_the_installer_and_stay_out_of_layers(offline: Bench) -> None:
    links = offline.env.pop("PIP_FIND_LINKS")
    offline.write({"requirements.txt": "parrot==1.0\n"})
    offline.user_env(PIP_FIND_LINKS=links, PIP_INDEX_URL="https://me:hush@localhost:9/simple")
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    layers = offline.layer("python", "venv")
    for path in [*layers.rglob("*"), *layers.parent.glob("*.toml"), *layers.parent.glob("*.json")]:
        if path.is_file():
            assert b"hush" not in path.read_bytes(), path


def test_two_builds_at_one_place_are_equal_byte_for_byte(tmp_path: Path, made: Bench) -> None:
    layers = made.layers / "pylife_python"
    aside = tmp_path / "aside"
    first = {name: tree_digest(str(layers / name), skip=()) for name in ("runtime", "venv")}
    documents = {path.name: path.read_bytes() for path in layers.glob("*.sbom.*")}
    layers.rename(aside)
    shutil.copytree(aside / "uv", layers / "uv")
    shutil.copy(aside / "uv.toml", layers)
    try:
        # Another order of compiling: one processor where there were several, another hash seed.
        processor = min(os.sched_getaffinity(0))
        mask = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {processor})
        try:
            ran = made.build("python", PYTHONHASHSEED="77", TZ="Asia/Tokyo")
        finally:
            os.sched_setaffinity(0, mask)
        assert ran.code == 0, ran.out + ran.err
        assert {name: tree_digest(str(layers / name), skip=()) for name in first} == first
        assert {path.name: path.read_bytes() for path in layers.glob("*.sbom.*")} == documents
    finally:
        shutil.rmtree(layers, ignore_errors=True)
        aside.rename(layers)


def test_bytecode_is_checked_against_no_clock(made: Bench) -> None:
    compiled = list(made.layer("python", "venv").glob("lib/*/site-packages/parrot/__pycache__/*.pyc"))
    assert len(compiled) == 2
    assert all(path.read_bytes()[4:8] == b"\x01\0\0\0" for path in compiled)


def test_bytecode_of_one_file_does_not_depend_on_its_neighbours(tmp_path: Path, made: Bench) -> None:
    source = "\n".join(f"def uncommon_name_{n}(argument_{n}): return 'uncommon text {n}'" for n in range(40))
    seen = set()
    for neighbours in (0, 30):
        tree = tmp_path / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        for n in range(neighbours):
            (tree / f"a{n}.py").write_text(source.replace("return", f"{n};return"))
        (tree / "z.py").write_text(source)
        python = made.layer("python", "runtime") / "bin/python3"
        script = BUILDPACKS / "python/lib/pylife_python/bytecode.py"
        subprocess.run([python, "-S", "-s", "-E", "-B", script, tree], check=True)
        seen.add(next(tree.glob("__pycache__/z.*")).read_bytes())
    assert len(seen) == 1


def test_sbom_names_the_packages_in_both_formats(made: Bench) -> None:
    cyclonedx = json.loads(Path(f"{made.layer('python', 'venv')}.sbom.cdx.json").read_text())
    assert cyclonedx["specVersion"] == "1.5"
    assert cyclonedx["components"] == [
        {
            "bom-ref": "pkg:pypi/parrot@1.0",
            "licenses": [{"expression": "MIT"}],
            "name": "parrot",
            "purl": "pkg:pypi/parrot@1.0",
            "type": "library",
            "version": "1.0",
        }
    ]
    spdx = json.loads(Path(f"{made.layer('python', 'venv')}.sbom.spdx.json").read_text())
    assert spdx["spdxVersion"] == "SPDX-2.3"
    assert [package["name"] for package in spdx["packages"]] == ["parrot"]


def test_nothing_in_the_runtime_points_outside(made: Bench) -> None:
    runtime = made.layer("python", "runtime")
    assert not [path for path in runtime.rglob("*") if path.is_symlink() and "/" in os.readlink(path)]
    code = "import sysconfig; print([p for p in (sysconfig.get_config_var('prefix'), *sysconfig.get_paths().values())])"
    run = subprocess.run([runtime / "bin/python3", "-c", code], capture_output=True, text=True, check=True)
    assert "/usr" not in run.stdout


def test_the_runtime_works_where_there_is_only_glibc(tmp_path: Path, made: Bench) -> None:
    root = tmp_path / "root"
    for pattern in ("ld-linux*", "libc.so*", "libm.so*", "libdl.so*", "libpthread.so*", "libresolv.so*", "libutil.so*"):
        for path in [*Path("/lib64").glob(pattern), *Path(f"/lib/{os.uname().machine}-linux-gnu").glob(pattern)]:
            target = root / str(path).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    runtime = made.layer("python", "runtime")
    shutil.copytree(runtime, root / str(runtime).lstrip("/"), symlinks=True)
    code = (
        "import ssl, sqlite3, ctypes, zoneinfo, lzma, bz2, hashlib, curses, uuid, decimal, asyncio, dbm.ndbm\n"
        "print(ssl.OPENSSL_VERSION.split()[0], zoneinfo.ZoneInfo('UTC'), sqlite3.connect(':memory:').total_changes)"
    )
    chroot = ["chroot", str(root), f"{runtime}/bin/python3", "-IBc", code]
    command = chroot if os.geteuid() == 0 else ["unshare", "-r", *chroot]
    search = (runtime / "env.launch/LD_LIBRARY_PATH.append").read_text()
    assert search.startswith("/lib/")
    assert (runtime / "env.launch/LD_LIBRARY_PATH.delim").read_text() == ":"
    env = {"LD_LIBRARY_PATH": search, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("OpenSSL UTC 0")


def test_packages_install_without_proc_and_sys(offline: Bench, tmp_path: Path) -> None:
    offline.write({"requirements.txt": "cage\n"})
    empty = tmp_path / "empty"
    empty.mkdir()
    program = BUILDPACKS / "python" / "bin" / "build"
    script = f"mount --bind {empty} /proc && mount --bind {empty} /sys && exec {program}"
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no mount namespace")
    env = outer_env(offline.root) | offline.env
    env |= {"CNB_LAYERS_DIR": str(offline.layers / "pylife_python"), "CNB_PLATFORM_DIR": str(offline.root / "platform")}
    env |= {"CNB_BP_PLAN_PATH": str(offline.root / "plan")}
    shutil.rmtree(offline.layer("python", "runtime"))
    run = subprocess.run([*unshare, "sh", "-c", script], cwd=offline.app, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "+ cage==1.0" in run.stdout


def test_the_libraries_of_an_interpreter_are_found_without_glibc() -> None:
    from pylife_python.libraries import closure, needed

    assert "libc.so.6" in needed("/usr/bin/python3")
    assert needed(__file__) == []
    found, absent = closure(["/usr/bin/python3"])
    assert absent == []
    assert set(found) >= {"libexpat.so.1", "libz.so.1"}
    assert not [name for name in found if name.startswith(("libc.", "libm.", "ld-"))]
    assert closure(["/usr/bin/python3"], bundled=["libz.so.1"])[0].keys() == found.keys() - {"libz.so.1"}
