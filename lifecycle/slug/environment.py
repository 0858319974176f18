"""Config variables and the environment of build processes: which variable is what, and where it goes.

Source: Heroku, "Buildpack API", "ENV_DIR"; BlueKing cnb-builder-shim (what of a pod's environment is no config
variable); herokuish, include/buildpack.bash (.env).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.paths import VARIABLES, Paths
from lifecycle.source.remotes import Remotes


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STEERING = frozenset(VARIABLES.values()) | _names(
    # what the platforms of the family give to a builder
    """
    CNB_REGISTRY_AUTH OUTPUT_IMAGE CNB_RUN_IMAGE SOURCE_GET_URL GIT_REVISION S3CMD_CONF BKREPO_CONF CACHE_PATH
    CACHE_GET_URL CACHE_SET_URL TAR_PATH PUT_PATH SOURCE_SET_URL SLUG_URL SLUG_GET_URL PILOT_SENTRY_DSN
    SLUG_SET_URL REQUIRED_BUILDPACKS PILOT_BUILDER_TIMEOUT CACHE_IMAGE USE_DOCKER_DAEMON DEV_MODE BUILDER_STORAGE
    BUILD_CACHE_URL DEIS_DEBUG SSH_CLIENT_KEY SSH_CLIENT_HOSTS SLUG_SIZE_LIMIT BUILDPACK_URL DOCKER_CONFIG_JSON
    STACK SOURCE_VERSION REQUEST_ID TRACE BUILDPACK_XTRACE CURL_CONNECT_TIMEOUT CURL_TIMEOUT
    """
)
_STEERING_PREFIXES = ("PYLIFE_", "CNB_", "HEROKUISH_", "KUBERNETES_", "BASH_FUNC_")
_STORAGE = _names("BUILDER_STORAGE TAR_PATH PUT_PATH")
_STORAGE_KEYS = _names(
    """
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_ENDPOINT_URL SLUG_BUCKET MINIO_BUCKET S3_ENDPOINT
    S3_FORCE_PATH_STYLE DEIS_MINIO_SERVICE_HOST DEIS_MINIO_SERVICE_PORT
    """
)
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_BUNDLES = _names("CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO PIP_CERT")
_PASSED_ON = _names("PATH LANG LANGUAGE LC_ALL LC_CTYPE TZ TERM TMPDIR SSL_CERT_FILE SSL_CERT_DIR").union(
    _BUNDLES, _PROXIES, map(str.upper, _PROXIES)
)
_SYSTEM = _PASSED_ON | _names("HOME HOSTNAME USER LOGNAME SHELL PWD OLDPWD SHLVL _ MAIL DEBIAN_FRONTEND container")
_TRACES = ("BUILDPACK_XTRACE", "TRACE", "DEIS_DEBUG")
_OWN = _names("HOME PATH STACK BASH_ENV ENV IFS")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

HOOK_FILTER = _names(
    """
    PATH CPATH CPPATH LD_PRELOAD LIBRARY_PATH LD_LIBRARY_PATH PYTHONHOME GIT_DIR LANG BUILD_DIR JAVA_OPTS
    JAVA_TOOL_OPTIONS
    """
)
"""What the app's own hooks do not get of its config variables: what would break the programs that they start.

