"""Builds with real npm on a registry of the test's own: what is kept, what is sent, and what failures mean.

Node.js and npm themselves are fetched once for all of these tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_registry import NODE, Registry, placed_node, restored_node
from workbench import Bench, Ran, outer_env


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return placed_node(tmp_path_factory)


@pytest.fixture
def ready(tmp_path: Path, placed: Bench, registry: Registry) -> Bench:
    """A workbench with Node.js and npm restored, whose npm knows the test's registry only."""
    bench = restored_node(placed, tmp_path)
    bench.env |= {"npm_config_registry": registry.url, "npm_config_fetch_retries": "0"}
    return bench


def app(registry: Registry, scripts: dict[str, str] | None = None, **fields: object) -> dict[str, str | bytes]:
    """An app that needs parrot, and cage for its development."""
    dependencies = {"dependencies": {"parrot": "^1.0.0"}, "devDependencies": {"cage": "^2.0.0"}}
    described = {"name": "app", "version": "1.0.0", "scripts": scripts or {}, **dependencies, **NODE, **fields}
    own = {"name": "app", "version": "1.0.0", **dependencies, **NODE}
    installed = {
        "node_modules/parrot": {"version": "1.0.0", "integrity": registry.integrity("parrot", "1.0.0")},
        "node_modules/cage": {"version": "2.0.0", "integrity": registry.integrity("cage", "2.0.0"), "dev": True},
    }
    lock = {
        "name": "app",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "requires": True,
        "packages": {"": own, **installed},
    }
    return {"package.json": json.dumps(described), "package-lock.json": json.dumps(lock), "server.js": "// 1"}


def good(ran: Ran) -> Ran:
    assert ran.code == 0, ran.out + ran.err
    return ran


def fresh(bench: Bench) -> None:
    """The app's folder as it comes from the source: without what the last build put there."""
    for name in ("node_modules", "dist"):
        shutil.rmtree(bench.app / name, ignore_errors=True)


def test_without_scripts_only_production_packages_are_installed(ready: Bench, registry: Registry) -> None:
    ran = good(ready.write(app(registry)).build("nodejs"))
    assert "npm ci --omit=dev" in ran.out
    assert sorted(each for each in os.listdir(ready.app / "node_modules") if each[0] != ".") == ["parrot"]
    assert ready.launch("nodejs")["slices"] == [{"paths": ["node_modules"]}]
    assert ready.processes("nodejs")["web"]["command"] == ["node", "server.js"]
    described = json.loads((ready.layers / "pylife_nodejs" / "launch.sbom.cdx.json").read_text())
    assert [each["purl"] for each in described["components"]] == ["pkg:npm/parrot@1.0.0"]
    assert described["components"][0]["licenses"] == [{"expression": "MIT"}]


def test_a_second_build_asks_nobody_and_gives_the_same(ready: Bench, registry: Registry) -> None:
    scripts = {"build": "node -e \"require('cage'); require('fs').mkdirSync('dist')\""}
    first = good(ready.write(app(registry, scripts)).build("nodejs"))
    assert "npm ci --include=dev" in first.out and "npm prune" in first.out
    before = tree(ready.app)
    asked = len(registry.asked)
    fresh(ready)
    second = good(ready.write({"server.js": "// 2"}).build("nodejs"))
    assert "$ npm run build" in second.out
    assert "npm ci" not in second.out and "npm prune" not in second.out
    assert len(registry.asked) == asked
    assert tree(ready.app) | {"server.js": ""} == before | {"server.js": ""}
    assert os.listdir(ready.app / "node_modules/parrot") and not (ready.app / "node_modules/cage").exists()


