"""Packages from a registry that wants a token, from folders of the source, and package managers with their hash.

The real npm, pnpm and Yarn ask a registry of the test's own; they themselves are fetched once for all of these tests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_registry import NODE, PRIVATE, Registry, placed_node, restored_node, tarball
from workbench import Bench, Ran

TOKEN = "npm_s3cret-t0ken-0123456789"
PNPM = (
    "sha512.67f5879916a9293e5cf059c23853d571beaf4f753c707f40cb22bed5fb1578c6"
    "aad3b6c4107ccb3ba0b35be003eb621a16471ac836c87beb53f9d54bb4612724"
)
CLASSIC = "sha224.b3354a4448ff7f95109b317dcf100acbb19dd7a067ff7fad9acf941f"
BERRY = "sha224.065c7650cf11cb01e21cefe2398a1c8a70a13bd04136056722763046"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry(TOKEN) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def ready(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A workbench whose package managers have nothing in their caches; they themselves are taken from a shared one."""
    placed = placed_node(tmp_path_factory)
    bench = restored_node(placed, tmp_path)
    shared = tmp_path / "shared"
    shared.mkdir()
    for cache in (placed.root / "shared").iterdir():
        if cache.name.startswith(("runtimes", "npm-bootstrap")):
            (shared / cache.name).symlink_to(cache)
    bench.env = {"PYLIFE_SHARED_CACHE": str(shared), "npm_config_fetch_retries": "0"}
    return bench


def bind(bench: Bench, type: str, **files: str) -> None:
    folder = bench.root / "platform" / "bindings" / "private"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "type").write_text(type)
    for name, text in files.items():
        (folder / f".{name.replace('_', '.')}").write_text(text)


def app(manager: str = "", **fields: object) -> dict[str, str | bytes]:
    described = {"name": "app", "dependencies": {PRIVATE: "^1.0.0"}, **NODE, **fields}
    if manager:
        described["packageManager"] = manager
    return {"package.json": json.dumps(described), "server.js": f"console.log(require('{PRIVATE}'))"}


def npmrc(registry: Registry, token: str = TOKEN) -> str:
    place = registry.url.partition(":")[2]
    return f"@acme:registry={registry.url}\n{place}/:_authToken={token}\n"


def yarnrc_yml(registry: Registry, token: str = TOKEN) -> str:
    scope = f"    npmRegistryServer: {registry.url}\n    npmAuthToken: {token}\n    npmAlwaysAuth: true\n"
    return f"unsafeHttpWhitelist: [127.0.0.1]\nnpmScopes:\n  acme:\n{scope}"


