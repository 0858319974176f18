"""Makes the layers of a static site: the server, and its configuration."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace

from pylife_sdk.context import Build, read_bytes, write_file
from pylife_sdk.execd import LIMITS
from pylife_sdk.launch import Process, write_launch
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import fail, heading, listing, note, warn
from pylife_sdk.process import run

from pylife_static.choose import GENERATORS, OF_PAGES, ROOT_VARIABLE, SETTINGS_FILE, Declined, Site, choose
from pylife_static.config import render
from pylife_static.files import Contents, read_contents
from pylife_static.rules import read_headers, read_redirects
from pylife_static.server import provide_server
from pylife_static.settings import FALLBACK_VARIABLE, Settings, read_settings

_HERE = os.path.dirname(os.path.abspath(__file__))
# Folders that a build copies from as they are: a hash in such a name is chance.
_COPIED = ("public", "static", "src/static")


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for what the user can mend."""
    generator = _generator(context)
    site = choose(context.app, context.env)
    if isinstance(site, Declined) and generator in GENERATORS:  # the build left files that look like a server
        site = Site(GENERATORS[generator], f"package.json brings {generator}", generator)
    if isinstance(site, Declined):
        fail("static.root-missing", "There is no folder to serve any more.", found="\n".join(site.why), fix=_NAME_IT)
    site.generator = generator or site.generator
    settings = read_settings(context.app, context.env)
    folder = _folder(context.app, site)
    heading(f"Static site: {folder}/" if folder != "." else "Static site: the app's root")
    note(f"Why: {site.why}.")
    sources = [source for source in _COPIED if os.path.normpath(source) != folder]
    contents = read_contents(context.app, folder, sources, built=bool(site.generator))
    settings = _complete(context.app, folder, site, settings, contents)
    _tell(contents, settings)
    server = provide_server(context)
    layer = _write_site(context, folder, contents, settings, server)
    _check(layer, context)
    note(f"web: nginx serves {folder} on $PORT")
    write_launch(context, [Process("web", (os.path.join(layer.path, "bin", "serve"),), default=True)])


_NAME_IT = f"Name the folder, as the app's build leaves it:\npylife build --env {ROOT_VARIABLE}=dist ..."


def _generator(context: Build) -> str:
    """What detection found to build the site: by now its folder exists, and looks as if it had always been there."""
    entries = tomllib.loads(read_bytes(context.plan_path).decode()).get("entries", [])
    said = (entry.get("metadata", {}).get("generator", "") for entry in entries if entry.get("name") == "static")
    return next((generator for generator in said if isinstance(generator, str)), "")


def _folder(app: str, site: Site) -> str:
    """The folder that exists, relative to the app."""
    folder = next((each for each in _candidates(app, site) if _is_below(app, each, site)), None)
    if folder is None:
        folders = " nor ".join(site.folders)
        looked = f"{site.why}\nin the app's root:\n{listing(app)}"
        if site.generator:
            fail(
                "static.output-missing",
                f"The app was built, but there is no {folders}.",
                found=looked,
                fix="See above what `npm run build` wrote and where. " + _NAME_IT,
            )
        fail(
            "static.root-missing",
            f"There is no folder {folders}.",
            found=looked,
            fix="Is it committed, and not in .gitignore or .dockerignore? " + _NAME_IT,
        )
    return folder


def _is_below(app: str, folder: str, site: Site) -> bool:
    """Whether the folder exists. Raises ``Failure`` for one that is elsewhere."""
    top, place = os.path.realpath(app), os.path.realpath(os.path.join(app, folder))
    if os.path.isabs(folder) or (place != top and not place.startswith(top + os.sep)):
        fail(
            "static.root-outside",
            "The folder to serve is not in the app.",
            found=f"{site.why}; that is {place}",
            fix=f"Name a folder below the app's root, relative to it:\n{ROOT_VARIABLE}=public",
        )
    return os.path.isdir(place)


def _candidates(app: str, site: Site) -> list[str]:
    """Where the site may be; Angular puts it deeper, into a folder with the project's name."""
    found = list(site.folders)
    if site.generator == "@angular/cli" and not site.asked and os.path.isdir(os.path.join(app, "dist")):
        for name in sorted(os.listdir(os.path.join(app, "dist"))):
            deeper = [f"dist/{name}/browser", f"dist/{name}"]
            found = [each for each in deeper if os.path.isfile(os.path.join(app, each, "index.html"))] + found
    if site.generator in GENERATORS and not site.asked:
        # A tool that was told to write elsewhere: any of the usual places will do that has a page now.
        usual = [name for names in GENERATORS.values() for name in names if name not in found]
        found += [name for name in dict.fromkeys(usual) if os.path.isfile(os.path.join(app, name, "index.html"))]
    return found


