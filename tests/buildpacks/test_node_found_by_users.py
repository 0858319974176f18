"""What building other people's apps showed: settings of other platforms, and web processes that cannot start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from workbench import Bench

ROOT = Path(__file__).parents[2]


def start_warning(bench: Bench, package: dict[str, object], env: dict[str, str] | None = None) -> str:
    """What the check of the web process says of the bench's app as it is after a build."""
    bench.write({"package.json": json.dumps(package)})
    program = """
import os, sys
from pylife_nodejs.project import find_project
from pylife_nodejs.start import choose_start
from pylife_nodejs.start_check import check_start
project = find_project(sys.argv[1], {})
check_start(project, choose_start(project, "npm", built=True), "npm", os.environ)
"""
    paths = [ROOT / "buildpacks/sdk", ROOT / "buildpacks/nodejs/lib"]
    env = {"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(map(str, paths)), **(env or {})}
    ran = subprocess.run([sys.executable, "-c", program, bench.app], env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("nx serve", "nx is among the devDependencies, which are removed"),
        ("nest start", "npm install --save-prod @nestjs/cli"),
        ("NODE_ENV=production nx serve", "starts nx, which is NOT IN THE IMAGE"),
        ("prepare-it && nx serve", "starts nx, which is NOT IN THE IMAGE"),
        ("pm2-runtime app.js", "no package here brings it"),
        ("node dist/main.js", "the build script (tsc) did not write it"),
        ("./run.sh", "starts ./run.sh"),
    ],
)
def test_a_web_process_that_cannot_start_is_told(bench: Bench, start: str, said: str) -> None:
    scripts = {"start": start, "build": "tsc"}
    development = {"nx": "1", "@nestjs/cli": "1"}
    told = " ".join(start_warning(bench, {"scripts": scripts, "devDependencies": development}).split())
    assert said in told


@pytest.mark.parametrize(
    "start",
    ["node .", "node lib/main", "node lib", "node --import x missing.js", "next start", "./run.sh", "npx nx serve",
     "node $MAIN", "A=1 next start", "exec next start"],
)  # fmt: skip
def test_a_web_process_that_is_there_is_not_doubted(bench: Bench, start: str) -> None:
    bench.write({"index.js": "", "lib/main.js": "", "lib/index.js": "", "run.sh": "", "node_modules/.bin/next": ""})
    assert start_warning(bench, {"scripts": {"start": start}}) == ""


def test_programs_of_the_image_need_no_package(bench: Bench) -> None:
    assert start_warning(bench, {"scripts": {"start": "sh run.sh"}}, {"PATH": os.environ["PATH"]}) == ""


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"Staticfile": "root: hello\n", "hello/index.html": ""}, "Staticfile names hello; hello is served"),
        ({"Staticfile": "# ours\nroot: 'web/'  # built\n", "web/index.html": ""}, "Staticfile names web/; web is"),
        ({"Staticfile": "root: a", "static.json": '{"root": "b"}', "b/index.html": ""}, "static.json names b"),
        ({"Staticfile": "pushstate: enabled\n", "index.html": ""}, "the app's root has index.html"),
    ],
)
def test_cloud_foundrys_staticfile_names_the_folder(bench: Bench, files: dict[str, str], said: str) -> None:
    ran, _ = bench.write(files).detect("static")
    assert ran.code == 0, ran.out + ran.err
    assert said in ran.out


