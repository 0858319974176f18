"""Classic buildpacks wrapped as Cloud Native ones, alone and in a builder.toml."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from classic_buildpack import write_buildpack

from lifecycle.archive import Kind, Member
from lifecycle.builder import layers
from lifecycle.builder.config import BadBuilderFile, BuilderDefinition, load_builder
from lifecycle.builder.files import tree
from lifecycle.builder.share import shared
from lifecycle.builder.wrap import (
    LIFECYCLE_MODULES,
    SDK_MODULES,
    BadWrapping,
    NotClassic,
    is_classic,
    is_native,
    wrap,
    wrapped,
)

PYTHON = "/usr/bin/python3"
SCRIPTS = {"detect": "echo Parrot", "compile": "echo compiled"}
BUILDER = """
[[buildpacks]]
uri = "heroku-buildpack-parrot"
[[order]]
group = [{ id = "classic/parrot" }]
[build]
image = "tiny/build"
[[run.images]]
image = "tiny/run"
"""


@pytest.fixture
def classic(tmp_path: Path) -> Path:
    return write_buildpack(tmp_path / "heroku-buildpack-parrot", SCRIPTS)


def contents(top: Path) -> dict[str, tuple[int, bytes]]:
    """What a directory holds: mode and bytes of every file, by name."""
    files = (path for path in top.rglob("*") if path.is_file())
    return {str(path.relative_to(top)): (path.stat().st_mode & 0o777, path.read_bytes()) for path in files}


def descriptor(raw: bytes) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads(raw.decode())["buildpack"]
    return found


# -- what it is called -------------------------------------------------------------------------------------------


def test_its_directory_names_it_and_its_files_are_its_version(classic: Path) -> None:
    found = wrapped(classic)
    assert (found.id, found.name) == ("classic/parrot", "parrot")
    assert found.version.startswith("0.0.0+") and len(found.version) == 18
    before = found.version
    os.utime(classic / "bin/compile", (1, 1))
    assert wrapped(classic).version == before
    (classic / "bin/compile").write_text("#!/bin/bash\necho other\n")
    assert wrapped(classic).version != before


def test_what_is_given_and_what_its_own_descriptor_says_count(classic: Path) -> None:
    (classic / "buildpack.toml").write_text('[buildpack]\nname = "The Parrot"\n[publish.Ignore]\nfiles = ["test/"]\n')
    found = wrapped(classic, id="acme/bird", version="1.2.3")
    said = {"id": "acme/bird", "version": "1.2.3", "name": "The Parrot", "description": "A classic buildpack"}
    assert descriptor(found.descriptor) == {**said, "clear-env": True}
    assert wrapped(classic, name="Polly").name == "Polly"
    (classic / "buildpack.toml").write_text("this is no TOML")
    assert wrapped(classic).name == "parrot"


@pytest.mark.parametrize(("id", "version"), [("a b", ""), ("app", ""), ("a/b", "main"), ("a/b", "1.2")])
def test_an_id_or_version_that_no_buildpack_can_have_is_refused(classic: Path, id: str, version: str) -> None:
    with pytest.raises(BadWrapping, match=version or id):
        wrapped(classic, id=id, version=version)


@pytest.mark.parametrize(
    ("files", "native", "classical"),
    [
        (("bin/detect", "bin/compile"), False, True),
        (("bin/detect", "bin/compile", "buildpack.toml"), False, True),
        (("bin/detect", "bin/build", "buildpack.toml"), True, False),
        (("bin/detect", "bin/compile", "bin/build", "buildpack.toml"), True, False),
        (("buildpack.toml",), True, False),
        (("bin/detect",), False, False),
        ((), False, False),
    ],
)
def test_which_kind_of_buildpack_a_directory_holds(
    tmp_path: Path, files: tuple[str, ...], native: bool, classical: bool
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert (is_native(tmp_path), is_classic(tmp_path)) == (native, classical)


def test_what_is_no_classic_buildpack_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(NotClassic, match="no bin/detect and no bin/compile"):
        wrapped(tmp_path)
    write_buildpack(tmp_path / "native", {**SCRIPTS, "build": "true"})
    with pytest.raises(NotClassic, match="bin/build"):
        wrapped(tmp_path / "native")


# -- what is in it -----------------------------------------------------------------------------------------------


def test_wrapping_twice_gives_the_same_bytes(classic: Path, tmp_path: Path) -> None:
    assert contents(_wrapped_at(classic, tmp_path / "one")) == contents(_wrapped_at(classic, tmp_path / "two"))


def _wrapped_at(classic: Path, into: Path) -> Path:
    wrap(classic, into)
    return into


def test_links_stay_links_and_programs_can_be_run(classic: Path, tmp_path: Path) -> None:
    (classic / "bin/compile").chmod(0o644)
    (classic / "secret").symlink_to("/etc/passwd")
    (classic / "empty").mkdir()
    os.mkfifo(classic / "pipe")
    (classic / ".git").mkdir()
    into = _wrapped_at(classic, tmp_path / "into")
    assert (into / "classic/secret").readlink() == Path("/etc/passwd")
    assert (into / "classic/empty").is_dir() and not list(into.glob("classic/[.p]*"))
    for name in ("bin/detect", "bin/build", "classic/bin/detect", "classic/bin/compile"):
        assert os.access(into / name, os.X_OK), name


def test_only_pylifes_own_buildpacks_take_along_what_their_needs_name(classic: Path, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key").write_text("mine")
    (classic / "needs").write_text("../secrets\n")
    assert not any("key" in name for name in wrapped(classic).files)
    own = wrapped(shared("buildpacks") / "classic" / "python").files
    assert "classic/lib/pylife_sdk/output.py" in own


def test_the_adapter_runs_by_the_interpreter_alone_and_needs_all_that_it_has(classic: Path, tmp_path: Path) -> None:
    into = _wrapped_at(classic, tmp_path / "into")
    code = (
        f"import sys; sys.path.insert(0, {str(into / 'lib')!r})\n"
        "import pylife_adapter.detect, pylife_adapter.build\n"
        "from lifecycle.slug.release import parse_release\n"
        "assert parse_release(b'default_process_types: {web: \"a\"}', '').default_process_types == {'web': 'a'}\n"
        "print(*(module.__file__ for module in list(sys.modules.values()) if getattr(module, '__file__', None)))\n"
    )
    ran = subprocess.run([PYTHON, "-ISBc", code], cwd="/", env={}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    used = ran.stdout.split()
    foreign = [path for path in used if not path.startswith((f"{into}/", "/usr/lib/python3."))]
    assert foreign == []
    imported = {str(Path(path).relative_to(into / "lib")) for path in used if path.startswith(f"{into}/")}
    listed = {f"lifecycle/{name}.py" for name in LIFECYCLE_MODULES} | {f"pylife_sdk/{name}.py" for name in SDK_MODULES}
    assert listed <= imported, "nothing is copied that is not used"
    assert not any(name.endswith(".so") for name in tree(into))
    assert (into / "lib/yaml/LICENSE").is_file()


# -- in a builder ------------------------------------------------------------------------------------------------


def load(classic: Path, text: str = BUILDER) -> BuilderDefinition:
    (classic.parent / "builder.toml").write_text(text)
    return load_builder(classic.parent / "builder.toml")


def members(definition: BuilderDefinition) -> dict[str, Member]:
    return {os.fsdecode(member[0].name): member for member in layers.buildpack(definition.buildpacks[0])}


def test_a_builder_takes_a_classic_directory(classic: Path) -> None:
    (classic / "bin/compile").chmod(0o644)
    definition = load(classic)
    packed = definition.buildpacks[0]
    assert packed.buildpack.id == "classic/parrot" and packed.buildpack.clear_env
    assert definition.order[0][0].version == packed.buildpack.version
    found = members(definition)
    top = f"cnb/buildpacks/classic_parrot/{packed.buildpack.version}"
    assert found[f"{top}/buildpack.toml"][1] == wrapped(classic).descriptor
    entry, content = found[f"{top}/classic/bin/compile"]
    assert (entry.kind, entry.mode, content) == (Kind.FILE, 0o755, (classic / "bin/compile").read_bytes())
    assert found[f"{top}/bin/build"][0].mode == 0o755
    names = list(found)
    parents = [str(Path(name).parent) for name in names if name.startswith(f"{top}/")]
    assert all(names.index(parent) < position + 2 for position, parent in enumerate(parents)), "directories come first"


def test_a_builder_may_say_what_it_is_called(classic: Path) -> None:
    given = 'uri = "heroku-buildpack-parrot"\nid = "acme/bird"\nversion = "2.0.0"'
    text = BUILDER.replace('uri = "heroku-buildpack-parrot"', given).replace("classic/parrot", "acme/bird")
    assert str(load(classic, text).buildpacks[0].buildpack) == "acme/bird@2.0.0"
    with pytest.raises(BadWrapping, match=r"2\.0"):
        load(classic, text.replace('"2.0.0"', '"2.0"'))


def test_a_builders_key_follows_the_classic_buildpack(classic: Path) -> None:
    text = BUILDER.replace('uri = "heroku-buildpack-parrot"', 'uri = "heroku-buildpack-parrot"\nversion = "1.0.0"')
    key = load(classic, text).key()
    assert load(classic, text).key() == key
    (classic / "bin/compile").write_text("#!/bin/bash\necho other\n")
    assert load(classic, text).key() != key


def test_two_of_one_name_are_refused(classic: Path) -> None:
    with pytest.raises(BadBuilderFile, match="have one place"):
        load(classic, '[[buildpacks]]\nuri = "heroku-buildpack-parrot"\n' + BUILDER)