def leaks(bench: Bench, ran: Ran) -> list[str]:
    """Where the token is, apart from the binding itself: in the app, layers, keys, SBOMs, caches, output."""
    secret = [TOKEN.encode(), base64.b64encode(TOKEN.encode())]
    shared = Path(bench.env["PYLIFE_SHARED_CACHE"])
    roots = (bench.app, bench.layers, *(shared / name for name in shared.iterdir()))
    files = [path for root in roots for path in root.resolve().rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 10
    kept = [str(path) for path in files if any(word in path.read_bytes() for word in secret)]
    return kept + (["the output"] if TOKEN in ran.out + ran.err else [])


@pytest.mark.parametrize(
    ("manager", "type", "file"),
    [
        ("", "npmrc", "npmrc"),
        (f"pnpm@9.1.0+{PNPM}", "npmrc", "npmrc"),
        ("pnpm@12.21.0", "npmrc", "npmrc"),
        (f"yarn@1.22.22+{CLASSIC}", "npmrc", "npmrc"),
        (f"yarn@4.18.1+{BERRY}", "yarnrc", "yarnrc_yml"),
    ],
)
def test_a_token_of_a_binding_reaches_the_registry_and_nothing_else(
    ready: Bench, registry: Registry, manager: str, type: str, file: str
) -> None:
    settings = {"npmrc": npmrc, "yarnrc_yml": yarnrc_yml}[file](registry)
    bind(ready, type, **{file: settings})
    ran = ready.write(app(manager)).build("nodejs")
    assert ran.code == 0, ran.out + ran.err
    assert f"Settings from the binding private (.{file.replace('_', '.')})" in ran.out
    if "4.18" in manager:
        assert list((ready.app / ".yarn" / "cache").glob("@acme-greeting-npm-1.0.0-*"))
    else:
        assert (
            ready.app / "node_modules" / PRIVATE / "index.js"
        ).read_text() == f"module.exports = '{PRIVATE} 1.0.0';\n"
    assert leaks(ready, ran) == []


@pytest.mark.parametrize("token", ["", "another"])
@pytest.mark.parametrize("manager", ["", "pnpm@9.1.0", "yarn@1.22.22", "yarn@4.18.1"])
def test_a_registry_that_refuses_is_named(ready: Bench, registry: Registry, manager: str, token: str) -> None:
    if "4.18" in manager:
        given = (
            yarnrc_yml(registry, token) if token else yarnrc_yml(registry).replace(f"    npmAuthToken: {TOKEN}\n", "")
        )
        bind(ready, "yarnrc", yarnrc_yml=given)
    else:
        given = npmrc(registry, token) if token else npmrc(registry).splitlines()[0]
        bind(ready, "npmrc", npmrc=given)
    ran = ready.write(app(manager)).build("nodejs")
    assert (ran.code, ran.failure) == (1, "node.registry-refused"), ran.out + ran.err
    assert f"binding of the type {'yarnrc' if '4.18' in manager else 'npmrc'}" in " ".join(ran.err.split())


def test_a_binding_for_another_package_manager_is_left_aside_aloud(ready: Bench, registry: Registry) -> None:
    bind(ready, "npmrc", npmrc=npmrc(registry))
    ran = ready.write(app("yarn@4.18.1", dependencies={})).build("nodejs")
    assert ran.code == 0, ran.out + ran.err
    assert "Yarn 2 and later does not read its .npmrc" in " ".join(ran.err.replace("!", "").split())


@pytest.mark.parametrize("manager", [f"pnpm@9.1.0+{PNPM}", f"yarn@1.22.22+{CLASSIC}", f"yarn@4.18.1+{BERRY}"])
def test_a_package_manager_of_another_hash_is_refused(ready: Bench, manager: str) -> None:
    ran = ready.write(app(f"{manager[:-4]}0bad")).build("nodejs")
    assert (ran.code, ran.failure) == (1, "node.manager-hash"), ran.out + ran.err
    assert "corepack use" in ran.err


def test_a_cache_of_npm_in_the_source_is_all_that_npm_needs(ready: Bench, registry: Registry, tmp_path: Path) -> None:
    files = app(dependencies={"parrot": "1.0.0"})
    ready.env["npm_config_registry"] = registry.url
    assert ready.write(files).build("nodejs").code == 0
    shared = Path(ready.env["PYLIFE_SHARED_CACHE"])
    (cache,) = shared.glob("npm-cache*")
    shutil.move(cache, ready.app / "npm-cache")
    shutil.rmtree(ready.app / "node_modules")
    shutil.rmtree(ready.layer("nodejs", "modules"))
    asked = len(registry.asked)
    ran = ready.build("nodejs")
    assert ran.code == 0, ran.out + ran.err
    assert "--offline" in ran.out and len(registry.asked) == asked
    assert (ready.app / "node_modules/parrot/index.js").is_file()


@pytest.mark.parametrize("rc", ['yarn-offline-mirror "./npm-packages-offline-cache"\n', ""])
def test_an_offline_mirror_of_yarn_is_all_that_yarn_needs(ready: Bench, rc: str) -> None:
    archive = tarball("parrot", "1.0.0")
    place = f"https://registry.example/parrot/-/parrot-1.0.0.tgz#{hashlib.sha1(archive).hexdigest()}"
    lock = f'# yarn lockfile v1\n\n\nparrot@1.0.0:\n  version "1.0.0"\n  resolved "{place}"\n'
    files = app("yarn@1.22.22", dependencies={"parrot": "1.0.0"})
    files |= {"yarn.lock": lock, "npm-packages-offline-cache/parrot-1.0.0.tgz": archive}
    if rc:
        files[".yarnrc"] = rc
    ran = ready.write(files).build("nodejs")
    assert ran.code == 0, ran.out + ran.err
    assert "--offline" in ran.out
    assert (ready.app / "node_modules/parrot/index.js").read_text() == "module.exports = 'parrot 1.0.0';\n"


def test_an_offline_folder_that_lacks_a_package_is_told(ready: Bench) -> None:
    files = app(dependencies={"parrot": "1.0.0"})
    ran = ready.write({**files, "npm-cache/_cacache/README": ""}).build("nodejs")
    assert (ran.code, ran.failure) == (1, "node.network"), ran.out + ran.err
