"""What goes wrong around a build: a clear error, the right exit code, and nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pylife_command import REPOSITORY, Pylife, user_environment

from lifecycle.testing.registry import DropUpload, FaultyRegistry, Slow, failure, html

pytestmark = pytest.mark.functional

WEB = (
    "cat > \"$CNB_LAYERS_DIR/launch.toml\" <<'EOT'\n"
    '[[processes]]\ntype = "web"\ncommand = ["true"]\ndefault = true\nEOT\n'
)


def random_layer(size: str) -> str:
    return (
        'mkdir -p "$CNB_LAYERS_DIR/big"; printf "[types]\\nlaunch=true\\n" > "$CNB_LAYERS_DIR/big.toml"\n'
        f'head -c {size} /dev/urandom > "$CNB_LAYERS_DIR/big/noise"\n' + WEB
    )


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as server:
        yield server


@pytest.fixture
def small_disk(fresh: Pylife, tmp_path: Path) -> Iterator[Pylife]:
    """pylife whose home is on a disk of 1.3 GB, the builder unpacked there already."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1300m", "tmpfs", disk], check=True)
    try:
        subprocess.run(["cp", "-r", fresh.home / "store", disk / "store"], check=True)
        yield Pylife(disk)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_in_export_is_named_and_the_last_image_stays(small_disk, app, buildpack):
    small_disk("build", "-q", "--app", app, "--image", "demo", "--buildpack", buildpack("acme/small", build=WEB))
    before = small_disk("inspect", "demo", "--json").json["digest"]
    room = os.statvfs(small_disk.home)
    pack = buildpack("acme/big", build=random_layer(str(room.f_bavail * room.f_frsize * 6 // 10)))
    done = small_disk("build", "--app", app, "--image", "demo", "--buildpack", pack, code=1)
    assert "full" in done.err or "No space" in done.err
    assert "Traceback" not in done.err
    assert small_disk("inspect", "demo", "--json").json["digest"] == before
    small_disk("validate", "demo")
    partial = list((small_disk.home / "store").rglob(".pylife-partial-*"))
    assert partial == []


def test_no_network_is_told_with_an_id_and_a_cache_makes_up_for_it(pylife, fresh, tmp_path):
    source = REPOSITORY / "samples" / "python-flask"
    done = fresh("build", "--app", source, "--image", "flask", "--network", "none", code=51)
    assert "python." in done.err
    app = tmp_path / "flask"
    subprocess.run(["cp", "-r", source, app], check=True)
    fresh("build", "-q", "--app", app, "--image", "flask")
    (app / "extra.txt").write_text("new\n")
    done = fresh("build", "--app", app, "--image", "flask", "--network", "none")
    assert "kept from the last build" in done.err


def test_a_registry_that_refuses_is_asked_before_the_build(pylife, app, buildpack, registry):
    registry.fault(failure(403, "DENIED", "no entry"), method="POST", times=None)
    pack = buildpack("acme/a", build="echo the build has run\n" + WEB)
    name = f"{registry.address}/app"
    done = pylife("build", "--app", app, "--image", name, "--buildpack", pack, code=1)
    assert "no entry" in done.err
    assert "the build has run" not in done.err


@pytest.mark.parametrize("what", ["html", "unavailable"])
def test_a_broken_registry_is_called_by_its_name(pylife, app, buildpack, registry, what):
    fault = html() if what == "html" else failure(401)
    registry.fault(fault, times=None)
    name = f"{registry.address}/app"
    done = pylife("build", "--app", app, "--image", name, "--buildpack", buildpack("acme/a", build=WEB), code=1)
    assert registry.address in done.err
    assert "fix:" in done.err and "Traceback" not in done.err


def test_an_upload_cut_off_in_the_middle_is_taken_up_again(pylife, app, buildpack, registry):
    registry.fault(DropUpload(100_000), method="PUT", times=2)
    registry.fault(DropUpload(100_000), method="PATCH", times=2)
    pack = buildpack("acme/a", build=random_layer("3000000"))
    name = f"{registry.address}/app"
    pylife("build", "-q", "--app", app, "--image", name, "--buildpack", pack)
    pylife("validate", f"docker://{name}")
    pylife("rmi", name)


def test_a_push_killed_in_the_middle_loses_nothing(pylife, app, buildpack, registry):
    pack = buildpack("acme/a", build=random_layer("3000000"))
    name = f"{registry.address}/app"
    pylife("build", "-q", "--no-push", "--app", app, "--image", name, "--buildpack", pack)
    registry.fault(Slow(3), method="PUT", times=None)
    process = subprocess.Popen(
        [*pylife.command, "push", "-q", name],
        env=user_environment(pylife),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    pylife("validate", name)
    pylife("push", "-q", name)
    pylife("validate", f"docker://{name}")
    pylife("rmi", name)


def test_ctrl_c_ends_a_build_at_once_with_130_and_leaves_no_process(pylife, app, buildpack):
    pack = buildpack("acme/slow", build="echo started; exec sleep 4242")
    process = subprocess.Popen(
        [*pylife.command, "build", "--app", app, "--image", "test-interrupted", "--buildpack", pack],
        env=user_environment(pylife),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if "started" in line:
                break
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert process.wait(20) == 130
    assert "4242" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_wrong_input_is_a_sentence_and_exit_code_2(pylife, tmp_path, app):
    for arguments in (
        ("build", "--app", app),
        ("build", "--app", app, "--image", "Not/Valid"),
        ("build", "--app", app, "--image", "x", "--bulider", "y"),
        ("build", "--app", app, "--image", "x", "--memory", "lots"),
        ("build", "--app", app, "--image", "x", "--buildpack", "./nowhere"),
        ("bild",),
    ):
        done = pylife(*arguments, code=2)
        assert "error" in done.err.lower() and "Traceback" not in done.err, arguments
    missing = pylife("build", "--app", tmp_path / "nowhere", "--image", "x", code=2)
    assert "nowhere" in missing.err and "fix:" in missing.err
