"""The image commands of the installed pylife, against Debian's docker-registry and other tools."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lifecycle.events import NullSink
from lifecycle.image import Image, index_of
from lifecycle.image.places import StorePlace, save
from lifecycle.image.ports import Ports
from lifecycle.oci import Reference
from lifecycle.store import LocalStore
from lifecycle.testing.images import ARM64, random_image, tiny_image

pytestmark = pytest.mark.functional

PYLIFE = Path(sys.executable).parent / "pylife"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pylife(isolated_environment: Path) -> Run:
    """Runs the command; ``code`` is the exit code that is expected."""

    def run(*words: str | Path, code: int = 0, **options: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([PYLIFE, *words], capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done  # type: ignore[no-any-return]

    return run


@pytest.fixture
def store(isolated_environment: Path) -> LocalStore:
    return LocalStore(isolated_environment / "pylife" / "store")


def put(store: LocalStore, name: str, image: Image | None = None) -> Image:
    """An image in the store under ``name``."""
    image = image or tiny_image(store, {"etc": None, "etc/greeting": b"hello\n"}, labels={"name": name})
    save(image, StorePlace(Reference.parse(name).with_default_tag()), Ports(store), NullSink())
    return image


def answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def registry(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry on a port of its own: ``127.0.0.1:PORT``."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder / 'data'}'}}, delete: {{enabled: true}}}}\n"
    )
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([tool("docker-registry"), "serve", str(config)], stdout=log, stderr=log)
    deadline = time.monotonic() + 30
    while not answers(f"http://{address}/v2/"):
        assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.05)
    yield address
    server.terminate()
    server.wait(10)


def test_images_lists_names_with_digest_platform_and_size(pylife: Run, store: LocalStore) -> None:
    image = put(store, "demo:1")
    put(store, "localhost:5000/team/app", random_image(store, layers=3))
    lines = pylife("images").stdout.splitlines()
    assert lines[0].split() == ["NAME", "DIGEST", "PLATFORM", "LAYERS", "SIZE"]
    assert lines[1].split()[:4] == ["demo:1", image.digest.short, "linux/amd64", "1"]
    assert lines[2].split()[0] == "localhost:5000/team/app:latest"
    listed = json.loads(pylife("images", "--json").stdout)
    assert (listed[0]["name"], listed[0]["size"]) == ("demo:1", image.size)


def test_images_of_an_empty_store_say_so_without_failing(pylife: Run) -> None:
    done = pylife("images")
    assert done.stdout == ""
    assert "has no images" in done.stderr
    assert json.loads(pylife("images", "--json").stdout) == []


def test_damaged_image_is_listed_and_the_others_too(pylife: Run, store: LocalStore) -> None:
    broken = put(store, "broken")
    put(store, "whole", random_image(store))
    store.blobs.path(broken.config.digest).unlink()
    lines = pylife("images").stdout.splitlines()
    assert "damaged" in lines[1]
    assert "linux/amd64" in lines[2]


def test_tag_gives_a_second_name_and_rmi_takes_names(pylife: Run, store: LocalStore) -> None:
    image = put(store, "demo")
    assert pylife("tag", "demo", "demo:2", "other").stdout.splitlines() == [
        f"demo:2@{image.digest}",
        f"other:latest@{image.digest}",
    ]
    pylife("rmi", "demo", "demo:2")
    assert [str(ref.familiar) for ref, _ in store.items()] == ["other:latest"]


def test_rmi_of_an_unknown_name_removes_nothing_and_says_what_exists(pylife: Run, store: LocalStore) -> None:
    put(store, "demo")
    done = pylife("rmi", "demo", "dmeo", code=1)
    assert "it has demo:latest" in done.stderr
    assert "Did you mean `demo`?" in done.stderr
    assert store.get(Reference.parse("demo")) is not None


def test_gc_keeps_what_has_a_name_and_frees_the_rest(pylife: Run, store: LocalStore) -> None:
    kept, gone = put(store, "kept"), put(store, "gone", random_image(store, seed=1))
    pylife("rmi", "gone")
    report = json.loads(pylife("gc", "--json").stdout)
    assert sum(item["bytes"] for item in report) >= gone.size
    assert not store.blobs.has(gone.layers[0].descriptor.digest)
    assert pylife("validate", "kept").returncode == 0
    assert store.blobs.has(kept.digest)


def test_push_and_pull_keep_the_digest(
    pylife: Run, store: LocalStore, registry: str, tool: Callable[[str], str]
) -> None:
    image = put(store, "demo", random_image(store, seed=2))
    name = f"{registry}/push/demo:1"
    assert pylife("push", "demo", name).stdout == f"{name}@{image.digest}\n"
    seen = json.loads(
        subprocess.run(
            [tool("skopeo"), "inspect", "--tls-verify=false", f"docker://{name}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    assert seen["Digest"] == str(image.digest)
    pylife("rmi", "demo")
    pylife("gc")
    assert pylife("pull", name).stdout == f"{name}@{image.digest}\n"
    pylife("validate", name)


def test_second_push_sends_nothing(pylife: Run, store: LocalStore, registry: str) -> None:
    put(store, "demo", random_image(store, seed=3))
    pylife("push", "demo", f"{registry}/again/demo")
    assert "0 blobs sent" in pylife("push", "demo", f"{registry}/again/demo:2").stderr


def test_push_of_a_name_that_says_no_registry_sends_nothing(pylife: Run, store: LocalStore, registry: str) -> None:
    put(store, "demo")
    done = pylife("push", "demo", f"{registry}/half/demo", "bare", code=2)
    assert "image.no-registry-named" in done.stderr
    assert "registry.not-found" in pylife("inspect", f"{registry}/half/demo", code=1).stderr


def test_pull_takes_one_platform_of_an_index_or_all(pylife: Run, store: LocalStore, registry: str) -> None:
    images = [random_image(store, seed=4), random_image(store, seed=5, platform=ARM64)]
    index = index_of(images)
    save(index, StorePlace(Reference.parse("multi:1")), Ports(store), NullSink())
    name = f"{registry}/multi/app:1"
    pylife("push", "multi:1", name)
    assert pylife("pull", "--platform", "linux/arm64", name).stdout == f"{name}@{images[1].digest}\n"
    assert pylife("pull", "--all-platforms", name).stdout == f"{name}@{index.digest}\n"
    shown = json.loads(pylife("inspect", "--json", name).stdout)
    assert [item["platform"] for item in shown["images"]] == ["linux/amd64", "linux/arm64"]
    done = pylife("pull", "--platform", "linux/s390x", name, code=1)
    assert "linux/amd64, linux/arm64" in done.stderr


@pytest.mark.parametrize(
    "place", ["oci:{0}/layout:1", "oci-archive:{0}/a.tar:1", "dir:{0}/dir", "docker-archive:{0}/d.tar:x:1"]
)
def test_copy_there_and_back_keeps_the_files(pylife: Run, store: LocalStore, tmp_path: Path, place: str) -> None:
    image = put(store, "demo", random_image(store, seed=6))
    there = place.format(tmp_path)
    digest = pylife("copy", "demo", there).stdout.strip()
    pylife("validate", there)
    pylife("copy", there, "back")
    if not place.startswith("docker-archive"):  # that one holds neither manifest nor compressed layers
        assert digest == str(image.digest)
    assert pylife("diff", "demo", "back").returncode == 0


def test_umoci_reads_a_copied_layout(
    pylife: Run, store: LocalStore, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    put(store, "demo")
    pylife("copy", "demo", f"oci:{tmp_path / 'layout'}:1")
    umoci = [tool("umoci"), "unpack", "--rootless", "--image", f"{tmp_path / 'layout'}:1", str(tmp_path / "bundle")]
    subprocess.run(umoci, check=True, capture_output=True)
    assert (tmp_path / "bundle" / "rootfs" / "etc" / "greeting").read_text() == "hello\n"


def test_inspect_shows_configuration_and_layers(pylife: Run, store: LocalStore) -> None:
    image = put(store, "demo", tiny_image(store, env={"COLOUR": "blue"}, labels={"team": "red"}))
    text = pylife("inspect", "demo").stdout
    for expected in ("demo:latest", str(image.digest), "COLOUR  blue", "team  red", "layer 1"):
        assert expected in text
    data = json.loads(pylife("inspect", "--json", "demo").stdout)
    assert data["layers"][0]["diff_id"] == str(image.layers[0].diff_id)
    assert pylife("inspect", "--raw", "demo").stdout.encode() == image.manifest.raw


def test_validate_prints_every_finding_and_exits_1(pylife: Run, store: LocalStore) -> None:
    image = put(store, "demo", random_image(store, layers=2))
    for layer in image.layers:
        path = store.blobs.path(layer.descriptor.digest)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1])
    done = pylife("validate", "demo", code=1)
    assert "layer 1: " in done.stdout
    assert "layer 2: " in done.stdout
    assert {item["where"] for item in json.loads(pylife("validate", "--json", "demo", code=1).stdout)} >= {
        "layer 1",
        "layer 2",
    }


def test_diff_names_what_was_added_removed_and_changed(pylife: Run, store: LocalStore) -> None:
    put(store, "a", tiny_image(store, {"same": b"1", "old": b"1", "edit": b"1"}, env={"X": "1"}))
    put(store, "b", tiny_image(store, {"same": b"1", "new": b"1", "edit": b"22"}, env={"X": "2"}))
    text = pylife("diff", "a", "b", code=1).stdout
    for expected in ("~ X = 1 → 2", "- /old", "+ /new", "~ /edit (size, content)"):
        assert expected in text
    assert "/same" not in text
    assert json.loads(pylife("diff", "--json", "--no-files", "a", "b", code=1).stdout)["files"] == []


def test_export_merges_layers_and_honours_whiteouts(pylife: Run, store: LocalStore, tmp_path: Path) -> None:
    put(store, "demo", tiny_image(store, {"a": b"1", "b": b"1"}, {".wh.a": b"", "c": b"3"}))
    pylife("export", "demo", "-o", tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert sorted(archive.getnames()) == ["b", "c"]
    piped = subprocess.run([PYLIFE, "export", "-q", "demo"], check=True, capture_output=True)
    assert piped.stdout == (tmp_path / "out.tar").read_bytes()
    assert piped.stderr == b""


def test_failed_export_leaves_no_file(pylife: Run, store: LocalStore, tmp_path: Path) -> None:
    image = put(store, "demo", random_image(store))
    store.blobs.path(image.layers[0].descriptor.digest).unlink()
    pylife("export", "demo", "-o", tmp_path / "out.tar", code=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "nothing"],
        ["push", "nothing"],
        ["tag", "nothing", "x"],
        ["export", "nothing"],
        ["copy", "nothing", "x"],
    ],
)
def test_unknown_image_is_an_error_that_says_what_exists(pylife: Run, store: LocalStore, words: list[str]) -> None:
    put(store, "something")
    done = pylife(*words, code=1)
    assert "There is no image nothing:latest in the local store" in done.stderr
    assert "it has something:latest" in done.stderr
    assert done.stdout == ""


def test_progress_json_is_one_object_a_line_and_stdout_stays_clean(
    pylife: Run, store: LocalStore, registry: str
) -> None:
    image = put(store, "demo", random_image(store, seed=7))
    done = pylife("push", "--progress", "json", "demo", f"{registry}/json/demo")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"step-started", "step-ended"} <= {event["event"] for event in events}
    assert done.stdout == f"{registry}/json/demo:latest@{image.digest}\n"


def test_quiet_push_prints_the_result_only(pylife: Run, store: LocalStore, registry: str) -> None:
    put(store, "demo", random_image(store, seed=8))
    assert pylife("push", "-q", "demo", f"{registry}/quiet/demo").stderr == ""


@contextmanager
def served(folder: Path, end: signal.Signals) -> Iterator[str]:
    """A `pylife registry serve` with its images in ``folder``; gives its address, then ends it with a signal."""
    command = [PYLIFE, "registry", "serve", "--port", "0", "--dir", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip().removeprefix("http://")
        finally:
            server.send_signal(end)
        assert server.wait(10) == 0


def test_registry_serve_keeps_its_images_and_ends_in_order(pylife: Run, store: LocalStore, tmp_path: Path) -> None:
    image = put(store, "demo")
    with served(tmp_path / "kept", signal.SIGTERM) as address:
        pylife("push", "demo", f"{address}/demo")
        taken = pylife("registry", "serve", "--port", address.rpartition(":")[2], code=1)
        assert "registry.port-taken" in taken.stderr
    with served(tmp_path / "kept", signal.SIGINT) as address:
        assert pylife("pull", f"{address}/demo").stdout.endswith(f"@{image.digest}\n")


def test_login_without_a_terminal_needs_password_stdin(pylife: Run) -> None:
    done = pylife("login", "localhost:5000", code=2, stdin=subprocess.DEVNULL)
    assert "--password-stdin" in done.stderr


def test_logout_of_an_unknown_registry_is_no_error(pylife: Run) -> None:
    assert pylife("logout", "localhost:5000").stdout == "There were none for localhost:5000.\n"


def test_doctor_names_the_sandbox_and_every_setting_with_its_origin(pylife: Run) -> None:
    data = json.loads(pylife("doctor", "--json").stdout)
    assert data["sandbox"]["name"] in {"userns", "mountns", "chroot"}
    assert data["settings"]["home"]["origin"] == "PYLIFE_HOME"
    text = pylife("doctor", env={**os.environ, "PYLIFE_COMPRESSION": "zstd"}).stdout
    assert "PYLIFE_COMPRESSION" in text


def test_help_costs_few_times_a_bare_interpreter() -> None:

    def best(*command: str | Path) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        return min(times)

    assert best(PYLIFE, "--help") < 6 * best(sys.executable, "-c", "") + 0.1
