"""How the app is started: by its Procfile, else by what package.json and the files say. Guesses are always printed.

A start script that is one plain command is started without a package manager in between, so that signals reach it.
"""

from __future__ import annotations

import os

from pylife_nodejs.project import ENTRIES, Project

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

_MANAGERS = ("npm", "npx", "yarn", "pnpm", "pnpx", "corepack")
_SHELL = frozenset(";&|<>()`\n*?[]{}#~!")
_DEVELOPMENT = ("react-scripts start", "vite", "ng serve", "next dev", "nuxt dev", "astro dev", "webpack serve",
                "webpack-dev-server", "vue-cli-service serve", "parcel", "nodemon", "nx serve")  # fmt: skip

# What makes a server of a framework's build, and where it leaves it.
_ADAPTERS = {"@sveltejs/adapter-node": "build/index.js", "@astrojs/node": "dist/server/entry.mjs"}


class Start:
    """A way to start the app. ``line`` is a shell line when ``command`` is empty; ``why`` one clause for people."""

    __slots__ = ("command", "line", "why")

    def __init__(self, command: tuple[str, ...], line: str, why: str) -> None:
        self.command, self.line, self.why = command, line, why

    @property
    def shown(self) -> str:
        """The command as a user would type it."""
        return " ".join(self.command) if self.command else self.line


def choose_start(project: Project, manager: str, *, built: bool) -> Start | None:
    """The web process, None when nothing says how. ``built``: the build scripts have run, so that files are there."""
    manifest = project.manifest
    scripts = manifest.scripts
    where = f"the start script of {manifest.shown}"
    if text := scripts.get("start", "").strip():
        return _script(text, [scripts.get("prestart", ""), scripts.get("poststart", "")], manager, where)
    directory = manifest.directory

    def there(name: str) -> bool:
        return os.path.isfile(os.path.join(directory, name))

    if there("server.js"):
        return Start(("node", "server.js"), "", "server.js is there, and no start script (npm start does the same)")
    if manifest.needs("next"):
        return Start((), "exec next start --port ${PORT:-3000}", "package.json names next, and no start script")
    if manifest.needs("nuxt") and (there(".output/server/index.mjs") or not built):
        return Start(("node", ".output/server/index.mjs"), "", "package.json names nuxt, and no start script")
    if manifest.needs("@remix-run/serve") and (there("build/server/index.js") or not built):
        return Start(("remix-serve", "build/server/index.js"), "", "package.json names @remix-run/serve")
    for name, file in _ADAPTERS.items():
        if manifest.needs(name) and (there(file) or not built):
            return Start(
                (), f"HOST=${{HOST:-0.0.0.0}} exec node {file}", f"package.json names {name}, and no start script"
            )
    main = manifest.text("main").removeprefix("./")
    if main and any(there(main + suffix) for suffix in ("", ".js", ".mjs", ".cjs")):
        return Start(("node", main), "", f'"main" of {manifest.shown}, and no start script')
    for name in ENTRIES[1:]:
        if there(name):
            return Start(("node", name), "", f"{name} is there, and no start script")
    return None


def missing_start(project: Project) -> str:
    """What to do where nothing says how the app is started."""
    if project.manifest.needs("@sveltejs/adapter-auto") and not project.manifest.needs("@sveltejs/adapter-node"):
        return (
            "SvelteKit's adapter-auto leaves no server here. Take the one for Node.js, and import it in "
            "svelte.config.js in place of @sveltejs/adapter-auto:\n"
            "npm install --save-dev @sveltejs/adapter-node   (or yarn add -D, pnpm add -D)"
        )
    return 'Add to package.json: "scripts": {"start": "node app.js"}'


def starts_manager(project: Project, start: Start | None, procfile: str) -> bool:
    """Whether a process of the image runs a package manager, which then belongs into the image."""
    texts = [procfile] if procfile else [start.shown] if start else []
    words = [word.strip("\"'();&|") for text in texts for word in text.replace(";", " ").split()]
    return any(word in _MANAGERS for word in words)


def is_development_server(start: Start) -> bool:
    """Whether the command is a tool's server for development, which is no way to run an app in production."""
    line = start.shown.removeprefix("exec ")
    return any(line == each or line.startswith(f"{each} ") for each in _DEVELOPMENT if each != "parcel") or (
        line.startswith("parcel") and not line.startswith("parcel build")
    )


def read_procfile(app: str) -> str:
    """The app's Procfile, "" without one."""
    try:
        with open(os.path.join(app, "Procfile"), encoding="utf-8-sig", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def procfile_types(text: str) -> list[str]:
    """The process types that a Procfile has."""
    rows = [line.partition(":")[0].strip() for line in text.splitlines() if ":" in line]
    return [row for row in rows if row and not row.startswith("#")]


def _script(text: str, around: list[str], manager: str, where: str) -> Start:
    if "npm_" in text or any(around[1:]):
        # These need what a package manager sets and does around a script.
        why = f"{where}, by {manager} because it " + ("has a poststart" if any(around[1:]) else "reads npm_ variables")
        return Start((manager, "run", "start"), "", why)
    words = _plain_words(text)
    if words and not around[0]:
        return Start(tuple(words), "", f"{where}, without {manager} in between so that signals reach it")
    head, last = _divide(text)
    line = f"{head}exec {last}" if last else text
    if around[0]:
        line = f"{{ {around[0].strip().rstrip(';')}; }} && {line}"
    stays = "" if last else "; the shell stays in between, so that signals may not reach it"
    return Start((), line, f"{where}{stays}")


def _plain_words(text: str) -> list[str] | None:
    """The words of a command that needs no shell, else None."""
    if any(char in _SHELL for char in text) or "$" in text or "\\" in text:
        return None
    import shlex

    try:
        words = shlex.split(text)
    except ValueError:
        return None
    return None if not words or "=" in words[0] or words[0] in ("exec", "cd", ".", "source", "set") else words


def _divide(text: str) -> tuple[str, str]:
    """A chain of && before its last command, and that command; ("", "") where there is more than such a chain."""
    head, and_, last = text.rpartition("&&")
    last = last.strip()
    if any(char in _SHELL for char in last) or any(char in head for char in ";|()`#\n") or _is_open(head):
        return "", ""
    word = last.split()[0] if last.split() else ""
    if not word or word in ("exec", "cd", ".", "source", "set"):
        return "", ""
    assigned = []
    words = last.split()
    while words and "=" in words[0] and words[0].partition("=")[0].isidentifier():
        assigned.append(words.pop(0))
    if not words:
        return "", ""
    prefix = f"{head.strip()} && " if and_ else ""
    return prefix + "".join(f"{each} " for each in assigned), " ".join(words)


def _is_open(text: str) -> bool:
    """Whether a quotation goes on behind the text."""
    return text.count("'") % 2 == 1 or text.count('"') % 2 == 1
