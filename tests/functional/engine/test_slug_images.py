"""The slugbuilder and the slugrunner, made and started: as a platform's container engine starts them, and by pylife."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pylife_command import Pylife

from lifecycle.builder.slug import LINKS
from lifecycle.image import Image, Ports, StorePlace, load_image
from lifecycle.image.validate import validate
from lifecycle.oci import Reference
from lifecycle.store import LocalStore

pytestmark = [pytest.mark.functional, pytest.mark.timeout(1800)]

IMAGES = ("slugbuilder", "slugrunner")
MADE_OF = ("pylife/bookworm-build", "pylife/slug-build", "pylife/slug-run")


@pytest.fixture(scope="session")
def slug_stack(pylife: Pylife) -> Pylife:
    """pylife whose store has both images."""
    pylife("stack", "create", "slug", timeout=1800)
    return pylife


def image(pylife: Pylife, name: str) -> Image:
    found = load_image(StorePlace(Reference.parse(f"pylife/{name}:latest")), Ports(LocalStore(pylife.home / "store")))
    assert isinstance(found, Image)
    return found


def test_both_images_are_complete_and_share_what_holds_pylife(slug_stack: Pylife) -> None:
    builder, runner = (image(slug_stack, name) for name in IMAGES)
    for found in (builder, runner):
        assert not list(validate(found))
        assert (found.config.user, found.config.working_dir) == ("2000:2000", "/app")
        assert (found.config.env["STACK"], found.config.env["HOME"]) == ("heroku-22", "/app")
    assert builder.config.entrypoint == ("/builder/build.sh",)
    assert runner.config.entrypoint == ("/runner/init",)
    assert [layer.diff_id for layer in builder.layers[-2:]] == [layer.diff_id for layer in runner.layers[-2:]]
    assert sum(layer.descriptor.size for layer in runner.layers[-2:]) < 20_000_000
    assert runner.config.labels["io.buildpacks.rebasable"] == "true"


def test_a_second_time_they_are_found_and_elsewhere_they_are_the_same(slug_stack: Pylife, tmp_path: Path) -> None:
    digests = [image(slug_stack, name).digest for name in IMAGES]
    again = slug_stack("stack", "create", "slug")
    assert "Putting pylife" not in again.err
    (tmp_path / "home" / "store").mkdir(parents=True)
    for name in MADE_OF:
        slug_stack("copy", name, f"oci:{tmp_path / 'home' / 'store'}:{name}:latest")
    other = Pylife(tmp_path / "home")
    assert "Putting pylife" in other("stack", "create", "slug").err
    assert [image(other, name).digest for name in IMAGES] == digests


@pytest.mark.parametrize("name", IMAGES)
def test_pylife_starts_in_its_own_sandbox(slug_stack: Pylife, name: str) -> None:
    ref = f"pylife/{name}"
    for user in ("2000", "0"):
        assert slug_stack("run", "-u", user, "--entrypoint", "pylife", ref, "--", "--version").out.startswith("pylife ")
    script = (
        "id -un; pwd; echo $STACK; for program in bash curl git jq ssh python3 xz zstd; do command -v $program; done"
    )
    done = slug_stack("run", "--entrypoint", "bash", ref, "--", "-ec", script)
    assert done.out.splitlines()[:3] == ["slug", "/app", "heroku-22"]


@pytest.fixture(scope="module")
def loaded(
    slug_stack: Pylife, tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """Runs a command line in a container of an image as a cluster would: ``loaded("slugrunner", "bash", …)``."""
    podman, skopeo = tool("podman"), tool("skopeo")
    names = {name: f"localhost/pylife-test-{name}-{uuid.uuid4().hex[:8]}:latest" for name in IMAGES}
    for name, local in names.items():
        source = f"oci:{slug_stack.home / 'store'}:pylife/{name}:latest"
        subprocess.run([skopeo, "copy", "-q", source, f"containers-storage:{local}"], check=True)

    def run(name: str, *command: str, options: tuple[str, ...] = ()) -> str:
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
        words = [podman, "--runtime", "runc", "run", "--rm", "--net=host", *limits, *options, names[name], *command]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    yield run
    for local in names.values():
        subprocess.run([podman, "rmi", "-f", local], check=False, capture_output=True)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("user", ["2000", "0", "4711"])
def test_every_name_is_pylife_in_a_container_that_cannot_be_written_to(
    loaded: Callable[..., str], name: str, user: str
) -> None:
    options = ("--read-only", "--read-only-tmpfs=false", f"--user={user}", "--entrypoint=/bin/sh")
    script = "pylife --version; herokuish --help; for name in $*; do readlink $name; done"
    out = loaded(name, "-ec", script, "sh", *(f"/{link}" for link in LINKS), options=options).splitlines()
    assert out[0].startswith("pylife ")
    assert out[-len(LINKS) :] == ["/opt/pylife/bin/pylife"] * len(LINKS)


def test_the_slugbuilders_argument_may_be_a_program(loaded: Callable[..., str]) -> None:
    assert loaded("slugbuilder", "bash", "-c", "id -u; gcc -dumpversion; ls -d $HOME") == "2000\n12\n/app\n"


def test_byte_code_is_taken_as_it_is(loaded: Callable[..., str]) -> None:
    """Had it to be compiled again, nothing could be kept of it in /opt, and every start would cost a second."""
    code = (
        "import importlib.util as u, sys; sys.path.insert(0, '/opt/pylife/lib');"
        "names = ['lifecycle.cli.program', 'click', 'yaml', 'lifecycle.compat.slug'];"
        "print([open(u.find_spec(name).cached, 'rb').read(8)[4:] for name in names])"
    )
    assert loaded("slugrunner", "-c", code, options=("--entrypoint=python3",)).count(r"b'\x01\x00\x00\x00'") == 4
