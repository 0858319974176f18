"""samples/slug-classic, the whole way: to a slug, run from standard input, to an image, rebased, and back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback import free_port, page
from pylife_command import REPOSITORY, Pylife

pytestmark = pytest.mark.functional

Start = Callable[..., "subprocess.Popen[bytes]"]
SAMPLE = REPOSITORY / "samples" / "slug-classic"
IMAGE = "test-slug-sample"


@dataclass(frozen=True)
class Built:
    """The sample's slug, what building it said, and the cache that it left."""

    slug: Path
    log: str
    cache: Path


@pytest.fixture(scope="module")
def built(pylife: Pylife, tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("light")
    slug, cache = place / "light.tgz", place / "cache"
    done = pylife("slug", "build", "--app", SAMPLE, "-o", slug, "--cache", cache)
    return Built(slug, done.err, cache)


@pytest.fixture(scope="module")
def image(pylife: Pylife, built: Built) -> Iterator[str]:
    """The sample as an image, made with the cache of the slug."""
    pylife("build", "--slug", "--app", SAMPLE, "--image", IMAGE, "--cache", built.cache)
    yield IMAGE
    pylife("rmi", IMAGE)


def layers(pylife: Pylife, name: str) -> list[str]:
    """The diffIDs of an image's layers."""
    found: list[str] = [layer["diff_id"] for layer in pylife("inspect", name, "--json").json["layers"]]
    return found


def app_layers(pylife: Pylife, name: str) -> list[str]:
    """The diffIDs of the layers that hold the app's directory, its slices first."""
    found = pylife("inspect", name, "--json").json["layers"]
    return [layer["diff_id"] for layer in found if layer["created_by"].startswith("Application ")]


def test_says_what_it_does_and_leaves_out_what_slugignore_names(built: Built) -> None:
    for text in (
        "Removed 1 file that .slugignore names",
        "Detected: Python, by the buildpack python",
        "Running the app's post-compile hook, bin/post-compile",
        "Processes: release, web, worker (Procfile)",
    ):
        assert text in built.log.splitlines()
    names = subprocess.run(["tar", "tzf", built.slug], check=True, capture_output=True, text=True).stdout.splitlines()
    assert "./app.py" in names and "./.release" in names
    assert not [name for name in names if name.startswith("./notes")]
    assert names == sorted(names) or names[0] == "./"


def test_a_second_build_says_unchanged_sends_nothing_and_stores_no_cache(pylife: Pylife, built: Built) -> None:
    kept = [(file, file.stat().st_mtime_ns, file.stat().st_ino) for file in (built.slug, built.cache / "cache.tgz")]
    again = pylife("slug", "build", "--app", SAMPLE, "-o", built.slug, "--cache", built.cache, "--json")
    assert "has this very slug already" in again.err
    assert "Cache: unchanged, nothing stored" in again.err
    assert (again.json["sent"], again.json["cache"]) == ([], "unchanged")
    assert again.json["digest"] in built.log
    assert [(file, file.stat().st_mtime_ns, file.stat().st_ino) for file, *_ in kept] == kept


def test_without_its_cache_it_has_the_same_bytes_at_another_place(pylife: Pylife, built: Built, sample: Path) -> None:
    assert pylife("slug", "build", "--app", sample, "--no-cache").raw == built.slug.read_bytes()


def test_runs_from_standard_input(start: Start, built: Built) -> None:
    port = free_port()
    env = ("-e", "LIGHT=Hoher Weg", "-p", str(port))
    process = start("slug", "run", "-", *env, "start", "web", stdin=built.slug.read_bytes())
    shown = page(port, process)
    assert "Hoher Weg" in shown
    assert "three long flashes" in shown, ".profile was not read"
    assert "left ashore by .slugignore" in shown
    process.terminate()
    assert process.wait(timeout=20) in (0, 143)


def test_release_phase_fails_with_the_processs_own_code(pylife: Pylife, built: Built) -> None:
    done = pylife("slug", "run", built.slug, "start", "release", code=1)
    assert "LIGHT is not set" in done.err


def test_runs_as_an_image_by_process_type(pylife: Pylife, image: str, start: Start) -> None:
    port = free_port()
    assert "Alte Weser" in page(port, start("run", image, "-p", str(port), "-e", "LIGHT=Alte Weser"))
    assert "Elbe 1 may be lit" in pylife("run", image, "--process", "release", "-e", "LIGHT=Elbe 1").out
    worker = start("run", image, "--process", "worker", "-e", "SIGNAL=short")
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"The light turns: short\n"
    worker.terminate()
    assert worker.wait(timeout=20) == 0  # what its own handler says
    pylife("validate", image)


def test_image_is_turned_back_into_the_same_slug(pylife: Pylife, image: str, built: Built) -> None:
    assert pylife("slug", "from-image", image).raw == built.slug.read_bytes()


def test_slug_becomes_an_image_whose_layers_are_those_of_the_build(
    pylife: Pylife, image: str, built: Built, image_name: str, start: Start
) -> None:
    done = pylife("slug", "to-image", built.slug, "--image", image_name)
    assert done.out
    own = app_layers(pylife, image)
    assert len(own) == 3, "runtime, dependencies, the app's own files"
    assert app_layers(pylife, image_name) == own
    port = free_port()
    assert "Memmert" in page(port, start("run", image_name, "-p", str(port), "-e", "LIGHT=Memmert"))
    before = layers(pylife, image_name)
    again = pylife("slug", "to-image", built.slug, "--image", image_name)
    assert layers(pylife, image_name) == before
    assert " 0 B" in again.err or "reused" in again.err
    assert pylife("slug", "from-image", image_name).raw == built.slug.read_bytes()


def test_rebase_puts_a_newer_runner_below_and_the_app_stays(
    pylife: Pylife, image: str, built: Built, image_name: str, tmp_path: Path
) -> None:
    def make_runner(text: str) -> None:
        (tmp_path / "Dockerfile").write_text(
            f"FROM pylife/slugrunner\nUSER 0\nRUN echo {text} > /runner/text\nUSER 2000\n"
        )
        pylife("build", "--dockerfile", tmp_path / "Dockerfile", "--app", tmp_path, "--image", runner)

    runner = f"{image_name}-runner"
    make_runner("old")
    try:
        pylife("slug", "to-image", built.slug, "--image", image_name, "--run-image", runner)
        before, own = layers(pylife, image_name), len(layers(pylife, runner))
        make_runner("new")
        pylife("rebase", image_name)
        assert layers(pylife, image_name)[:own] == layers(pylife, runner) != before[:own]
        assert layers(pylife, image_name)[own:] == before[own:]
        shown = pylife("run", image_name, "--entrypoint", "bash", "--", "-c", "cat /runner/text; ls app.py")
        assert shown.out.splitlines() == ["new", "app.py"]
        assert pylife("slug", "from-image", image_name).raw == built.slug.read_bytes()
        assert "rebase.wrong-run-image" in pylife("rebase", image, "--run-image", runner, code=72).err
    finally:
        pylife("rmi", runner)


def test_a_changed_file_sends_only_small_layers(
    pylife: Pylife, built: Built, sample: Path, registry_server: object
) -> None:
    name = f"{registry_server.address}/light"  # type: ignore[attr-defined]
    options = ("--cache", built.cache, "--progress", "json")
    pylife("build", "--slug", "--app", sample, "--image", name, *options)
    first = stored(registry_server)
    template = sample / "templates" / "light.html"
    template.write_text(template.read_text().replace("<h1>The lighthouse", "<h1>The lighthouse at sea"))
    pylife("build", "--slug", "--app", sample, "--image", name, *options)
    sent = stored(registry_server) - first
    assert sum(first_size for _, first_size in first) > 50_000_000
    assert 0 < sum(size for _, size in sent) < 300_000, json.dumps(sorted(sent))
    pylife("rmi", name)


def stored(server: object) -> set[tuple[str, int]]:
    """The blobs that the registry has, with their sizes in bytes."""
    return {(str(file.parent.name), file.stat().st_size) for file in server.data.rglob("blobs/**/data")}  # type: ignore[attr-defined]
