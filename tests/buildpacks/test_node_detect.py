"""What the Node.js buildpack decides before anything runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from workbench import Bench


def decisions(bench: Bench, files: dict[str, str | bytes], **variables: str) -> dict[str, Any]:
    ran, plan = bench.write(files).user_env(**variables).detect("nodejs")
    assert ran.code == 0, ran.out + ran.err
    found: dict[str, Any] = plan["requires"][0]["metadata"]["pylife"]
    return found


def package(**fields: object) -> str:
    return json.dumps({"name": "app", **fields})


def test_a_source_without_a_sign_of_node_is_somebody_elses(bench: Bench) -> None:
    ran, plan = bench.write({"main.py": ""}).detect("nodejs")
    assert (ran.code, plan) == (100, {})
    assert "package.json" in ran.out and "main.py" in ran.out


@pytest.mark.parametrize(
    ("files", "version", "why"),
    [
        ({"package.json": package(engines={"node": "22.x"})}, "22.x", "engines.node of package.json"),
        ({"package.json": package(), ".nvmrc": "# ours\nv20.1.0\n"}, "v20.1.0", ".nvmrc:2"),
        ({"package.json": package(), ".nvmrc": "lts/jod"}, "lts/jod", ".nvmrc:1"),
        ({"package.json": package(), ".node-version": "24"}, "24", ".node-version:1"),
        ({"package.json": package(volta={"node": "22.1.0"})}, "22.1.0", "volta.node of package.json"),
        ({"package.json": package(engines={"node": ">=18"}), ".nvmrc": "22"}, ">=18 and 22", ".nvmrc:1"),
        ({"package.json": package()}, "lts", "long-term support"),
        ({"server.js": ""}, "lts", "long-term support"),
    ],
)
def test_the_version_is_shown_with_who_asks_for_it(
    bench: Bench, files: dict[str, str | bytes], version: str, why: str
) -> None:
    node = decisions(bench, files)["versions"][0]
    assert (node["name"], node["version"]) == ("node", version)
    assert why in node["why"]


@pytest.mark.parametrize(
    ("files", "manager", "command"),
    [
        ({"package.json": package(), "package-lock.json": "{}"}, "npm", "npm ci"),
        ({"package.json": package()}, "npm", "npm install"),
        ({"package.json": package(), "yarn.lock": "# yarn lockfile v1\n"}, "yarn", "yarn install --frozen-lockfile"),
        ({"package.json": package(), "yarn.lock": "__metadata:\n  version: 8\n"}, "yarn", "yarn install --immutable"),
        (
            {"package.json": package(), "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"},
            "pnpm",
            "pnpm install --frozen-lockfile",
        ),
        ({"package.json": package(packageManager="yarn@4.9.2")}, "yarn", "yarn install"),
        ({"package.json": package(engines={"pnpm": "9.x"})}, "pnpm", "pnpm install"),
    ],
)
def test_the_package_manager_is_the_sources(
    bench: Bench, files: dict[str, str | bytes], manager: str, command: str
) -> None:
    found = decisions(bench, files)
    assert found["versions"][1]["name"] == manager
    assert command in found["commands"]


def test_scripts_run_in_herokus_order(bench: Bench) -> None:
    names = ("heroku-cleanup", "heroku-postbuild", "build", "heroku-prebuild", "test")
    found = decisions(bench, {"package.json": package(scripts={name: f"echo {name}" for name in names})})
    order = [line.split(" ")[0] for line in found["commands"]]
    assert order == ["heroku-prebuild", "npm", "build", "heroku-postbuild", "heroku-cleanup"]


def test_scripts_can_be_named(bench: Bench) -> None:
    files: dict[str, str | bytes] = {"package.json": package(scripts={"build": "a", "assets": "b"})}
    found = decisions(bench, files, BP_NODE_RUN_SCRIPTS="assets")
    assert found["commands"] == ["npm install", "assets of package.json: b"]


@pytest.mark.parametrize(
    ("scripts", "files", "shown"),
    [
        ({"start": "node server.js --port 1"}, {}, "node server.js --port 1"),
        ({"start": "NODE_PATH=. node server.js"}, {}, "NODE_PATH=. exec node server.js"),
        ({"start": "next start -p $PORT"}, {}, "exec next start -p $PORT"),
        ({"start": "node migrate.js && node server.js"}, {}, "node migrate.js && exec node server.js"),
        ({"start": "node a.js & node b.js"}, {}, "node a.js & node b.js"),
        ({"prestart": "node check.js", "start": "node server.js"}, {}, "{ node check.js; } && exec node server.js"),
        ({"start": "echo $npm_package_version"}, {}, "npm run start"),
        ({}, {"server.js": ""}, "node server.js"),
        ({}, {"index.js": ""}, "node index.js"),
    ],
)
def test_the_start_is_guessed_and_said(
    bench: Bench, scripts: dict[str, str], files: dict[str, str | bytes], shown: str
) -> None:
    found = decisions(bench, {"package.json": package(scripts=scripts), **files})
    assert found["processes"][0]["command"] == shown
    assert found["processes"][0]["why"]


def test_a_procfile_is_the_last_word(bench: Bench) -> None:
    files: dict[str, str | bytes] = {
        "package.json": package(scripts={"start": "node server.js"}),
        "Procfile": "web: node other.js\nworker: node work.js\n",
    }
    assert "processes" not in decisions(bench, files)


def workspace(*startable: str) -> dict[str, str | bytes]:
    apps = {
        f"apps/{name}/package.json": json.dumps(
            {
                "name": name,
                "scripts": {"build": "b", **({"start": "node x.js"} if name in startable else {})},
                "dependencies": {"lib": "*"} if name == "web" else {},
            }
        )
        for name in ("web", "docs")
    }
    lib = json.dumps({"name": "lib", "scripts": {"build": "l"}})
    root = package(workspaces=["apps/*", "packages/**", "!packages/old"])
    return {"package.json": root, "packages/lib/package.json": lib, "packages/old/package.json": "{", **apps}


def test_the_one_package_that_can_start_is_the_app_and_is_built_after_those_it_needs(bench: Bench) -> None:
    found = decisions(bench, workspace("web"))
    assert found["commands"][1:] == ["build of packages/lib/package.json: l", "build of apps/web/package.json: b"]
    assert found["processes"][0]["command"] == "node x.js"


def test_a_workspace_with_several_apps_takes_the_one_that_is_named(bench: Bench) -> None:
    assert "processes" not in decisions(bench, workspace("web", "docs"))
    found = decisions(bench, {}, BP_NODE_PROJECT_PATH="apps/docs")
    assert found["commands"][1:] == ["build of apps/docs/package.json: b"]