def settings(bench: Bench, staticfile: str) -> tuple[object, bool, str]:
    """The fallback and https_only that a Staticfile gives, and what is printed."""
    bench.write({"Staticfile": staticfile})
    program = """
import json, sys
from pylife_static.settings import read_settings
found = read_settings(sys.argv[1], {})
print(json.dumps([found.fallback, found.https_only]))
"""
    paths = [ROOT / "buildpacks/sdk", ROOT / "buildpacks/static/lib"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths))}
    ran = subprocess.run([sys.executable, "-c", program, bench.app], env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    fallback, https_only = json.loads(ran.stdout.splitlines()[-1])
    return fallback, https_only, ran.stdout + ran.stderr


def test_the_rest_of_a_staticfile_counts_or_is_warned_of(bench: Bench) -> None:
    assert settings(bench, "root: public\n")[:2] == (None, False)
    assert settings(bench, "pushstate: enabled\nforce_https: true\n")[:2] == ("index.html", True)
    assert "ssi counts for nothing" in settings(bench, "ssi: enabled\n")[2]


def explained(bench: Bench, output: str) -> str:
    """What is said of an npm that printed ``output`` and failed."""
    program = """
import sys
from pylife_nodejs.failures import explain_install
from pylife_nodejs.manager import choose_manager
from pylife_nodejs.project import find_project
from pylife_nodejs.tools import Tool
from pylife_sdk.layer import Layer
from pylife_sdk.output import Failure, report
from pylife_sdk.process import Ran
project = find_project(sys.argv[1], {})
tool = Tool(choose_manager(project), "11.0.0", type("Nowhere", (), {"path": sys.argv[1]})())
try:
    explain_install(Ran(1, sys.argv[2]), ["npm", "ci"], tool, project, {})
except Failure as failure:
    report(failure)
"""
    paths = [ROOT / "buildpacks/sdk", ROOT / "buildpacks/nodejs/lib"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths))}
    arguments = [sys.executable, "-c", program, str(bench.app), output]
    ran = subprocess.run(arguments, env=env, capture_output=True, text=True)
    return ran.stdout + ran.stderr


def test_an_authority_that_is_not_trusted_is_told_with_what_helps_on_a_host_and_in_a_container(bench: Bench) -> None:
    bench.write({"package.json": '{"dependencies": {"lib": "1.0.0"}}', "package-lock.json": "{}"})
    told = explained(bench, "npm error code SELF_SIGNED_CERT_IN_CHAIN\nnpm error self-signed certificate in chain\n")
    assert "[node.network]" in told and "not trusted" in told
    assert "pylife build --ca-file" in told and "NODE_EXTRA_CA_CERTS" in told


def test_a_host_of_git_repositories_that_is_not_reached_is_not_taken_for_the_registry(bench: Bench) -> None:
    bench.write({"package.json": '{"dependencies": {\n"lib": "github:somebody/lib"}}', "package-lock.json": "{}"})
    told = explained(
        bench,
        "npm error code ENOTFOUND\n"
        "npm error network request to https://archives.example/somebody/lib/tar.gz/6307a5d failed, reason: x\n",
    )
    assert "archives.example cannot be reached" in told
    assert "[node.network]" in told
    assert 'package.json:2: "lib": "github:somebody/lib"' in told
    assert "registry in .npmrc" not in told


@pytest.mark.parametrize(
    ("brings", "file", "command"),
    [
        ("@sveltejs/adapter-node", "build/index.js", "exec node build/index.js"),
        ("@astrojs/node", "dist/server/entry.mjs", "exec node dist/server/entry.mjs"),
    ],
)
def test_the_server_that_an_adapter_makes_is_started(bench: Bench, brings: str, file: str, command: str) -> None:
    described = json.dumps({"scripts": {"build": "x build"}, "devDependencies": {brings: "1"}})
    _, plan = bench.write({"package.json": described}).detect("nodejs")
    process = plan["requires"][0]["metadata"]["pylife"]["processes"][0]
    assert process["command"].endswith(command)
    assert brings in process["why"]


def test_an_adapter_that_leaves_no_server_is_told(bench: Bench) -> None:
    described = json.dumps({"scripts": {"build": "vite build"}, "devDependencies": {"@sveltejs/adapter-auto": "1"}})
    ran, _ = bench.write({"package.json": described}).detect("nodejs")
    assert "npm install --save-dev @sveltejs/adapter-node" in ran.out


