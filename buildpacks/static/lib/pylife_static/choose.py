"""Which folder is the site: one of the app's own, or the one that its build will leave."""

from __future__ import annotations

import os

from pylife_static.staticfile import STATICFILE, read_staticfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ROOT_VARIABLE = "BP_STATIC_ROOT"
SETTINGS_FILE = "static.json"
FOLDERS = ("public", "dist", "build", "_site", "www")

# Tools whose build leaves files and no server: the package that brings each, and where it leaves them.
GENERATORS = {
    "vite": ("dist",),
    "react-scripts": ("build",),
    "@angular/cli": ("dist",),
    "@vue/cli-service": ("dist",),
    "astro": ("dist",),
    "@11ty/eleventy": ("_site",),
    "gatsby": ("public",),
    "@docusaurus/core": ("build",),
    "vitepress": (".vitepress/dist", "docs/.vitepress/dist"),
    "parcel": ("dist",),
    "@sveltejs/adapter-static": ("build",),
    "preact-cli": ("build",),
    "webpack": ("dist", "build", "public"),
    "rollup": ("dist", "build", "public"),
    "esbuild": ("dist", "build", "public"),
}
# Those that make a page of each path: a path without one is missing, even where there is a single page.
OF_PAGES = ("astro", "@11ty/eleventy", "gatsby", "@docusaurus/core", "vitepress")
# Bundlers that make programs as well as pages: a page to begin with tells which.
_GENERAL = ("vite", "webpack", "rollup", "esbuild", "parcel")
_PAGES = ("index.html", "src/index.html", "public/index.html", "app/index.html", "client/index.html")
# What makes a server out of an app whose tool could also leave files alone.
SERVERS = (
    "@astrojs/node",
    "@nestjs/core",
    "@remix-run/node",
    "@remix-run/serve",
    "@react-router/node",
    "@react-router/serve",
    "@sveltejs/adapter-auto",
    "@sveltejs/adapter-node",
    "express",
    "fastify",
    "hapi",
    "koa",
    "next",
    "nuxt",
    "vike-server",
)
# Start scripts that begin so are for development or for a preview of files: no reason to run Node in production.
_FOR_DEVELOPMENT = (
    "react-scripts start",
    "ng serve",
    "ng s",
    "vite",
    "astro dev",
    "astro preview",
    "astro start",
    "eleventy --serve",
    "gatsby develop",
    "gatsby serve",
    "docusaurus start",
    "docusaurus serve",
    "vue-cli-service serve",
    "vitepress dev",
    "parcel",
    "webpack serve",
    "webpack-dev-server",
    "preact watch",
    "serve",
    "http-server",
)
_NEEDS_NODE = frozenset({"node", "npm", "npx", "pnpm", "yarn", "tsx", "ts-node"})
_SERVER_FILES = ("server.js", "server.mjs", "server.cjs", "server.ts", "index.js", "index.mjs")


class Site:
    """What will be served. ``folders`` are relative to the app, the first that exists counts; ``generator`` is the
    package whose build makes it, or empty for a folder that is there already; ``why`` is one clause, ``read`` the files
    that decided."""

    __slots__ = ("asked", "folders", "generator", "read", "why")

    def __init__(
        self, folders: tuple[str, ...], why: str, generator: str = "", read: tuple[str, ...] = (), asked: bool = False
    ) -> None:
        self.folders, self.why, self.generator, self.read, self.asked = folders, why, generator, read, asked


class Declined:
    """Why the app is no static site, as sentences."""

    __slots__ = ("why",)

    def __init__(self, *why: str) -> None:
        self.why = why


