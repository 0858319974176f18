"""What counts as a static site, and what keeps one from being served."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from workbench import Bench

BUILDPACK = "static"
VITE = {"scripts": {"build": "vite build"}, "devDependencies": {"vite": "^7"}}


def package(**parts: Any) -> dict[str, str]:
    return {"package.json": json.dumps(parts)}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"public/index.html": ""}, "there is public/index.html; public is served"),
        ({"index.html": ""}, "the app's root has index.html"),
        ({"_site/index.html": "", "index.html": ""}, "_site is served"),
        ({"static.json": '{"root": "web"}'}, "static.json names web"),
        ({"static.json": "{}"}, "public_html is its default"),
        ({"static.json": "no JSON", "dist/index.html": ""}, "dist is served"),
        ({"public/index.html": "", "Procfile": "worker: x"}, "public is served"),
        ({"public/index.html": "", **package(scripts={"start": "serve public"})}, "public is served"),
    ],
)
def test_folders_that_are_served(bench: Bench, files: dict[str, str], said: str) -> None:
    ran, plan = bench.write(files).detect(BUILDPACK)
    assert ran.code == 0, ran.out
    assert said in ran.out
    assert [each["name"] for each in plan["requires"]] == ["static"]


@pytest.mark.parametrize(
    ("start", "brings", "folder"),
    [
        ("", "vite", "dist"),
        ("vite --host", "vite", "dist"),
        ("react-scripts start", "react-scripts", "build"),
        ("ng serve", "@angular/cli", "dist"),
        ("PORT=3000 npx astro dev", "astro", "dist"),
        ("cross-env A=1 gatsby develop", "gatsby", "public"),
        ("docusaurus start", "@docusaurus/core", "build"),
        ("", "@11ty/eleventy", "_site"),
        ("serve -s build", "react-scripts", "build"),
    ],
)
def test_apps_that_are_built_first(bench: Bench, start: str, brings: str, folder: str) -> None:
    scripts = {"build": "x", **({"start": start} if start else {})}
    bench.write({**package(scripts=scripts, dependencies={brings: "1"}), "public/index.html": "a template"})
    ran, plan = bench.detect(BUILDPACK)
    assert ran.code == 0, ran.out
    assert plan["provides"] == [{"name": "static"}]
    first, second = plan["requires"]
    assert first["name"] == "static"
    assert first["metadata"]["pylife"]["files"] == ["package.json"]
    assert folder in first["metadata"]["pylife"]["processes"][0]["command"]
    assert second == {"name": "node_modules", "metadata": {"build": True, "static": True}}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "looked for public/index.html"),
        ({"public/logo.png": ""}, "No static site"),
        ({"public/index.html": "", "Procfile": "web: ./serve"}, "The Procfile has a process web"),
        (package(**VITE) | {"Procfile": "web: node x"}, "The Procfile has a process web"),
        (package(scripts={"start": "node api.js", "build": "vite build"}, dependencies={"vite": "1"}), "node api.js"),
        (package(**VITE) | {"server.js": ""}, "The app brings a server of its own: server.js"),
        (package(scripts={"build": "vite build"}, dependencies={"vite": "1", "express": "5"}), "also express"),
        (package(scripts={"build": "astro build"}, dependencies={"astro": "1", "@astrojs/node": "9"}), "astrojs/node"),
        ({"public/index.html": "", **package(scripts={"start": "node ."})}, "starts a server of its own: node ."),
        (package(dependencies={"vite": "1"}), "No static site"),
        (package(**VITE), "no page to begin with: index.html"),
        (
            package(**VITE) | {"index.html": "", "Procfile": "jobs: node dist/jobs.js"},
            "jobs of the Procfile needs Node",
        ),
    ],
)
def test_apps_that_are_none(bench: Bench, files: dict[str, str], said: str) -> None:
    ran, plan = bench.write(files).detect(BUILDPACK)
    assert (ran.code, plan) == (100, {}), ran.out
    assert said in ran.out


def test_the_folder_that_the_user_names_wins(bench: Bench) -> None:
    bench.write({"public/index.html": "", "Procfile": "web: x", "static.json": '{"root": "other"}'})
    ran, _ = bench.user_env(BP_STATIC_ROOT="web/").detect(BUILDPACK)
    assert ran.code == 0
    assert "$BP_STATIC_ROOT names web/; web is served" in ran.out


def test_a_folder_that_only_a_build_script_can_make_is_built(bench: Bench) -> None:
    bench.write(package(scripts={"build": "make-site out"})).user_env(BP_STATIC_ROOT="out")
    _, plan = bench.detect(BUILDPACK)
    assert [each["name"] for each in plan["requires"]] == ["static", "node_modules"]
    bench.write({"out/index.html": ""})
    _, plan = bench.detect(BUILDPACK)
    assert [each["name"] for each in plan["requires"]] == ["static"]


SITE = {"public/index.html": "home"}


@pytest.mark.parametrize(
    ("files", "env", "id", "said"),
    [
        (SITE, {"BP_STATIC_ROOT": "none"}, "static.root-missing", "public/"),
        (SITE, {"BP_STATIC_ROOT": "../x"}, "static.root-outside", "../x"),
        (SITE, {"BP_STATIC_ROOT": "/etc"}, "static.root-outside", "/etc"),
        (package(**VITE) | {"index.html": ""}, {}, "static.output-missing", "npm run build"),
        (SITE, {"BP_STATIC_FALLBACK": "app.html"}, "static.page-missing", "index.html"),
        ({**SITE, "static.json": '{"error_page": "x.html"}'}, {}, "static.page-missing", "x.html"),
        ({**SITE, "static.json": "{root: 1}"}, {}, "static.bad-settings", "static.json:1"),
        ({**SITE, "static.json": "[]"}, {}, "static.bad-settings", "no JSON object"),
        ({**SITE, "static.json": '{"clean_urls": "yes"}'}, {}, "static.bad-settings", "neither true nor false"),
        ({**SITE, "static.json": '{"redirects": {"/a": "/b"}}'}, {}, "static.bad-settings", '"/a": "/b"'),
        ({**SITE, "static.json": '{"redirects": {"/a": {"url": "${X}/b"}}}'}, {}, "static.bad-settings", "${X}"),
        (
            {**SITE, "static.json": '{"redirects": {"/a": {"url": "/b", "status": 200}}}'},
            {},
            "static.bad-settings",
            "301, 302",
        ),
        ({**SITE, "static.json": '{"headers": {"/": {"A:": "1"}}}'}, {}, "static.bad-settings", "no name of a header"),
        ({**SITE, "static.json": '{"headers": {"/": {"A": "1\\nB: 2"}}}'}, {}, "static.bad-settings", "control"),
        ({**SITE, "static.json": '{"basic_auth": true}'}, {}, "static.setting-unsupported", "asks for the password"),
        ({**SITE, "static.json": '{"proxies": {"/api": {}}}'}, {}, "static.setting-unsupported", "proxies"),
        ({**SITE, "_headers": "  A: 1\n"}, {}, "static.bad-headers", "_headers:1"),
        ({**SITE, "_headers": "/\n  no colon\n"}, {}, "static.bad-headers", "_headers:2"),
        ({**SITE, "_headers": "/\n  Content-Length: 3\n"}, {}, "static.bad-headers", "the server sets it"),
        ({**SITE, "_headers": "/\n  Basic-Auth: me:pw\n"}, {}, "static.bad-headers", "asks for no password"),
        ({**SITE, "_headers": b"/\n  A: \xff\n"}, {}, "static.bad-headers", "UTF-8"),
        ({**SITE, "_redirects": "/a\n"}, {}, "static.bad-redirects", "_redirects:1"),
        ({**SITE, "_redirects": "\n/a /b 418\n"}, {}, "static.bad-redirects", "_redirects:2 has the status 418"),
        ({**SITE, "_redirects": "/a /b 301 Country=de\n"}, {}, "static.bad-redirects", "conditions"),
        ({**SITE, "_redirects": "/api/* https://example.com/:splat 200\n"}, {}, "static.bad-redirects", "elsewhere"),
        ({**SITE, "_redirects": "/a/*/b /c\n"}, {}, "static.bad-redirects", "only be its last part"),
        ({**SITE, "_redirects": "/:a/:a /c\n"}, {}, "static.bad-redirects", "stands there twice"),
        ({**SITE, "_redirects": "/a /a/ 301\n"}, {}, "static.bad-redirects", "where it comes from"),
        ({**SITE, "_redirects": "/a javascript:x 301\n"}, {}, "static.bad-redirects", "neither with / nor"),
    ],
)
def test_what_cannot_be_meant(
    bench: Bench, files: dict[str, str | bytes], env: dict[str, str], id: str, said: str
) -> None:
    ran = bench.write(files).user_env(**env).build(BUILDPACK)
    assert (ran.code, ran.failure) == (1, id), ran.err
    assert said in ran.err


def test_a_link_out_of_the_app(bench: Bench) -> None:
    bench.write({"public/index.html": "", "data/x.txt": "x"})
    (bench.app / "public/passwd").symlink_to("/etc/passwd")
    ran = bench.build(BUILDPACK)
    assert (ran.code, ran.failure) == (1, "static.link-leads-out")
    assert "passwd -> /etc/passwd" in ran.err


def test_a_folder_that_is_itself_a_link_out_of_the_app(bench: Bench) -> None:
    bench.write({"index.html": ""})
    (bench.app / "public").symlink_to("/etc")
    ran = bench.user_env(BP_STATIC_ROOT="public").build(BUILDPACK)
    assert (ran.code, ran.failure) == (1, "static.root-outside")


def test_without_network_and_without_cache_the_build_says_what_it_lacks(bench: Bench) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        bench.env[name] = "http://127.0.0.1:9"
    ran = bench.write(SITE).build(BUILDPACK)
    assert ran.code == 1
    assert ran.failure.startswith("apt."), ran.err


def test_every_failure_has_a_page() -> None:
    root = Path(__file__).resolve().parents[2]
    for name in ("static", "environment", "ca-certificates", "git", "procfile"):
        assert tomllib.loads((root / "buildpacks" / name / "buildpack.toml").read_text())["metadata"]["pylife"]["pure"]
        for module in (root / "buildpacks" / name / "lib").rglob("*.py"):
            for word in module.read_text().split('"'):
                prefix, _, rest = word.partition(".")
                if prefix in ("static", "environment", "certificates", "git", "procfile") and "-" in rest:
                    assert (root / "docs/errors" / f"{word}.md").is_file(), word