def test_yarns_archives_that_production_does_not_name_are_removed(bench: Bench) -> None:
    used, unused = ".yarn/cache/used-npm-1.zip", ".yarn/cache/unused-npm-1.zip"
    named = f'"packageLocation": "./{used}/node_modules/used/", "./.yarn/unplugged/kept-npm-1/node_modules/kept/"'
    bench.write(
        {".pnp.cjs": named, used: "1234", unused: "12345", ".yarn/cache/.gitignore": "*"}
        | {".yarn/unplugged/kept-npm-1/node_modules/kept/a.js": "", ".yarn/unplugged/gone-npm-1/node_modules/g/a": "12"}
    )
    program = "import sys; from pylife_nodejs.plugnplay import drop_unnamed; print(drop_unnamed(sys.argv[1]))"
    paths = [ROOT / "buildpacks/sdk", ROOT / "buildpacks/nodejs/lib"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths))}
    ran = subprocess.run([sys.executable, "-c", program, bench.app], env=env, capture_output=True, text=True)
    assert ran.stdout == "7\n", ran.stderr
    left = sorted(str(path.relative_to(bench.app)) for path in (bench.app / ".yarn").rglob("*") if path.is_file())
    assert left == [".yarn/cache/.gitignore", used, ".yarn/unplugged/kept-npm-1/node_modules/kept/a.js"]


def test_a_script_that_reaches_no_host_is_explained_with_the_host(bench: Bench) -> None:
    program = """
import sys
from pylife_nodejs.failures_script import explain_script
from pylife_nodejs.manifest import Manifest
from pylife_sdk.output import Failure, report
from pylife_sdk.process import Ran
manifest = Manifest(".", "package.json", b"{}", {"scripts": {"build": "next build"}})
try:
    explain_script(Ran(1, sys.argv[1]), manifest, "build", ["npm", "run", "build"])
except Failure as failure:
    report(failure)
"""
    paths = [ROOT / "buildpacks/sdk", ROOT / "buildpacks/nodejs/lib"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths))}
    said = "request failed, reason: getaddrinfo ENOTFOUND fonts.example\n`next/font` error:\nFailed to fetch\n"
    ran = subprocess.run([sys.executable, "-c", program, said], env=env, capture_output=True, text=True)
    assert "[node.network]" in ran.stderr, ran.stdout + ran.stderr
    assert "could not reach fonts.example" in ran.stderr
    assert "next/font/local" in ran.stderr


def test_a_prisma_client_that_was_not_generated_is_told(bench: Bench) -> None:
    program = """
import sys
from pylife_nodejs.project import find_project
from pylife_nodejs.start_check import check_prisma
check_prisma(find_project(sys.argv[1], {}))
"""
    paths = [ROOT / "buildpacks/sdk", ROOT / "buildpacks/nodejs/lib"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths))}

    def told(client: str) -> str:
        bench.write({"package.json": "{}", "node_modules/.prisma/client/index.js": client})
        ran = subprocess.run([sys.executable, "-c", program, bench.app], env=env, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout + ran.stderr

    assert told("class PrismaClient {}") == ""
    assert "NOT GENERATED" in told("throw new Error('@prisma/client did not initialize yet.')")


@pytest.mark.parametrize(("generator", "fallback"), [("astro", ""), ("vite", "index.html")])
def test_a_single_page_answers_other_paths_only_where_a_bundler_made_it(
    bench: Bench, generator: str, fallback: str
) -> None:
    program = """
import sys
from pylife_static.build import _complete
from pylife_static.choose import Site
from pylife_static.files import read_contents
from pylife_static.settings import Settings
site = Site(("dist",), "", sys.argv[2])
contents = read_contents(sys.argv[1], "dist", [], built=True)
print("fallback", repr(_complete(sys.argv[1], "dist", site, Settings(), contents).fallback))
"""
    bench.write({"dist/index.html": "home"})
    paths = [ROOT / "buildpacks/sdk", ROOT / "buildpacks/static/lib"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths))}
    arguments = [sys.executable, "-c", program, str(bench.app), generator]
    ran = subprocess.run(arguments, env=env, capture_output=True, text=True)
    assert f"fallback {fallback!r}" in ran.stdout, ran.stdout + ran.stderr
