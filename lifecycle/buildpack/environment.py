"""The environment that a buildpack, or a process of the app image, starts with.

Values are what the files hold, byte for byte; a byte that is no UTF-8 is carried as a surrogate escape. The order in
which files and layers count is that of the official implementation where the specification's words differ.
Source: CNB buildpack.md, "Environment"; platform.md, "Build Image", "Operator-Defined Variables".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError

BUILD_PATHS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bin": ("PATH",),
        "lib": ("LD_LIBRARY_PATH", "LIBRARY_PATH"),
        "include": ("CPATH",),
        "pkgconfig": ("PKG_CONFIG_PATH",),
    }
)
LAUNCH_PATHS: Mapping[str, tuple[str, ...]] = MappingProxyType({"bin": ("PATH",), "lib": ("LD_LIBRARY_PATH",)})
PATH_VARIABLES = frozenset(name for names in BUILD_PATHS.values() for name in names)
_INHERITED = PATH_VARIABLES | {
    "CNB_STACK_ID",
    "HOSTNAME",
    "HOME",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
}
_NOT_AT_LAUNCH = ("CNB_LAYERS_DIR", "CNB_APP_DIR", "CNB_PROCESS_TYPE", "CNB_PLATFORM_API", "CNB_DEPRECATION_MODE")
_LAUNCH_DIRS = ("/cnb/process", "/cnb/lifecycle")


class BadEnvironmentFile(PylifeError):
    """A file in an env directory cannot become an environment variable."""

    code = "buildpack.bad-environment-file"
    exit_code = 52
    fix = "Remove or correct the named file: a variable's value must be text without NUL bytes."


class Rule(Enum):
    """What a file of an env directory does to its variable: the suffix of its name."""

    OVERRIDE = "override"
    APPEND = "append"
    PREPEND = "prepend"
    DEFAULT = "default"


_RULES = {rule.value: rule for rule in Rule}


@dataclass(frozen=True, slots=True)
class EnvFile:
    """One file of an env directory, decoded: variable ``name``, ``rule``, ``value``, ``delimiter`` beside it."""

    name: str
    rule: Rule
    value: str
    delimiter: str = ""

    def apply(self, old: str) -> str:
        """The new value of a variable whose value is ``old`` (empty counts as unset)."""
        match self.rule:
            case Rule.OVERRIDE:
                return self.value
            case Rule.DEFAULT:
                return old or self.value
            case Rule.APPEND:
                return f"{old}{self.delimiter}{self.value}" if old else self.value
            case Rule.PREPEND:
                return f"{self.value}{self.delimiter}{old}" if old else self.value


def read_env_dir(root: BuildRoot, inside: str, default: Rule = Rule.OVERRIDE) -> tuple[EnvFile, ...]:
    """The files of the env directory ``inside`` in byte order of their names; empty when it does not exist.

    A name without suffix follows ``default``; names with an unknown suffix, and directories, count for nothing.
    """
    values = _read_values(root, inside)
    files = []
    for file_name, value in values.items():
        name, dot, suffix = file_name.partition(".")
        rule = _RULES.get(suffix) if dot else default
        if rule is not None and name and "=" not in name:
            files.append(EnvFile(name, rule, value, values.get(f"{name}.delim", "")))
    return tuple(files)


def _read_values(root: BuildRoot, inside: str) -> dict[str, str]:
    values = {}
    for name in root.names(inside):
        place = f"{inside}/{name}"
        if root.is_dir(place):
            continue
        raw = root.read(place)
        if raw is None:
            raise BadEnvironmentFile(f"{place} cannot be read", why="it is a link to nothing", where=place)
        if b"\0" in raw:
            raise BadEnvironmentFile(f"{place} cannot become a variable", why="it holds a NUL byte", where=place)
        values[name] = os.fsdecode(raw)
    return values


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables as a value: each method returns a new environment."""

    variables: Mapping[str, str]

    @classmethod
    def inherited(cls, environ: Mapping[str, str]) -> Environment:
        """What buildpacks see of the environment that the lifecycle itself runs in."""
        return cls({name: value for name, value in sorted(environ.items()) if name in _INHERITED})

    @classmethod
    def for_launch(cls, container: Mapping[str, str]) -> Environment:
        """The container's environment without what belongs to the launcher."""
        kept = {name: value for name, value in container.items() if name not in _NOT_AT_LAUNCH}
        if "PATH" in kept:
            kept["PATH"] = ":".join(part for part in kept["PATH"].split(":") if part not in _LAUNCH_DIRS)
        return cls(kept)

    def with_variables(self, changes: Mapping[str, str]) -> Environment:
        """These variables set, whatever they were."""
        return Environment({**self.variables, **changes})

    def with_files(self, files: Iterable[EnvFile]) -> Environment:
        """The files applied, one after the other."""
        variables = dict(self.variables)
        for file in files:
            variables[file.name] = file.apply(variables.get(file.name, ""))
        return Environment(variables)

    def with_root_dirs(self, root: BuildRoot, layer: str, paths: Mapping[str, tuple[str, ...]]) -> Environment:
        """``bin``, ``lib``, … of the layer at inside path ``layer`` put in front of their variables."""
        variables = dict(self.variables)
        for directory, names in paths.items():
            place = f"{layer}/{directory}"
            if not root.exists(place):
                continue
            for name in names:
                old = variables.get(name, "")
                variables[name] = f"{place}:{old}" if old else place
        return Environment(variables)

    def after_build_layer(self, root: BuildRoot, layer: str) -> Environment:
        """What later buildpacks see once the build layer at inside path ``layer`` exists."""
        env = self.with_root_dirs(root, layer, BUILD_PATHS)
        env = env.with_files(read_env_dir(root, f"{layer}/env"))
        return env.with_files(read_env_dir(root, f"{layer}/env.build"))

    def with_platform(self, root: BuildRoot, platform_dir: str) -> Environment:
        """The user's variables from ``<platform>/env``: path variables are prepended to, all others set."""
        variables = dict(self.variables)
        for name, value in _read_values(root, f"{platform_dir}/env").items():
            if not name or "=" in name:
                continue
            old = variables.get(name, "")
            variables[name] = f"{value}:{old}" if name in PATH_VARIABLES and old else value
        return Environment(variables)

    def with_operator(self, root: BuildRoot, build_config_dir: str) -> Environment:
        """The operator's variables from ``<build-config>/env``; without a suffix they are defaults."""
        return self.with_files(read_env_dir(root, f"{build_config_dir}/env", Rule.DEFAULT))

    def __getitem__(self, name: str) -> str:
        return self.variables[name]

    def get(self, name: str) -> str:
        """The value of ``name``, empty when it is not set."""
        return self.variables.get(name, "")


def launch_environment(
    root: BuildRoot, container: Mapping[str, str], directories: Iterable[str], process_type: str = ""
) -> Environment:
    """What a process of the app image starts with, before any exec.d: the twin of what the launcher does.

    ``directories`` are the inside paths of the buildpacks' layer directories (``/layers/a_b``) in build order. All
    layers' root directories of a buildpack count before any of its env files.
    Source: CNB platform.md, "Launch", "Environment".
    """
    env = Environment.for_launch(container)
    for directory in directories:
        layers = [f"{directory}/{name}" for name in root.names(directory) if _is_own_dir(root, f"{directory}/{name}")]
        for layer in layers:
            env = env.with_root_dirs(root, layer, LAUNCH_PATHS)
        for layer in layers:
            env = env.with_files(read_env_dir(root, f"{layer}/env"))
            env = env.with_files(read_env_dir(root, f"{layer}/env.launch"))
            if process_type:
                env = env.with_files(read_env_dir(root, f"{layer}/env.launch/{process_type}"))
    return env


def _is_own_dir(root: BuildRoot, inside: str) -> bool:
    """True for a directory, not for a link to one: the launcher does not take links for layers."""
    place = root.host(inside, follow=False)
    return os.path.isdir(place) and not os.path.islink(place)