Source: what the buildpacks of Python, Node.js and Java leave out when they import the env directory, together.
"""


class BadConfigVariable(PylifeError):
    """A config variable cannot be given to buildpacks."""

    code = "slug.bad-config-variable"
    exit_code = 2
    fix = "Rename or correct the variable: its name becomes a file's name, and its value may not hold NUL bytes."


class BadSshKey(PylifeError):
    """SSH_KEY holds no private key."""

    code = "slug.bad-ssh-key"
    exit_code = 2
    fix = "Set SSH_KEY to the private key in base64, on one line: `base64 -w0 < id_ed25519`."


def config_vars(environ: Mapping[str, str]) -> dict[str, str]:
    """The app's config variables among the variables of a builder's own environment (a pod's), sorted by name.

    What steers the builder, describes its system or says how the network is reached is none; nor are the keys of the
    object storage where the builder itself works on one.
    """
    own = _STEERING | _SYSTEM | (frozenset() if _STORAGE.isdisjoint(environ) else _STORAGE_KEYS)
    return {
        name: value
        for name, value in sorted(environ.items())
        if name not in own and not name.startswith(_STEERING_PREFIXES)
    }


def process_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What of a builder's own environment its processes get: PATH, locale, proxies (in both cases), certificates (the
    bundle of SSL_CERT_FILE for every program that was given no other), and whether every command is to be shown (TRACE,
    DEIS_DEBUG).
    """
    found = {name: value for name, value in sorted(environ.items()) if name in _PASSED_ON}
    for name in _PROXIES:
        if value := environ.get(name) or environ.get(name.upper()):
            found[name] = found[name.upper()] = value
    if bundle := environ.get("SSL_CERT_FILE"):  # the one that is widely known; pip, npm and git have their own
        found = {**dict.fromkeys(_BUNDLES, bundle), **found}
    if any(environ.get(name) for name in _TRACES):
        found["BUILDPACK_XTRACE"] = "1"
    return found


def write_env_dir(
    root: BuildRoot, inside: str, variables: Mapping[str, str], owner: tuple[int, int] | None = None
) -> None:
    """Make ``inside`` an env directory of exactly ``variables``: a file for each, its bytes the value.

    Files are for ``owner`` (uid, gid) alone. What is there and right stays. Raises BadConfigVariable.
    """
    for name, value in variables.items():
        if name in ("", ".", "..") or re.search(r"[/\0=]", name) or name.startswith("."):
            raise BadConfigVariable(f"The config variable {name!r} cannot be used", why="its name is no file's name")
        if "\0" in value:
            raise BadConfigVariable(f"The config variable {name} cannot be used", why="its value holds a NUL byte")
    root.make_dirs(inside, mode=0o700, owner=owner)
    for name in root.names(inside):
        if not name.startswith(".") and name not in variables and root.is_file(f"{inside}/{name}"):
            os.unlink(root.host(f"{inside}/{name}", follow=False))
    for name, value in variables.items():
        place, data = f"{inside}/{name}", os.fsencode(value)
        if not root.is_file(place) or root.read(place) != data:
            root.write(place, data, mode=0o600, owner=owner)


@contextmanager
def env_dir(
    root: BuildRoot, paths: Paths, variables: Mapping[str, str], owner: tuple[int, int] | None = None
) -> Iterator[str]:
    """Where the env directory of exactly ``variables`` is, as long as the block lasts: a container that is kept as an
    image does not keep them.

    It is ``paths.env``, unless that holds something or cannot be written: what is mounted there is read, but not the
    build's to change. Then it is one beside ``paths.build``.
    Source: deis slugbuilder, builder/build.sh (secret_dir, env_root); deis/builder, slugbuilderPod.
    """
    free = not root.names(paths.env) and os.access(root.host(paths.env), os.W_OK | os.X_OK)
    inside = paths.env if free else f"{paths.build}.env"
    if not free:
        _discard(root.host(inside, follow=False))  # what a build that was killed has left
    try:
        write_env_dir(root, inside, variables, owner)
        kept = os.open(root.host(inside), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield inside
        finally:
            for name in os.listdir(kept):  # by its descriptor: the build may have put a link in its place
                with suppress(OSError):
                    os.unlink(name, dir_fd=kept)
            os.close(kept)
    finally:
        if not free:
            _discard(root.host(inside, follow=False))


def _discard(place: str) -> None:
    """Remove the directory or link ``place``, if there is one."""
    if os.path.islink(place):
        os.unlink(place)
    shutil.rmtree(place, ignore_errors=True)


def read_env_dir(root: BuildRoot, inside: str) -> dict[str, str]:
    """The variables of the env directory ``inside``, sorted; a byte that is no UTF-8 is a surrogate escape.

    Hidden files and directories count for nothing: a mounted secret has such of its own. Raises BadConfigVariable.
    """
    found = {}
    try:
        for name in root.names(inside) if root.is_dir(inside) else ():
            if not name.startswith(".") and root.is_file(f"{inside}/{name}"):
                found[name] = os.fsdecode(root.read(f"{inside}/{name}") or b"")
    except BadFile as error:
        what = f"The config variables in {inside} cannot be used"
        fix = "Let the image's user (2000:2000) read the directory and its files, or run the container as root."
        raise BadConfigVariable(what, why=str(error), fix=fix) from error
    return found


@dataclass(frozen=True, slots=True)
class Dotenv:
    """A .env file; ``warnings`` name the lines that say nothing."""

    variables: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def parse_dotenv(raw: bytes) -> Dotenv:
    """The variables of a .env file: ``K=V``, ``export K=V``, ``K='V'``, ``K="V"``; ``#`` lines are comments.

    Nothing is expanded: ``$`` stands for itself. What a build must decide itself (HOME, PATH, STACK) is left out.
    """
    variables: dict[str, str] = {}
    warnings = []
    for number, line in enumerate(os.fsdecode(raw).removeprefix("\ufeff").split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = re.sub(r"^export\s+", "", text).partition("=")
        name = name.rstrip()
        if not equals or not _NAME.fullmatch(name) or "\0" in value:
            # not shown: it may be a line of a private key that was written over several
            warnings.append(f".env, line {number}: this is not NAME=VALUE on one line, and is left out.")
        elif name in _OWN:
            warnings.append(f".env, line {number}: {name} is for the builder to set, and is left out.")
        else:
            variables[name] = _unquoted(value.strip())
    return Dotenv(variables, tuple(warnings))


def _unquoted(value: str) -> str:
    if found := re.fullmatch(r"'([^']*)'(\s*#.*)?", value):
        return found[1]
    if found := re.fullmatch(r'"((?:[^"\\]|\\.)*)"(\s*#.*)?', value):
        return re.sub(r'\\(["\\$`])', r"\1", found[1])
    return value


def ssh_key(variables: Mapping[str, str]) -> bytes | None:
    """The private key in the config variable SSH_KEY (base64, or as it is), None without one. Raises BadSshKey."""
    text = variables.get("SSH_KEY", "").strip()
    if not text:
        return None
    if text.startswith("-----BEGIN "):
        return f"{text}\n".encode()
    from base64 import b64decode

    try:
        key = b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise BadSshKey("The config variable SSH_KEY cannot be used", why="it is no base64") from None
    if not key.startswith(b"-----BEGIN "):
        raise BadSshKey("The config variable SSH_KEY cannot be used", why="it holds no private key in PEM form")
    return key if key.endswith(b"\n") else key + b"\n"


def ssh_command(key_file: str) -> str:
    """GIT_SSH_COMMAND for a host that is known by nothing but this key."""
    return (
        f"ssh -i {shlex.quote(key_file)} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no "
        "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=20"
    )


def with_ssh_key(remotes: Remotes, variables: Mapping[str, str], directory: Path) -> Remotes:
    """``remotes`` by which git has the private key in the config variable SSH_KEY; as they are without one.

    The key is put into ``directory``, which is the caller's to remove. Raises BadSshKey.
    """
    key = ssh_key(variables)
    if key is None:
        return remotes
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / "ssh-key"
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(key)
    return replace(remotes, environment={**remotes.environment, "GIT_SSH_COMMAND": ssh_command(str(file))})
