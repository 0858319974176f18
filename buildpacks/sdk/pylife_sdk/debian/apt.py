"""apt-get as an ordinary user: lists, archives and a status of its own; sources and keys as the image has them."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote

from pylife_sdk.cache import Cache, open_cache
from pylife_sdk.context import Build, write_file
from pylife_sdk.debian.failures import explain, fail_offline
from pylife_sdk.debian.status import base_status, held, knows_run_image
from pylife_sdk.output import fail, note, warn
from pylife_sdk.process import Ran, run
from pylife_sdk.sbom import Component
from pylife_sdk.tree import digest

FRESH = 24 * 3600
"""Seconds for which lists of packages are taken as they are."""
UNUSED = 30 * 24 * 3600
"""Seconds after which an archive that nobody asked for leaves the cache."""
_URI = re.compile(r"'(?P<uri>[^']*)' (?P<file>\S+) (?P<size>\d+) (?P<hash>\S*)$", re.M)


class Package:
    """A fetched package; ``archive`` is the path of its .deb."""

    __slots__ = ("arch", "archive", "name", "sha256", "version")

    def __init__(self, name: str, version: str, arch: str, archive: str, sha256: str) -> None:
        self.name, self.version, self.arch, self.archive, self.sha256 = name, version, arch, archive, sha256

    def component(self) -> Component:
        """The package in an SBOM."""
        version = quote(self.version, safe=".~-")
        return Component(self.name, self.version, f"pkg:deb/debian/{self.name}@{version}?arch={self.arch}")


class Apt:
    """apt-get with directories of its own. ``complete`` says that it takes all but essential packages for missing."""

    __slots__ = ("_cache", "_config", "_env", "_held", "_home", "complete")

    def __init__(self, cache: Cache, context: Build, complete: bool) -> None:
        self._cache, self._home = cache, cache.path
        self._env = {**context.env, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        self.complete = complete or not knows_run_image()
        status = base_status(complete=complete)
        self._held = held(status)
        self._config = self._configure(status)

    def candidate(self, package: str) -> str | None:
        """The version that would be installed, None when the lists have no such package."""
        with self._cache.locked():
            self._update()
            ran = self._apt("apt-cache", "policy", package)
        match = re.search(r"^ +Candidate: (.*)$", ran.output, re.M)
        return match[1] if match and match[1] != "(none)" else None

    def names(self) -> list[str]:
        """All package names that the lists have."""
        with self._cache.locked():
            return self._apt("apt-cache", "pkgnames").output.split()

    def fetch(
        self, packages: Sequence[str], *, alone: Sequence[str] = (), asked_at: Callable[[str], str] = str
    ) -> list[Package]:
        """The packages and all that they need beyond what is there already, in the cache, sorted by name.

        A package is written as apt-get has it (name, name=version) or is the path of a .deb. Those of ``alone`` are
        taken in any case, without what they need. ``asked_at`` says where the user wrote a package, for messages.
        Raises ``Failure`` apt.*.
        """
        with self._cache.locked():
            self._update()
            planned = self._plan(packages, alone, asked_at)
            missing = [path for path, promised in planned.items() if not self._has(path, promised)]
            if missing:
                note(f"Fetching {len(missing)} of {len(planned)} packages.")
                planned = self._download(packages, alone, planned, asked_at)
            found = (self._describe(path, promised) for path, promised in planned.items())
            return sorted(found, key=lambda package: package.name)

    def spare(self, packages: Sequence[Package]) -> None:
        """Removes archives of which a layer was made that is kept, and what apt computes again, where the cache is the
        app's alone: it travels with every build of the app."""
        if self._cache.shared:
            return
        with self._cache.locked():
            paths = [os.path.join(self._home, name) for name in ("pkgcache.bin", "srcpkgcache.bin")]
            for path in (*paths, *(package.archive for package in packages)):
                if path.startswith(self._home + "/") and os.path.exists(path):
                    os.remove(path)

    def _plan(self, packages: Sequence[str], alone: Sequence[str], asked_at: Callable[[str], str]) -> dict[str, str]:
        """Path of each archive that is wanted → "SHA256:…"; "" for a .deb of the app."""
        empty = os.path.join(self._home, "none")
        os.makedirs(os.path.join(empty, "partial"), exist_ok=True)
        # With the real directory, apt would leave out what it finds there by name and size.
        options = ["-o", f"Dir::Cache::archives={empty}/", "--print-uris", "-qq", "-y"]
        planned: dict[str, str] = {}
        for command, names in (("install", self._without_held(packages)), ("download", alone)):
            if not names:
                continue
            ran = self._apt("apt-get", command, *options, *names)
            if ran.code:  # once more, for what -qq leaves out
                told = self._apt("apt-get", command, "--simulate", "-y", *names)
                explain(told.output or ran.output, names, self._names, asked_at)
            for match in _URI.finditer(ran.output):
                # What lies on this machine, a .deb of the app or a source of the image, is used where it is.
                here = match["uri"].startswith("file:")
                path = unquote(match["uri"][5:]) if here else os.path.join(self._home, "archives", match["file"])
                planned[path] = match["hash"]
        return planned

    def _download(
        self, packages: Sequence[str], alone: Sequence[str], planned: dict[str, str], asked_at: Callable[[str], str]
    ) -> dict[str, str]:
        output = self._get(packages, alone, asked_at, retry=True)
        if output is None:
            note("The lists of packages name files that are no longer there: fetching them again.")
            self._update(force=True)
            planned = self._plan(packages, alone, asked_at)
            output = self._get(packages, alone, asked_at, retry=False)
        for path, promised in planned.items():
            if not self._has(path, promised):
                fail(
                    "apt.checksum-mismatch",
                    f"{os.path.basename(path)} is not what the signed list of packages promises.",
                    found=f"promised: {promised or 'no checksum'}\n{output}",
                    fix="A proxy or a mirror between here and Debian changes packages: ask who runs it; build again.",
                )
        return planned

    def _get(
        self, packages: Sequence[str], alone: Sequence[str], asked_at: Callable[[str], str], *, retry: bool
    ) -> str | None:
        """What apt-get says while it downloads; None when ``retry`` and a file is no longer there."""
        said = ""
        archives = os.path.join(self._home, "archives")
        for command, names in ((["install", "--download-only"], self._without_held(packages)), (["download"], alone)):
            if not names:
                continue
            ran = self._apt("apt-get", *command, "-y", *names, cwd=archives)
            if ran.code and retry and re.search(r"\b404\b", ran.output):
                return None
            if ran.code:
                explain(ran.output, names, self._names, asked_at)
            said += ran.tail
        return said

    def _without_held(self, packages: Sequence[str]) -> list[str]:
        """What apt-get is to be asked for: a package that the images must have as it is would make it refuse."""
        return [name for name in packages if name not in self._held]

    def _has(self, path: str, promised: str) -> bool:
        if not os.path.exists(path):
            return False
        algorithm, _, hexdigest = promised.partition(":")
        cached = path.startswith(self._home + "/")
        if (cached or promised) and _hash(path, algorithm.lower()) != hexdigest.lower():
            if cached:
                note(f"{os.path.basename(path)} in the cache is damaged: fetching it again.")
                os.remove(path)
            return False
        if cached:
            os.utime(path)
        return True

    def _describe(self, path: str, promised: str) -> Package:
        fields = ("Package", "Version", "Architecture")
        ran = run(["dpkg-deb", "-f", path, *fields], env=self._env, cwd=self._home, show=None)
        if ran.code:
            fail(
                "apt.bad-package",
                f"{os.path.basename(path)} is no Debian package.",
                found=ran.tail,
                fix="Name a package that is whole: dpkg-deb -I FILE shows what is in it.",
            )
        values = dict(line.split(": ", 1) for line in ran.output.splitlines() if ": " in line)
        name, version, arch = (values.get(field, "") for field in fields)
        return Package(name, version, arch, path, promised.partition(":")[2])

    def _names(self) -> list[str]:
        return self._apt("apt-cache", "pkgnames").output.split()

    def _update(self, *, force: bool = False) -> None:
        """Fetches the lists of packages if they are older than a day; older ones do where there is no network."""
        stamp = os.path.join(self._home, "updated")
        age = time.time() - os.stat(stamp).st_mtime if os.path.exists(stamp) else None
        if age is not None and age < FRESH and not force:
            return
        note("Fetching the lists of Debian packages.")
        ran = self._apt("apt-get", "update", "--error-on=any")
        if not ran.code:
            write_file(stamp, "")
            self._trim()
            return
        if age is None or force:
            fail_offline(ran.output)
            explain(ran.output, [], list, str)
        reason = next((line for line in ran.output.splitlines() if line.startswith(("E:", "W:"))), "")
        warn(
            f"The lists of Debian packages could not be renewed, {int(age // 3600)} hours old ones are used.\n{reason}"
        )

    def _trim(self) -> None:
        """Removes archives that no build used for a month."""
        with os.scandir(os.path.join(self._home, "archives")) as entries:
            old = [entry.path for entry in entries if entry.is_file() and time.time() - entry.stat().st_mtime > UNUSED]
        for path in old:
            os.remove(path)

    def _apt(self, program: str, *arguments: str, cwd: str = "") -> Ran:
        if shutil.which(program, path=self._env.get("PATH")) is None:
            fail(
                "apt.unavailable",
                "The build image has no apt-get, which fetches Debian packages.",
                found=f"no {program} on PATH={self._env.get('PATH', '')}",
                fix="Use a builder on Debian or Ubuntu, such as pylife's default builder.",
            )
        return run([program, "-c", self._config, *arguments], env=self._env, cwd=cwd or self._home, show=None)

    def _configure(self, status: str) -> str:
        """Writes apt's configuration; its path. Nothing of the image is written to."""
        home = self._home
        for folder in ("lists/partial", "archives/partial", "log"):
            os.makedirs(os.path.join(home, folder), exist_ok=True)
        name = f"status-{digest([status.encode()])[:16]}"
        if not os.path.exists(os.path.join(home, name)):
            write_file(os.path.join(home, name), status)
        certificates = self._env.get("SSL_CERT_FILE", "")
        lines = [
            f'Dir::State "{home}/";',
            f'Dir::State::lists "{home}/lists/";',
            f'Dir::State::status "{home}/{name}";',
            f'Dir::State::extended_states "{home}/extended_states";',
            f'Dir::Cache "{home}/";',
            f'Dir::Cache::archives "{home}/archives/";',
            f'Dir::Cache::pkgcache "{home}/pkgcache.bin";',
            f'Dir::Cache::srcpkgcache "{home}/srcpkgcache.bin";',
            f'Dir::Log "{home}/log/";',
            'APT::Install-Recommends "false";',
            'APT::Install-Suggests "false";',
            'APT::Get::AllowUnauthenticated "false";',
            'APT::Sandbox::User "";',
            'APT::Keep-Downloaded-Packages "true";',
            'APT::Update::Post-Invoke-Success "";',
            'Acquire::Languages "none";',
            'Acquire::Retries "1";',
            'Acquire::ForceHash "SHA256";',  # --print-uris names the MD5 sum otherwise
            'Debug::NoLocking "true";',  # the cache's own lock covers more than apt's
            *([f'Acquire::https::CaInfo "{certificates}";'] if certificates else []),
            "#clear APT::Update::Pre-Invoke;",
            "#clear APT::Update::Post-Invoke;",
            "#clear APT::Update::Post-Invoke-Success;",
        ]
        path = os.path.join(home, f"{name}.conf")
        write_file(path, "\n".join(lines) + "\n")
        return path


def open_apt(context: Build, *, complete: bool = False) -> Apt:
    """apt-get with a cache of its own: shared between apps where there is a place for that.

    ``complete`` counts on no package of the run image that is not essential.
    """
    cache = open_cache(context, "apt", {"distro": _distro(), "arch": os.uname().machine, "format": "1"})
    return Apt(cache, context, complete)


def _distro() -> str:
    with open("/etc/os-release", encoding="utf-8") as file:
        fields = dict(line.strip().partition("=")[::2] for line in file)
    return f"{fields.get('ID', 'linux')}{fields.get('VERSION_ID', '')}".replace('"', "")


def _hash(path: str, algorithm: str) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm or "sha256").hexdigest()