def choose(app: str, env: Mapping[str, str]) -> Site | Declined:
    """The site of an app. Never fails: what is wrong with a folder that was asked for is the build's to say."""
    package = _json(app, "package.json")
    asked, origin = _asked(app, env)
    generator, against = _generator(app, package)
    if asked:
        names = ("package.json", SETTINGS_FILE, STATICFILE)
        read = tuple(name for name in names if os.path.isfile(os.path.join(app, name)))
        built = bool(_script(package, "build")) and (bool(generator) or not os.path.isdir(os.path.join(app, asked)))
        return Site((asked,), origin, (generator or "the build script") if built else "", read, asked=True)
    told = os.path.isfile(os.path.join(app, SETTINGS_FILE))
    if generator and (told or not against):
        why = f"package.json brings {generator}, whose build leaves files"
        return Site(GENERATORS[generator], why, generator, ("package.json",))
    if not told:
        if against:
            return Declined(*against)
        if "web" in _procfile(app):
            return Declined("The Procfile has a process web: the app brings its own server.")
        if server := _server(app, package):
            return Declined(server)
    for folder in FOLDERS:
        if os.path.isfile(os.path.join(app, folder, "index.html")):
            return Site((folder,), f"there is {folder}/index.html", read=(f"{folder}/index.html",))
    if os.path.isfile(os.path.join(app, "index.html")):
        return Site((".",), "the app's root has index.html", read=("index.html",))
    if told:
        return Site(("public_html",), f"{SETTINGS_FILE} names no root, and public_html is its default", asked=True)
    looked = ", ".join(f"{folder}/index.html" for folder in FOLDERS)
    return Declined(
        f"No static site: looked for {looked}, index.html, {SETTINGS_FILE}, {STATICFILE} and ${ROOT_VARIABLE}."
    )


def _asked(app: str, env: Mapping[str, str]) -> tuple[str, str]:
    """The folder that the user names, and where it is named."""
    for variable in (ROOT_VARIABLE, "BP_WEB_SERVER_ROOT"):
        if value := env.get(variable, "").strip():
            return os.path.normpath(value), f"${variable} names {value}"
    root = _json(app, SETTINGS_FILE).get("root")
    if isinstance(root, str) and root.strip():
        return os.path.normpath(root.strip()), f"{SETTINGS_FILE} names {root.strip()}"
    if root := read_staticfile(app).get("root", ""):
        return os.path.normpath(root), f"{STATICFILE} names {root}"
    return "", ""


def _generator(app: str, package: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The package that generates the site, and the reasons to believe that a server is started instead."""
    present = {**_table(package, "dependencies"), **_table(package, "devDependencies")}
    found = next((name for name in GENERATORS if name in present), "")
    if found == "vite":  # which many others bring along too
        found = next((name for name in GENERATORS if name in present and name != "vite"), "vite")
        found = "vite" if found in ("webpack", "rollup", "esbuild") else found
    if not found or not _script(package, "build"):
        return "", ()
    if server := _server(app, package):
        return found, (server,)
    if brought := [name for name in SERVERS if name in present]:
        return found, (f"package.json brings {found}, but also {brought[0]}: taken for an app with its own server.",)
    commands = _procfile(app)
    if "web" in commands:
        return found, ("The Procfile has a process web: the app brings its own server.",)
    if needs := [type for type, command in commands.items() if _NEEDS_NODE.intersection(command.split())]:
        return found, (f"package.json brings {found}, but {needs[0]} of the Procfile needs Node.js at launch.",)
    if found in _GENERAL and not any(os.path.isfile(os.path.join(app, page)) for page in _PAGES):
        return found, (f"package.json brings {found}, but there is no page to begin with: {', '.join(_PAGES)}.",)
    return found, ()


def _server(app: str, package: Mapping[str, Any]) -> str:
    """Why the app starts a server of its own, as a sentence; empty when nothing says so."""
    if not package:
        return ""
    start = _script(package, "start")
    if start and not starts_for_development(start):
        return f"package.json starts a server of its own: {start}"
    if not start and (own := [name for name in _SERVER_FILES if os.path.isfile(os.path.join(app, name))]):
        return f"The app brings a server of its own: {own[0]}."
    return ""


def starts_for_development(script: str) -> bool:
    """Whether a start script runs a development server or a preview, and no server of the app's own."""
    words = script.split()
    while words and ("=" in words[0] or words[0] in ("npx", "cross-env", "pnpm", "yarn", "exec", "dlx")):
        del words[0]
    text = " ".join(words)
    return any(text == known or text.startswith(known + " ") for known in _FOR_DEVELOPMENT)


def _procfile(app: str) -> dict[str, str]:
    """The commands of the Procfile by type, as far as they can be read."""
    try:
        with open(os.path.join(app, "Procfile"), encoding="utf-8-sig", errors="replace") as file:
            parts = [line.partition(":") for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return {}
    return {type.strip(): command.strip() for type, colon, command in parts if colon}


def _script(package: Mapping[str, Any], name: str) -> str:
    value = _table(package, "scripts").get(name)
    return value.strip() if isinstance(value, str) else ""


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _json(app: str, name: str) -> Mapping[str, Any]:
    path = os.path.join(app, name)
    if not os.path.isfile(path):
        return {}
    import json

    try:
        with open(path, encoding="utf-8-sig") as file:
            document = json.load(file)
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
