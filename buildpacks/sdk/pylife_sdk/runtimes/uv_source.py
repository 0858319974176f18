"""CPython as uv installs it: standalone builds from where uv fetches them, or from the user's mirror of that place.

What the user says to uv is followed: UV_PYTHON_INSTALL_MIRROR and UV_PYTHON_DOWNLOADS_JSON_URL (or the settings of the
same meaning in uv.toml or pyproject.toml), http(s):// and file://. The checksums are uv's, or those of the user's list.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import weakref
from urllib.parse import quote

from pylife_sdk.context import Build, Detect, read_bytes, write_file
from pylife_sdk.network_failures import UNCACHED, UNREACHED, UNTRUSTED
from pylife_sdk.output import fail
from pylife_sdk.process import Ran, run
from pylife_sdk.runtimes.choice import Runtime
from pylife_sdk.runtimes.downloads import Downloads, fail_network
from pylife_sdk.runtimes.order import nearest, redact
from pylife_sdk.runtimes.source import Source
from pylife_sdk.sbom import Component

MIRROR, LIST = "UV_PYTHON_INSTALL_MIRROR", "UV_PYTHON_DOWNLOADS_JSON_URL"
# Of uv's other variables, those that say how to reach a server; the rest would install elsewhere or something else.
_PASSED_ON = ("UV_HTTP_", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_INSECURE_HOST", "UV_OFFLINE", "UV_REQUEST_TIMEOUT")
_MISMATCH = re.compile(r"hash mismatch", re.I)
_ABSENT = re.compile(r"\b404\b|No such file or directory", re.I)


class Uv(Source):
    """The versions of CPython that uv, or the user's own list, names for this system."""

    name = "uv"
    online = True

    def __init__(self, runtime: Runtime, context: Build | Detect) -> None:
        assert runtime.uv is not None
        self.runtime, self.context = runtime, context
        self.uv_version, self._provide = runtime.uv
        self.settings = _settings(context)
        self.none = f"uv {self.uv_version} knows no CPython for this system"
        self._known: list[str] = []
        self._trees: dict[str, str] = {}

    def versions(self) -> list[str]:
        ran = self._uv("list", "--all-versions", "--only-downloads", "--output-format", "json")
        if ran.code:
            self._explain(f"uv could not read its list of Pythons{self._listed_in()}", ran)
        try:
            rows = json.loads(next(line for line in ran.output.splitlines() if line.startswith("[")))
            self._known = [row["version"] for row in rows if self._is_ours(row)]
        except (StopIteration, ValueError, KeyError, TypeError):
            self._explain("uv's list of Pythons could not be understood", ran)
        return list(self._known)

    def cached(self) -> list[str]:
        return Downloads(self.context, "uv").versions(self._shelf())

    def fetch(self, version: str) -> None:
        self._archive(version)

    def origin(self, version: str) -> str:
        mirror, own = (_shown(self.settings.get(name, "")) for name in (MIRROR, LIST))
        return "uv" + (f", mirror {mirror}" if mirror else "") + (f", list {own}" if own else "")

    def key(self, version: str) -> str:
        # A later uv may know a later build of the same version.
        return f"{self.origin(version)} {self.uv_version} {version}"

    def place(self, version: str, directory: str) -> None:
        archive = self._archive(version)
        if version not in self._trees:
            self._install_archive(version, archive)
        home = os.path.join(self._trees[version], self._name(version))
        for entry in sorted(os.listdir(home)):
            if entry != "BUILD":  # the name of the build, which only uv reads
                shutil.move(os.path.join(home, entry), os.path.join(directory, entry))
        self._forget(version)

    def components(self, version: str) -> list[Component]:
        return [Component(self.runtime.name, version, f"pkg:generic/{self.runtime.name}@{version}", "Python-2.0")]

    def _archive(self, version: str) -> str:
        """The archive, checked by uv when it came; an installed tree comes with it when it comes now."""
        return Downloads(self.context, "uv").keep(self._shelf(), version, lambda at: self._fetch(version, at))

    def _fetch(self, version: str, directory: str) -> str:
        ran = self._install(version, self.settings | {"UV_PYTHON_CACHE_DIR": directory})
        archives = [name for name in sorted(os.listdir(directory)) if not name.startswith(".")]
        if ran.code or len(archives) != 1:
            self._forget(version)
            self._explain(f"uv could not fetch CPython {version}", ran)
        return os.path.join(directory, archives[0])

    def _install_archive(self, version: str, archive: str) -> None:
        """Installs what the cache has: from a list of just that, so that nobody is to be asked."""
        match = re.match(r"(\d+)\.(\d+)\.(\d+)(.*)", version)
        assert match is not None
        entry = {"name": "cpython", "arch": {"family": os.uname().machine, "variant": None}, "os": "linux"}
        entry |= {"libc": _libc(), "variant": None, "build": None, "prerelease": match[4]}
        entry |= {name: int(number) for name, number in zip(("major", "minor", "patch"), match.groups(), strict=False)}
        entry["url"] = "file://" + quote(archive)
        entry["sha256"] = read_bytes(os.path.join(os.path.dirname(archive), "sha256")).decode()
        with tempfile.TemporaryDirectory() as scratch:
            listed = os.path.join(scratch, "list.json")
            write_file(listed, json.dumps({self._name(version): entry}))
            ran = self._install(version, {LIST: listed, "UV_OFFLINE": "1"})
        if ran.code:
            self._forget(version)
            self._explain(f"uv could not install CPython {version} from the cache", ran)

    def _install(self, version: str, settings: dict[str, str]) -> Ran:
        # Beside the layers: a rename puts it into its layer.
        assert isinstance(self.context, Build)
        tree = self._trees[version] = tempfile.mkdtemp(prefix=".uv-python-", dir=self.context.layers)
        weakref.finalize(self, shutil.rmtree, tree, ignore_errors=True)
        command = ("install", "--no-bin", "--install-dir", tree, self._name(version))
        return self._uv(*command, settings=settings)

    def _forget(self, version: str) -> None:
        shutil.rmtree(self._trees.pop(version), ignore_errors=True)

    def _uv(self, *arguments: str, settings: dict[str, str] | None = None) -> Ran:
        assert isinstance(self.context, Build)
        env = {
            name: value
            for name, value in self.context.env.items()
            if not name.startswith("UV_") or name.startswith(_PASSED_ON)
        }
        env |= {"UV_NO_CONFIG": "1", "UV_NO_CACHE": "1", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
        # Once more after a failure: three times, as usual, take a quarter of a minute to say that there is no network.
        env.setdefault("UV_HTTP_RETRIES", "1")
        env |= self.settings if settings is None else settings
        return run([self._provide(self.context), "python", *arguments], env=env, cwd=self.context.app, show=None)

    def _is_ours(self, row: dict[str, str]) -> bool:
        return row["key"] == self._name(row["version"])

    def _name(self, version: str) -> str:
        return f"cpython-{version}-linux-{os.uname().machine}-{_libc()}"

    def _shelf(self) -> str:
        asked = json.dumps([self.uv_version, {name: _shown(value) for name, value in self.settings.items()}])
        return f"{self.runtime.name}-{os.uname().machine}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"

    def _listed_in(self) -> str:
        return f", {_shown(self.settings[LIST])}" if LIST in self.settings else ""

    def _explain(self, what: str, ran: Ran) -> None:
        steps = ("Downloading", "Downloaded", "Extracting", "Extracted")
        words = [line for line in ran.output.splitlines() if line and not line.strip().startswith(steps)]
        words = words[-12:] or [f"uv ended with {ran.code} and said nothing"]
        version = re.search(r"CPython (\S+)", what)
        known = nearest(self._known, version[1] if version else "", limit=8)
        said = [f"uv {self.uv_version} knows: {', '.join(known)}"] if known else []
        found = "\n".join([*said, *words])
        mirror = (
            f"--env {MIRROR}=https://mirror.example.com/python-build-standalone\n"
            f"or a folder: --volume DIRECTORY:/pythons:ro --env {MIRROR}=file:///pythons\n"
            "Below it lies what the address above ends in: DATE/ARCHIVE."
        )
        if _MISMATCH.search(ran.output):
            fail(
                "runtime.checksum-mismatch",
                f"{what}: it is not what {'the list' if LIST in self.settings else 'uv'} promises.",
                found=found,
                fix="Whoever keeps the mirror or the list must correct the archive or its sha256. Nothing of it was "
                "used.",
            )
        unreached = UNREACHED.search(ran.output) or UNCACHED.search(ran.output)
        if unreached and not UNTRUSTED.search(ran.output):
            fail(
                "runtime.network",
                f"{what}: {'the server' if self.settings else 'its download site'} cannot be reached, and the cache "
                "has nothing that fits.",
                found=found,
                fix="Build with a network once, so that the cache is filled; or name a mirror that can be reached, "
                f"with --network none a folder:\n{mirror}",
            )
        fail_network(what, ran.output, self.origin(""))
        if _ABSENT.search(ran.output):
            fail(
                "runtime.download-failed",
                f"{what}: {'the mirror' if self.settings else 'its download site'} does not have it.",
                found=found,
                fix=f"Put it there, or correct the address:\n{mirror}",
            )
        if LIST in self.settings and "json" in ran.output.lower():
            fail(
                "runtime.bad-index",
                f"{what}: it is no list of Pythons.",
                found=found,
                fix=f'{LIST} must name JSON in the form of uv\'s own list: {{"cpython-3.14.6-linux-x86_64-gnu": '
                '{"name": "cpython", "url": …, "sha256": …}}',
            )
        fail("runtime.download-failed", f"{what}.", found=found, fix="uv's last lines above name the cause.")


def _settings(context: Build | Detect) -> dict[str, str]:
    """The mirror and the list that the user named for uv: in a variable, else in uv.toml, else in pyproject.toml."""
    import tomllib

    table: dict[str, object] = {}
    for name, outer in (("uv.toml", ()), ("pyproject.toml", ("tool", "uv"))):
        try:
            table = tomllib.loads(read_bytes(os.path.join(context.app, name)).decode())
        except FileNotFoundError:
            continue
        except ValueError:
            break  # whoever reads the file for its own sake explains it
        for part in outer:
            inner = table.get(part)
            table = inner if isinstance(inner, dict) else {}
        break
    found = {}
    for variable, setting in ((MIRROR, "python-install-mirror"), (LIST, "python-downloads-json-url")):
        if value := context.env.get(variable) or table.get(setting):
            found[variable] = str(value)
    return found


def _shown(address: str) -> str:
    """An address without what may be secret: user, password, query."""
    return redact(address).partition("?")[0]


def _libc() -> str:
    try:
        return "gnu" if os.confstr("CS_GNU_LIBC_VERSION") else "musl"
    except ValueError:
        return "musl"
