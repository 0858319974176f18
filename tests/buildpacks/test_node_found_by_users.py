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