def tree(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found[name] = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else "/"
    return found


def test_only_what_installs_is_part_of_the_key(ready: Bench, registry: Registry) -> None:
    good(ready.write(app(registry)).build("nodejs"))
    fresh(ready)
    same = good(ready.write(app(registry, {"start": "node server.js"}, description="new")).build("nodejs"))
    assert "put back" in same.out
    fresh(ready)
    other = good(ready.write(app(registry, private=True)).build("nodejs"))
    assert "dependencies in package.json changed" in other.out


def test_the_order_of_scripts_and_what_keeps_development_packages(ready: Bench, registry: Registry) -> None:
    names = ("heroku-prebuild", "heroku-build", "build", "heroku-postbuild", "heroku-cleanup")
    scripts = {name: f"echo {name} >> order.txt" for name in names}
    good(ready.write(app(registry, scripts)).user_env(NPM_CONFIG_PRODUCTION="false").build("nodejs"))
    order = (ready.app / "order.txt").read_text().split()
    assert order == ["heroku-prebuild", "heroku-build", "heroku-postbuild", "heroku-cleanup"]
    assert (ready.app / "node_modules/cage").is_dir()


def test_tools_caches_are_kept_and_stay_out_of_the_image(ready: Bench, registry: Registry) -> None:
    script = "ls node_modules/.cache/t || true; mkdir -p node_modules/.cache/t && touch node_modules/.cache/t/seen"
    good(ready.write(app(registry, {"build": script})).build("nodejs"))
    assert not (ready.app / "node_modules/.cache").exists()
    fresh(ready)
    assert "seen" in good(ready.build("nodejs")).out


def test_what_nx_remembers_is_kept_with_its_cache_and_stays_out_of_the_image(ready: Bench, registry: Registry) -> None:
    """Its database has times, and without it the cache beside it counts for nothing."""
    script = "cat .nx/workspace-data/x.db || true; mkdir -p .nx/cache .nx/workspace-data && date > .nx/cache/a"
    script += ' && echo "daemon: $NX_DAEMON" > .nx/workspace-data/x.db'
    good(ready.write(app(registry, {"build": script})).build("nodejs"))
    assert not any(ready.app.glob(".nx/*"))
    fresh(ready)
    assert "daemon: false" in good(ready.build("nodejs")).out


def test_pruning_without_a_lockfile_writes_none(ready: Bench, registry: Registry) -> None:
    files = app(registry, {"build": "true"})
    del files["package-lock.json"]
    assert "npm prune" in good(ready.write(files).build("nodejs")).out
    assert not (ready.app / "package-lock.json").exists()
    assert sorted(each for each in os.listdir(ready.app / "node_modules") if each[0] != ".") == ["parrot"]


def test_committed_packages_are_taken_as_they_are_without_a_registry(ready: Bench, registry: Registry) -> None:
    parrot = '{"name": "parrot", "version": "1.0.9"}'  # the lockfile names another one
    files = {**app(registry), "node_modules/parrot/package.json": parrot, "node_modules/cage/package.json": "{}"}
    asked = len(registry.asked)
    ran = good(ready.write(files).build("nodejs"))
    assert "is committed" in ran.err and "npm rebuild" in ran.out
    assert len(registry.asked) == asked
    assert (ready.app / "node_modules/parrot/package.json").read_text() == parrot
    assert (ready.app / "node_modules/cage").is_dir()


def test_ignored_packages_are_left_out_of_the_source(ready: Bench, registry: Registry) -> None:
    files = {**app(registry), "node_modules/stray/package.json": "{}", ".gitignore": "node_modules/\n"}
    good(ready.write(files).build("nodejs"))
    assert not (ready.app / "node_modules/stray").exists()


def test_a_static_build_leaves_nothing_of_node_in_the_image(ready: Bench, registry: Registry) -> None:
    plan = ready.root / "static-plan.toml"
    plan.write_text('[[entries]]\nname = "node_modules"\n[entries.metadata]\nbuild = true\nstatic = true\n')
    scripts = {"build": "mkdir -p dist && echo hello > dist/index.html"}
    good(ready.write(app(registry, scripts)).build("nodejs", CNB_BP_PLAN_PATH=str(plan)))
    assert (ready.app / "dist/index.html").is_file()
    assert not (ready.app / "node_modules").exists()
    assert "launch = false" in (ready.layers / "pylife_nodejs/node.toml").read_text()
    assert ready.processes("nodejs") == {}


def test_a_token_gets_into_nothing_that_is_kept(ready: Bench, registry: Registry) -> None:
    files = {**app(registry), ".npmrc": "//registry.example/:_authToken=${NPM_TOKEN}\n"}
    ran = good(ready.write(files).user_env(NPM_TOKEN="s3cret-t0ken").build("nodejs"))
    assert "s3cret" not in ran.out + ran.err
    kept = subprocess.run(["grep", "-rlF", "s3cret-t0ken", ready.layers, ready.app], capture_output=True, text=True)
    assert kept.stdout == ""


MODULE = {"server.js": "", "lib/Button.js": ""}
FAILING = {
    "exits with 3": ("node.script-failed", "exit 3", {}),
    "a script that is not there": ("node.script-missing", "npm run compile", {}),
    "a program that is not there": ("node.module-missing", "tsc -p .", {}),
    "a package that nobody names": ("node.module-missing", "node -e \"require('left-pad')\"", {}),
    "a file of other letters": ("node.case-mismatch", "node lib/main.js", {"lib/main.js": "require('./button')"}),
    "a file that is not there": ("node.module-missing", "node lib/main.js", {"lib/main.js": "require('./window')"}),
    "a hash of old": ("node.openssl-legacy", "node -e \"crypto.createHash('md4')\"", {}),
    "too much memory": (
        "node.out-of-memory",
        'node --max-old-space-size=20 -e "const a=[]; for(;;) a.push({a: [a.length]})"',
        {},
    ),
    "a full disk": ("node.disk-full", "node -e \"fs.writeFileSync('/dev/full', 'x')\"", {}),
    "a question": ("node.script-asks", "printf 'Send usage data? (y/N) '; read answer", {}),
}


@pytest.mark.parametrize("situation", FAILING)
def test_a_script_that_fails_is_explained(ready: Bench, situation: str) -> None:
    id, script, files = FAILING[situation]
    described = json.dumps({"name": "app", "scripts": {"build": script}, **NODE})
    ran = ready.write({"package.json": described, **MODULE, **files}).build("nodejs")
    assert (ran.code, ran.failure) == (1, id), ran.out + ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("id", "shown", "dependencies"),
    [
        ("node.package-not-found", "lefft-pad", {"lefft-pad": "^1.0.0"}),
        ("node.no-matching-version", "parrot@^7.0.0", {"parrot": "^7.0.0"}),
        ("node.registry-refused", "NPM_TOKEN", {"secret": "^1.0.0"}),
        ("node.git-dependency", "https", {"lib": "git+ssh://git@127.0.0.1:1/lib.git"}),
    ],
)
def test_a_package_that_cannot_be_had_is_explained(ready: Bench, id: str, shown: str, dependencies: object) -> None:
    described = json.dumps({"name": "app", "dependencies": dependencies, **NODE}, indent=1)
    ran = ready.write({"package.json": described}).build("nodejs")
    assert (ran.code, ran.failure) == (1, id), ran.out + ran.err
    assert shown in ran.err


