"""A classic buildpack as a Cloud Native Buildpack that any lifecycle runs, on an image with bash and Python.

What the adapter (buildpacks/adapter) shares with pylife's own slug builds is copied from this installation when a
buildpack is wrapped, so that it is written once. Source: the discontinued cnb-shim, for the idea.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import lifecycle
from lifecycle.builder.files import CLASSIC, Files, ordered, tree, write_files
from lifecycle.builder.share import shared
from lifecycle.buildpack.descriptor import bad_id, bad_version
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.toml import dump

API = "0.10"
"""The Buildpack API of a wrapped buildpack: the oldest that names the distribution of the image, for STACK."""
LIFECYCLE_MODULES = (
    "__init__", "errors", "record", "slug/__init__", "slug/dialects", "slug/procfile", "slug/release", "slug/slices",
    "slug/yaml",
)  # fmt: skip
"""The modules of this package that the adapter imports; they import nothing but each other and PyYAML."""
SDK_MODULES = ("__init__", "context", "decisions", "launch", "layer", "output", "toml")
"""The modules of buildpacks/sdk that the adapter imports."""
_NEEDS = "needs"
_PREFIX = re.compile(r"^(heroku-)?buildpack-(?=.)")


class NotClassic(PylifeError):
    """A directory that is to be wrapped is no classic buildpack."""

    code = "builder.not-classic"
    fix = "Name a directory with bin/detect and bin/compile at its top, or a Cloud Native Buildpack (buildpack.toml)."


class BadWrapping(PylifeError):
    """A classic buildpack cannot be wrapped under that ID or version."""

    code = "builder.bad-wrapping"
    exit_code = 2
    fix = 'Give the buildpack an id of letters, digits, ".", "-" and "/", and a version such as 1.2.3.'


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A classic buildpack with what makes it a Cloud Native one: ``files`` are all of them."""

    id: str
    version: str
    name: str
    files: Files

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"

    @property
    def descriptor(self) -> bytes:
        """Its buildpack.toml."""
        content = self.files["buildpack.toml"]
        assert isinstance(content, bytes)
        return content


def is_native(directory: Path) -> bool:
    """Whether a Cloud Native Buildpack is there, or one that is made of others.

    A buildpack.toml alone does not tell: classic buildpacks have one for their own registry.
    """
    file = directory / "buildpack.toml"
    if not file.is_file():
        return False
    return (directory / "bin" / "build").exists() or not is_classic(directory)


def is_classic(directory: Path) -> bool:
    """Whether a classic buildpack is there."""
    programs = directory / "bin"
    return all((programs / name).is_file() for name in ("detect", "compile")) and not (programs / "build").exists()


def wrap(classic: Path, into: Path, *, id: str = "", version: str = "", name: str = "") -> Wrapped:
    """Make the new directory ``into`` the Cloud Native Buildpack; for the rest as ``wrapped``."""
    found = wrapped(classic, id=id, version=version, name=name)
    write_files(found.files, into)
    return found


def wrapped(classic: Path, *, id: str = "", version: str = "", name: str = "") -> Wrapped:
    """The classic buildpack in a directory, wrapped; nothing is written.

    Without ``id`` it is ``classic/NAME``, by the directory's name; without ``version`` 0.0.0 and a hash of its files;
    without ``name`` what its own buildpack.toml calls it, else NAME. Raises NotClassic, BadWrapping.
    """
    if not is_classic(classic):
        missing = [f"bin/{part}" for part in ("detect", "compile") if not (classic / "bin" / part).is_file()]
        why = f"it has no {' and no '.join(missing)}" if missing else "its bin/build makes it a Cloud Native Buildpack"
        raise NotClassic(f"{classic} is no classic buildpack", why=why, where=str(classic))
    own = classic_files(classic)
    short = re.sub(r"[^A-Za-z0-9.-]+", "-", _PREFIX.sub("", classic.resolve().name)).strip("-.") or "custom"
    id = id or f"classic/{short}"
    version = version or f"0.0.0+{_digest(own)[:12]}"
    for reason in (bad_id(id), bad_version(version)):
        if reason is not None:
            raise BadWrapping(f"{classic} cannot be wrapped", why=reason, where=str(classic))
    name = name or _own_name(classic) or short
    identity = f'"""Of which buildpack this is the adapter."""\n\nID, NAME = {id!r}, {name!r}\n'
    files: dict[str, Path | bytes] = {
        "buildpack.toml": _descriptor(id, version, name),
        "lib/pylife_adapter/identity.py": identity.encode(),
        CLASSIC: classic,
        **_adapter_files(),
        **{f"{CLASSIC}/{part}": path for part, path in own.items()},
    }
    return Wrapped(id, version, name, files)


def classic_files(directory: Path) -> dict[str, Path]:
    """The files of a classic buildpack. One of pylife's own is complete: the packages that it shares with others, which
    its file ``needs`` names relative to it, are in its own ``lib``."""
    found = tree(directory)
    ours = directory.resolve().is_relative_to(shared("buildpacks").resolve())
    if ours and (directory / _NEEDS).is_file():
        for line in (directory / _NEEDS).read_text().split():
            found |= {"lib": directory / line, **tree(directory / line, "lib/")}
    return found


def _adapter_files() -> dict[str, Path]:
    adapter, sdk = shared("buildpacks") / "adapter", shared("buildpacks") / "sdk" / "pylife_sdk"
    package = Path(lifecycle.__file__).resolve().parent
    return {
        **tree(adapter),
        **{f"lib/lifecycle/{name}.py": package / f"{name}.py" for name in LIFECYCLE_MODULES},
        **{f"lib/pylife_sdk/{name}.py": sdk / f"{name}.py" for name in SDK_MODULES},
        **_yaml_files(),
    }


def _yaml_files() -> dict[str, Path]:
    """PyYAML as it is installed here, without what is compiled; its licence where the installation has that."""
    import importlib.metadata  # ten milliseconds, which only wrapping shall cost

    import yaml

    found = {f"lib/yaml/{path.name}": path for path in Path(yaml.__file__).parent.glob("*.py")}
    try:
        listed = importlib.metadata.files("pyyaml") or ()
    except importlib.metadata.PackageNotFoundError:
        listed = ()
    for file in listed:
        if file.name == "LICENSE":
            found["lib/yaml/LICENSE"] = Path(str(file.locate()))
    return found


def _descriptor(id: str, version: str, name: str) -> bytes:
    """The buildpack.toml. The environment is cleared: a classic buildpack finds the user's variables in ENV_DIR."""
    about = {"id": id, "version": version, "name": name, "description": "A classic buildpack", "clear-env": True}
    return dump({"api": API, "buildpack": about, "targets": [{"os": "linux"}]})


def _own_name(classic: Path) -> str:
    import tomllib

    try:
        info = tomllib.loads((classic / "buildpack.toml").read_text()).get("buildpack", {})
    except (OSError, ValueError):  # it is for another registry than ours: what it says is not ours to judge
        return ""
    name = info.get("name", "") if isinstance(info, dict) else ""
    return name if isinstance(name, str) else ""


def _digest(files: dict[str, Path]) -> str:
    """A hash of the files: names, who may run them, links and contents."""
    total = hashlib.sha256()
    for name in ordered(files):
        path = files[name]
        status = os.lstat(path)
        total.update(f"{name}\0{status.st_mode & 0o170111}\0".encode(errors="surrogateescape"))
        if path.is_symlink():
            total.update(os.fsencode(os.readlink(path)))
        elif path.is_file():
            total.update(b"%d\0" % status.st_size + path.read_bytes())
    return total.hexdigest()
