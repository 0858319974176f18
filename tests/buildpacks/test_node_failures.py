"""Sources that cannot be built, and what the Node.js buildpack says of each before it fetches anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workbench import ROOT, Bench

APP = '{"name": "app"}'
LOCK = '{"name": "app", "lockfileVersion": 3, "packages": {}}'

# id, what the message must show, files, variables
SITUATIONS: dict[str, tuple[str, str, dict[str, str | bytes], dict[str, str]]] = {
    "a comma too many": (
        "node.package-json-invalid",
        "package.json:3",
        {"package.json": '{\n  "name": "app",\n}\n'},
        {},
    ),
    "a comma missing": ("node.package-json-invalid", "line 3", {"package.json": '{\n"a": "1"\n"b": "2"}'}, {}),
    "a comment": ("node.package-json-invalid", "Delete the comment", {"package.json": '{\n// hello\n"a": 1}'}, {}),
    "an unfinished merge": (
        "node.package-json-invalid",
        "Finish the merge",
        {"package.json": '{\n<<<<<<< HEAD\n"a": "1"\n=======\n"a": "2"\n>>>>>>> other\n}'},
        {},
    ),
    "an empty file": ("node.package-json-invalid", "npm init", {"package.json": " \n"}, {}),
    "a list": ("node.package-json-invalid", "list", {"package.json": "[]"}, {}),
    "text of PowerShell": ("node.package-json-invalid", "iconv", {"package.json": APP.encode("utf-16")}, {}),
    "scripts of the wrong type": (
        "node.package-json-field",
        '"scripts"',
        {"package.json": '{"scripts": ["node server.js"]}'},
        {},
    ),
    "a lockfile without its package.json": (
        "node.package-json-missing",
        "package-lock.json",
        {"package-lock.json": LOCK},
        {},
    ),
    "engines that are no range": (
        "node.version-syntax",
        "engines.node of package.json",
        {"package.json": '{"engines": {"node": "twenty"}}'},
        {},
    ),
    "a variable that is no range": (
        "node.version-syntax",
        "BP_NODE_VERSION",
        {"package.json": APP},
        {"BP_NODE_VERSION": "1.2.3.4"},
    ),
    "an empty .nvmrc": ("node.version-file", "echo 24", {"package.json": APP, ".nvmrc": "# later\n"}, {}),
    "two versions": ("node.version-file", "several", {"package.json": APP, ".node-version": "20\n22\n"}, {}),
    "a version of no meaning": (
        "node.version-file",
        ".nvmrc:1",
        {"package.json": APP, ".nvmrc": "lts/unobtainium"},
        {},
    ),
    "two lockfiles": (
        "node.several-lockfiles",
        "git rm yarn.lock",
        {"package.json": APP, "package-lock.json": LOCK, "yarn.lock": ""},
        {},
    ),
    "lockfile and shrinkwrap": (
        "node.lock-and-shrinkwrap",
        "git rm npm-shrinkwrap.json",
        {"package.json": APP, "package-lock.json": LOCK, "npm-shrinkwrap.json": LOCK},
        {},
    ),
    "another's lockfile": (
        "node.manager-conflict",
        "git rm package-lock.json",
        {"package.json": '{"packageManager": "pnpm@10.34.8"}', "package-lock.json": LOCK},
        {},
    ),
    "a package manager without a version": (
        "node.manager-syntax",
        "corepack use pnpm@latest",
        {"package.json": '{"packageManager": "pnpm"}'},
        {},
    ),
    "a range as packageManager": (
        "node.manager-syntax",
        "yarn@^4",
        {"package.json": '{"packageManager": "yarn@^4"}'},
        {},
    ),
    "Bun by its name": ("node.manager-unsupported", "bun", {"package.json": '{"packageManager": "bun@1.2.0"}'}, {}),
    "Bun by its lockfile": ("node.manager-unsupported", "bun.lock", {"package.json": APP, "bun.lock": "{}"}, {}),
    "packageManager against engines": (
        "node.manager-engines",
        "engines.npm",
        {"package.json": '{"packageManager": "npm@10.0.0", "engines": {"npm": ">=11"}}'},
        {},
    ),
    "a yarnPath that leads nowhere": (
        "node.yarn-path",
        "git add -f .yarn/releases/yarn-4.1.0.cjs",
        {"package.json": APP, ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.1.0.cjs\n"},
        {},
    ),
    "a lockfile cut short": (
        "node.lockfile-broken",
        "package-lock.json",
        {"package.json": APP, "package-lock.json": LOCK[:30]},
        {},
    ),
    "a lockfile in an unfinished merge": (
        "node.lockfile-broken",
        "yarn.lock:2",
        {"package.json": APP, "yarn.lock": "# yarn lockfile v1\n<<<<<<< HEAD\n"},
        {},
    ),
    "leftovers of Heroku": (
        "node.heroku-directory",
        ".heroku",
        {"package.json": APP, ".heroku/node/bin/node": ""},
        {},
    ),
    "a project path that leads nowhere": (
        "node.project-path",
        "apps/web",
        {"package.json": APP, "apps/web/package.json": APP},
        {"BP_NODE_PROJECT_PATH": "apps/site"},
    ),
    "a project path out of the source": (
        "node.project-path",
        "BP_NODE_PROJECT_PATH",
        {"package.json": APP},
        {"BP_NODE_PROJECT_PATH": "../.."},
    ),
    "a script to run that is not there": (
        "node.script-missing",
        "compile",
        {"package.json": '{"scripts": {"build": "true"}}'},
        {"BP_NODE_RUN_SCRIPTS": "build,compile"},
    ),
    "a version that nobody has": (
        "node.version-unavailable",
        "99.x",
        {"package.json": '{"engines": {"node": "99.x"}}'},
        {"BP_RUNTIME_SOURCES": "image"},
    ),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_source_that_cannot_be_built_is_explained(bench: Bench, situation: str) -> None:
    id, shown, files, variables = SITUATIONS[situation]
    ran = bench.write(files).user_env(**variables).build("nodejs")
    assert (ran.code, ran.failure) == (1, id), ran.out + ran.err
    assert shown in ran.err
    assert "Traceback" not in ran.err
    assert (ROOT / "docs" / "errors" / f"{id}.md").is_file()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_detection_passes_and_says_what_the_build_will_stop_at(bench: Bench, situation: str) -> None:
    id, _, files, variables = SITUATIONS[situation]
    ran, plan = bench.write(files).user_env(**variables).detect("nodejs")
    assert ran.code == 0, ran.out + ran.err
    assert {each["name"] for each in plan["provides"]} == {"node", "node_modules"}
    seen_in_build_only = ("node.lockfile-broken", "node.heroku-directory", "node.version-unavailable")
    if id not in (*seen_in_build_only, "node.package-json-missing"):
        assert f"[{id}]" in ran.out
        assert plan["requires"][0]["metadata"]["pylife"]["problems"][0]["id"] == id


def test_every_failure_has_a_page_and_every_page_a_failure() -> None:
    import re

    code = "".join(path.read_text() for path in (ROOT / "buildpacks" / "nodejs" / "lib").rglob("*.py"))
    raised = set(re.findall(r'"(node\.[a-z-]+)"', code))
    pages = {path.stem for path in Path(ROOT / "docs" / "errors").glob("node.*.md")}
    assert raised == pages


def test_a_wrong_token_is_not_in_what_is_said(bench: Bench) -> None:
    files = {"package.json": json.dumps({"dependencies": {"express": ["5"]}}), ".npmrc": "_authToken=s3cret"}
    ran = bench.write(files).user_env(NPM_TOKEN="s3cret").build("nodejs")
    assert ran.failure == "node.package-json-field"
    assert "s3cret" not in ran.out + ran.err