def _complete(app: str, folder: str, site: Site, settings: Settings, contents: Contents) -> Settings:
    """The settings with what the site's own files say, and with what its contents say about paths that are no file."""
    places = [os.path.join(app, folder), app]
    redirects = next((path for place in places if os.path.isfile(path := os.path.join(place, "_redirects"))), "")
    headers = next((path for place in places if os.path.isfile(path := os.path.join(place, "_headers"))), "")
    rules = (*settings.rules, *read_redirects(redirects))
    all_headers = (*settings.headers, *read_headers(headers))
    error_page = settings.error_page or ("404.html" if "/404.html" in contents.paths else "")
    fallback = settings.fallback
    if fallback is None:
        bundled = bool(site.generator) and site.generator not in OF_PAGES
        alone = bundled and contents.pages == ["/index.html"] and not error_page
        fallback = "index.html" if alone and not any(rule.status == 200 for rule in rules) else ""
        if fallback:
            note(f"Paths that are no file get index.html: it is the only page of what {site.generator} built.")
            note(f"{FALLBACK_VARIABLE}=off turns that off.")
    for name, path in ((FALLBACK_VARIABLE, fallback), (f"error_page of {SETTINGS_FILE}", error_page)):
        if path and f"/{path}" not in contents.paths:
            fail(
                "static.page-missing",
                f"{name} names {path}, which {folder} does not have.",
                found=f"in {folder}:\n{listing(os.path.join(app, folder))}",
                fix="Correct the name, or add the page.",
            )
    return replace(settings, rules=rules, headers=all_headers, error_page=error_page, fallback=fallback)


def _tell(contents: Contents, settings: Settings) -> None:
    immutable = sum(file.immutable for file in contents.files)
    note(f"{len(contents.files)} files, contents {contents.digest()[:12]}; kept by browsers for a year: {immutable}.")
    if contents.hidden:
        note(f"Not served: {', '.join(contents.hidden)}, and names that begin with a dot.")
    for rule in settings.rules:
        note(rule.origin)
    if "/index.html" not in contents.paths and not settings.fallback and not settings.rules:
        warn("The site has no index.html: its first page will be answered with 404 Not Found.")


def _write_site(context: Build, folder: str, contents: Contents, settings: Settings, server: Layer) -> Layer:
    """The layer with the configuration and the program that starts nginx."""
    layer = open_layer(context, "site", launch=True)
    types = read_bytes(os.path.join(_HERE, "types.conf")).decode()
    root = os.path.normpath(os.path.join(context.app, folder))
    limits = read_bytes(LIMITS).decode()
    serve = read_bytes(os.path.join(_HERE, "serve.sh")).decode()
    for name, said in (
        ("site", layer.path),
        ("nginx", server.path),
        ("access_log", "$log" if settings.access_log else "off"),
        ("folder", "".join(c for c in folder if c.isalnum() or c in " ._-/")),
    ):
        serve = serve.replace(f"@{name}@", said)
    os.makedirs(os.path.join(layer.empty(), "bin"))
    write_file(os.path.join(layer.path, "site.conf"), render(root, contents, settings, types))
    program = os.path.join(layer.path, "bin", "serve")
    write_file(program, f"#!/bin/sh\n{limits}\n{serve}")
    os.chmod(program, 0o755)
    layer.commit({"contents": contents.digest()[:16]})
    return layer


def _check(layer: Layer, context: Build) -> None:
    """Lets nginx itself read the configuration."""
    env = {"PATH": context.env.get("PATH", "/usr/bin:/bin"), "TMPDIR": context.env.get("TMPDIR", "/tmp")}
    ran = run([os.path.join(layer.path, "bin", "serve"), "--check"], env=env, cwd=context.app, show=None)
    if ran.code:
        fail(
            "static.settings-refused",
            "nginx does not take the configuration made of the site's settings.",
            found=ran.tail,
            fix=f"The line above tells which pattern: simplify it in {SETTINGS_FILE}, _redirects or _headers.",
        )
