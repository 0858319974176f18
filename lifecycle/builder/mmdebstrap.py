"""mmdebstrap as a process: a root filesystem of Debian packages as a tar stream, from every rung.

Root, with or without the right to mount, and root of a user namespace with many ids run it as it is. With a single id
nothing can be owned by anybody else, so fakeroot keeps the books instead. All ways give the same tree.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, cast

from lifecycle.archive import EPOCH_1980
from lifecycle.builder.definition import Kind, StackDefinition
from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink, Step

MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
Mode = Literal["root", "unshare", "fakechroot"]

_PASSED = ("HOME", "USER", "LOGNAME", "TMPDIR")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_SEPARATOR = re.compile(r"\n|,(?![^\[\]]*\])")  # not the commas inside a source line's [options]
_NEW = re.compile(r"\d+ upgraded, (\d+) newly installed")


class MissingTool(PylifeError):
    """A program that makes root filesystems is not installed."""

    code = "stack.missing-tool"
    fix = "Install it: sudo apt-get install mmdebstrap debian-archive-keyring"


class SingleId(PylifeError):
    """This user has only one id, and what could stand in for more is not installed."""

    code = "stack.single-id"
    fix = (
        "Either grant ids (sudo apt-get install uidmap; sudo usermod --add-subuids 100000-165535 "
        "--add-subgids 100000-165535 $USER) or install what does without: sudo apt-get install fakechroot fakeroot"
    )


class UnreachableMirror(PylifeError):
    """The Debian packages could not be downloaded."""

    code = "stack.unreachable-mirror"
    fix = "Check the network and http_proxy/https_proxy, or name a mirror of Debian: PYLIFE_DEBIAN_MIRROR=URL"


class UntrustedMirror(PylifeError):
    """The package lists are not signed by a key that is trusted here."""

    code = "stack.untrusted-mirror"
    fix = "Install Debian's keys: sudo apt-get install debian-archive-keyring"


class UnknownPackage(PylifeError):
    """A stack.toml names a package that the suite does not have."""

    code = "stack.unknown-package"
    fix = "Correct the name under [build] or [run] in the stack.toml: `apt-cache search WORD` on Debian finds it."


class BootstrapFailed(PylifeError):
    """mmdebstrap stopped with an error of another kind."""

    code = "stack.bootstrap-failed"
    fix = "Read its last lines above; free some disk space if it ran out (TMPDIR says where it works), then try again."


def mapped_ids(uid_map: str) -> int:
    """How many user ids a /proc/self/uid_map grants."""
    return sum(int(line.split()[2]) for line in uid_map.splitlines() if line.strip())


def choose_mode() -> Mode:
    """How mmdebstrap can work in this process's namespaces; raises MissingTool or SingleId."""
    if not shutil.which("mmdebstrap", path=_path()):
        raise MissingTool("The program mmdebstrap, which makes stacks from Debian packages, is not installed")
    if not MERGED_USR.is_dir():
        raise MissingTool("The mmdebstrap that is installed is too old", why=f"it has no {MERGED_USR}")
    root = os.geteuid() == 0
    if root and mapped_ids(Path("/proc/self/uid_map").read_text()) > 1000:
        return "root"
    if not root and _has_subids():
        return "unshare"
    if all(shutil.which(tool, path=_path()) for tool in ("fakechroot", "fakeroot", "unshare")):
        return "fakechroot"
    raise SingleId(
        "A stack cannot be made by this user",
        why="files of a system belong to several users, and there are neither ids for them nor fakechroot and fakeroot",
    )


def _has_subids() -> bool:
    import pwd

    if not shutil.which("newuidmap", path=_path()):
        return False
    names = {str(os.getuid())}
    with suppress(KeyError):
        names.add(pwd.getpwuid(os.getuid()).pw_name)

    def granted(file: str) -> bool:
        with suppress(OSError):
            return any(line.split(":")[0] in names for line in Path(file).read_text().splitlines())
        return False

    return granted("/etc/subuid") and granted("/etc/subgid")