def test_a_lockfile_of_another_package_json_is_explained(ready: Bench, registry: Registry) -> None:
    files = app(registry, dependencies={"parrot": "^2.0.0"})
    ran = ready.write(files).build("nodejs")
    assert (ran.code, ran.failure) == (1, "node.lockfile-outdated"), ran.out + ran.err
    assert "npm install && git add package-lock.json" in ran.err


def test_a_package_with_other_bytes_is_explained(ready: Bench, registry: Registry) -> None:
    files = app(registry)
    lock = str(files["package-lock.json"]).replace(registry.integrity("parrot", "1.0.0"), "sha512-" + "A" * 86 + "==")
    ran = ready.write({**files, "package-lock.json": lock}).build("nodejs")
    assert (ran.code, ran.failure) == (1, "node.integrity"), ran.out + ran.err


def test_a_registry_that_is_not_there_is_the_networks(ready: Bench, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    ready.env |= {"npm_config_registry": "http://127.0.0.1:1", "PYLIFE_SHARED_CACHE": str(tmp_path / "cache")}
    described = json.dumps({"name": "app", "dependencies": {"parrot": "1.0.0"}, **NODE})
    ran = ready.write({"package.json": described}).build("nodejs")
    assert (ran.code, ran.failure) == (1, "node.network"), ran.out + ran.err


def test_a_variable_of_npmrc_that_is_missing_is_named(ready: Bench, registry: Registry) -> None:
    npmrc = "//127.0.0.1/:_authToken=${OUR_TOKEN}\nregistry=${OUR_REGISTRY}\n"
    del ready.env["npm_config_registry"]
    described = json.dumps({"name": "app", "dependencies": {"parrot": "1.0.0"}, **NODE})
    ran = ready.write({"package.json": described, ".npmrc": npmrc}).build("nodejs")
    assert (ran.code, ran.failure) == (1, "node.npmrc-variable"), ran.out + ran.err


def test_a_native_part_that_lacks_a_header_names_the_debian_package(ready: Bench) -> None:
    gyp = json.dumps({"targets": [{"target_name": "draw", "sources": ["draw.cc"]}]})
    files: dict[str, str | bytes] = {
        "package.json": json.dumps({"name": "app", **NODE}),
        "binding.gyp": gyp,
        "draw.cc": "#include <node_api.h>\n#include <gif_lib.h>\n",
    }
    ran = ready.write(files).build("nodejs")
    assert (ran.code, ran.failure) == (1, "node.compile-failed"), ran.out + ran.err
    assert "gif_lib.h" in ran.err and "libgif-dev" in ran.err and "Aptfile" in ran.err


@pytest.mark.parametrize(
    ("given", "limit", "expected"),
    [
        ({}, 1 << 30, {"WEB_CONCURRENCY": "2", "MEMORY_AVAILABLE": "1024", "NODE_OPTIONS": "--max-old-space-size=768"}),
        ({"WEB_CONCURRENCY": "7", "WEB_MEMORY": "256"}, 1 << 30, {"MEMORY_AVAILABLE": "1024"}),
        ({"NODE_OPTIONS": "--max-old-space-size=99"}, 1 << 30, {"WEB_CONCURRENCY": "2"}),
        ({"NODE_OPTIONS": "--trace-gc"}, 1 << 29, {"NODE_OPTIONS": "--trace-gc --max-old-space-size=384"}),
    ],
)
def test_launch_takes_the_containers_limits_and_leaves_the_users_values(
    placed: Bench, tmp_path: Path, given: dict[str, str], limit: int, expected: dict[str, str]
) -> None:
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "cgroup.controllers").write_text("cpu memory\n")
    (group / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: {1 << 24} kB\n")
    program = placed.layer("nodejs", "node") / "exec.d" / "limits"
    env = {"PATH": outer_env(tmp_path)["PATH"], "PYLIFE_LIMITS_ROOT": str(tmp_path), **given}
    out = tmp_path / "out"
    subprocess.run(["sh", "-c", f'"{program}" 3>"{out}"'], env=env, check=True)
    found = dict(line.replace('"', "").split(" = ") for line in out.read_text().splitlines())
    assert {name: found.get(name) for name in expected} == expected
    assert not set(found) & (set(given) - {"NODE_OPTIONS"})
    if "max-old" in given.get("NODE_OPTIONS", ""):
        assert "NODE_OPTIONS" not in found
