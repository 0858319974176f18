"""The same pipeline on a root filesystem from outside: a tiny one of this machine's programs, in the sandbox."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from classic import write_buildpack

PROGRAMS = ("bash", "cat", "ls", "env", "touch", "sleep", "id")

BUILD = """
import json, sys
from pathlib import Path
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.phases.inputs import Limits
from lifecycle.phases.layout import Owner
from lifecycle.phases.runner import SandboxRunner
from lifecycle.sandbox import Isolation, Sandbox, enter, probe
from lifecycle.slug.buildpack import ClassicBuildpack
from lifecycle.slug.moments import Line
from lifecycle.slug.paths import Paths
from lifecycle.slug.pipeline import SlugInputs, compile_slug

class Journal:
    lines = []
    def tell(self, moment):
        if isinstance(moment, Line):
            self.lines.append(moment.text)

place = Path(sys.argv[1])
rung = probe(Isolation(sys.argv[2]), place)
enter(rung)
with Sandbox(rung) as sandbox:
    root = BuildRoot(place / "root")
    owner = Owner(2000, 2000, rung.ids != "single")
    runner = SandboxRunner(sandbox, root.path, owner, Limits())
    buildpacks = tuple(ClassicBuildpack(name[3:], f"/tmp/buildpacks/{name}") for name in root.names("/tmp/buildpacks"))
    for inside in ("/app", "/tmp/build", "/tmp/cache"):
        root.make_dirs(inside, owner=owner.chown)
    inputs = SlugInputs(buildpacks, "multi", {"KEY": "secret"}, "heroku-24")
    answer = {}
    try:
        compiled = compile_slug(inputs, root, runner, Paths(), owner.chown, Journal())
        answer["types"] = dict(compiled.types.commands)
    except PylifeError as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps({**answer, "lines": Journal.lines}))
"""


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A root filesystem with bash and little more."""
    root = Path(tempfile.mkdtemp(prefix="pylife-slug-root-"))
    for name in ("tmp", "etc", "usr/bin", "proc", "dev"):
        (root / name).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    root.chmod(0o755)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/bash\nslug:x:2000:2000::/app:/bin/bash\n")
    for name in PROGRAMS:
        path = shutil.which(name)
        assert path is not None, f"{name} is missing on this machine"
        shutil.copy(path, root / "usr/bin" / name)
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+)\s+\(0x", said):
            (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library.lstrip("/"))
    yield root
    shutil.rmtree(root)


@pytest.fixture(params=["mountns", "chroot"])
def place(request: pytest.FixtureRequest, template: Path) -> Iterator[tuple[Path, str]]:
    """A directory with a fresh ``root``, and the isolation to build with."""
    if os.geteuid() != 0:
        pytest.skip(f"{request.param} needs root")
    made = Path(tempfile.mkdtemp(prefix="pylife-slug-build-"))
    made.chmod(0o755)
    shutil.copytree(template, made / "root", symlinks=True)
    (made / "root/tmp").chmod(0o1777)
    yield made, request.param
    shutil.rmtree(made)


def build(place: tuple[Path, str]) -> dict[str, object]:
    command = [sys.executable, "-c", BUILD, str(place[0]), place[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_app_is_built_in_the_sandbox_as_the_builds_user(place: tuple[Path, str]) -> None:
    root = place[0] / "root"
    write_buildpack(
        root / "tmp/buildpacks/00_one",
        {
            "detect": "echo One",
            "compile": 'id -u; ls /; [ -z "$KEY" ] && cat "$3/KEY"; echo; echo "export TOOL=t" >"${0%/bin/*}/export"',
        },
    )
    write_buildpack(
        root / "tmp/buildpacks/01_two",
        {
            "detect": "echo Two",
            "compile": 'echo "$TOOL $HOME $STACK"; touch "$1/made" "$2/kept"; sleep 300 & true',
            "release": "echo 'default_process_types: {web: serve}'",
        },
        mode=0o644,
    )
    os.chown(root / "tmp/buildpacks/00_one", 2000, 2000)
    answer = build(place)
    lines = answer["lines"]
    assert isinstance(lines, list)
    assert lines[0] == "2000"
    assert set(lines[1:-2]) >= {"app", "bin", "etc", "tmp", "usr"}
    assert "home" not in lines  # nothing of the host
    assert lines[-2:] == ["secret", "t /app heroku-24"]
    assert answer["types"] == {"web": "serve"}
    assert (root / "app/made").stat().st_uid == 2000
    assert (root / "tmp/cache/kept").exists()


def test_failure_in_the_sandbox_is_the_same_error(place: tuple[Path, str]) -> None:
    write_buildpack(place[0] / "root/tmp/buildpacks/00_one", {"detect": "echo One", "compile": "exit 9"})
    assert "CompileFailed: The One app could not be compiled: bin/compile of the buildpack one exited with 9" in str(
        build(place)["error"]
    )


def test_image_without_bash_says_so(place: tuple[Path, str]) -> None:
    (place[0] / "root/usr/bin/bash").unlink()
    write_buildpack(place[0] / "root/tmp/buildpacks/00_one", {"detect": "", "compile": ""})
    assert str(build(place)["error"]).startswith("NoBash: Classic buildpacks cannot be run")