def command(stack: StackDefinition, kind: Kind, mode: Mode, mirror: str = "") -> list[str]:
    """The command line that writes the tar of the root filesystem to its standard output."""
    image = stack.image(kind)
    argv = ["mmdebstrap", f"--mode={mode}", "--variant=essential", "--format=tar", "--verbose"]
    if mode == "fakechroot" and os.geteuid() == 0:  # fakeroot must not find itself to be root already
        argv = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *argv]
    argv += [f"--components={','.join(stack.components)}", f"--hook-dir={MERGED_USR}"]
    argv += ["--aptopt=APT::Install-Recommends false", "--dpkgopt=force-unsafe-io"]
    argv += [f"--dpkgopt=path-exclude={path}" for path in stack.exclude]
    argv += [f"--dpkgopt=path-include={path}" for path in stack.include]
    argv += [f"--include={','.join(('usr-is-merged', *image.packages))}"]
    argv += [f'--customize-hook=chroot "$1" /bin/sh -c {shlex.quote(line)}' for line in image.commands]
    argv += [stack.suite, "-"]
    return argv + [source.strip() for source in _SEPARATOR.split(mirror or stack.mirror) if source.strip()]


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """The variables mmdebstrap sees: proxies and places pass through, everything that could change the result not."""
    env = {key: outer[key] for key in _PASSED if key in outer}
    env |= {key: value for key, value in outer.items() if key.lower() in _PROXIES}
    # fakeroot takes a chown that is not permitted for granted, but not one to an id that the namespace lacks
    fixed = {"LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(EPOCH_1980), "FAKEROOTDONTTRYCHOWN": "1"}
    return env | fixed | {"PATH": _path()}


def _path() -> str:
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"


class Running:
    """The mmdebstraps of one act: whoever gives up stops them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: list[subprocess.Popen[bytes]] = []
        self._stopped = False

    def add(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._going.append(process)
        if self._stopped:
            self.hang_up(process)

    def stop(self) -> None:
        """Tell every one of them to end, also those that are yet to come; does not wait."""
        self._stopped = True
        for process in tuple(self._going):
            self.hang_up(process)

    def hang_up(self, process: subprocess.Popen[bytes]) -> None:
        """Ask a process and its children to end; once only, as a second signal would end its cleaning up."""
        with self._lock:
            if process not in self._going:
                return
            self._going.remove(process)
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


@contextmanager
def bootstrap(
    stack: StackDefinition, kind: Kind, sink: Sink, step: Step, mirror: str = "", running: Running | None = None
) -> Iterator[BinaryIO]:
    """The tar stream of a new root filesystem; the process is over, and was successful, when the block ends.

    Every line it writes becomes a debug message, and the packages it sets up the progress of the step. Raises one of
    this module's errors.
    """
    mode = choose_mode()
    if not mirror and not stack.mirror and stack.distro[0] == "debian" and not KEYRING.exists():
        raise UntrustedMirror("Debian's archive keys are not installed", why=f"there is no {KEYRING}")
    place = tempfile.mkdtemp(prefix="pylife-stack-")
    os.chmod(place, 0o755)  # apt downloads as a user of its own
    process = subprocess.Popen(
        command(stack, kind, mode, mirror),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(os.environ) | {"TMPDIR": place},
        umask=0o022,
        start_new_session=True,  # its clean-up hangs up its whole process group
        cwd="/",
    )
    running = running or Running()
    running.add(process)
    log = _Log(sink, step)
    reader = threading.Thread(target=log.read, args=(process.stderr,), daemon=True)
    reader.start()
    stdout = cast(BinaryIO, process.stdout)
    try:
        yield stdout
        while stdout.read(1 << 16):  # what pads the archive: a closed pipe would kill the writer
            pass
    except BaseException as error:
        culprit = isinstance(error, Exception) and _failed(process)  # else it waits for a reader: we failed, not it
        running.hang_up(process)
        stdout.close()
        _finish(process)
        reader.join(10)
        if culprit:
            raise log.error() from error
        raise
    else:
        code = process.wait()
        reader.join()
        stdout.close()
        if code:
            raise log.error()
    finally:
        _sweep(process, place)


def _sweep(process: subprocess.Popen[bytes], place: str) -> None:
    """Remove what is left of an ended process: children that did not listen, and files that they wrote meanwhile."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    subprocess.run(["rm", "-rf", "--one-file-system", place], check=False, stderr=subprocess.DEVNULL)


def _failed(process: subprocess.Popen[bytes]) -> bool:
    """True when the process ended badly by itself."""
    try:
        return process.wait(2) != 0
    except subprocess.TimeoutExpired:
        return False


def _finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was told to end: it has the time to remove its tree."""
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _Log:
    """What mmdebstrap wrote: shown as it comes, counted, and the end of it kept for the error."""

    def __init__(self, sink: Sink, step: Step) -> None:
        self._sink, self._step = sink, step
        self._tail: deque[str] = deque(maxlen=25)
        self._faults: list[str] = []
        self._done = 0
        self._total: int | None = None

    def read(self, stream: BinaryIO) -> None:
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip()
            if not line:
                continue
            self._tail.append(line)
            if line.startswith(("E:", "Err:", "tar:", "dpkg: error")):
                self._faults.append(line)
            self._count(line)
            self._sink.emit(Message(f"{self._step.name}: {line}", "debug"))
        stream.close()

    def _count(self, line: str) -> None:
        if line.startswith("Setting up "):
            self._done += 1
            self._step.progress(self._done, self._total, "packages")
        elif line.startswith("I: installing remaining packages"):
            self._total = 0
        elif self._total == 0 and (found := _NEW.match(line)):
            self._total = self._done + int(found[1])

    def error(self) -> PylifeError:
        """The error that the lines amount to."""
        text = "\n".join([*self._faults, *self._tail])
        details = "\n".join(self._tail)
        if missing := re.search(
            r"Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate", text
        ):
            name = missing[1] or missing[2]
            return UnknownPackage(f"There is no package {name} in this suite", details=details)
        for needle, kind, what in _CAUSES:
            if re.search(needle, text):
                why = next((line for line in self._faults if re.search(needle, line)), None)
                return kind(what, why=why, details=details)
        why = self._faults[-1] if self._faults else None
        return BootstrapFailed("mmdebstrap could not make the root filesystem", why=why, details=details)


_NETWORK = (
    r"(?i)(could not|failure) resolv|(could not|unable to) connect|connection (failed|refused|timed|reset)|"
    r"failed to fetch|no route to host|network is unreachable|proxy|does not have a release"
)
_CAUSES: tuple[tuple[str, type[PylifeError], str], ...] = (
    (r"No space left on device", BootstrapFailed, "The disk became full while a root filesystem was made"),
    (
        r"NO_PUBKEY|is not signed|signatures (couldn't|were invalid)",
        UntrustedMirror,
        "The package lists are not signed by a known key",
    ),
    (
        _NETWORK,
        UnreachableMirror,
        "The Debian packages could not be downloaded",
    ),
)
