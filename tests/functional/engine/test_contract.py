"""The Buildpack API as buildpacks see it: tiny real ones, built by the real engine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.functional

LAYER = (
    'mkdir -p "$CNB_LAYERS_DIR/{name}"; '
    'printf "[types]\\nlaunch={launch}\\nbuild={build}\\ncache={cache}\\n{metadata}" > "$CNB_LAYERS_DIR/{name}.toml"\n'
)


def layer(name: str, *, launch: bool = False, build: bool = False, cache: bool = False, metadata: str = "") -> str:
    values = {"launch": launch, "build": build, "cache": cache}
    return LAYER.format(name=name, metadata=metadata, **{key: str(value).lower() for key, value in values.items()})


def tar_of(pylife, image: str, directory: Path) -> dict[str, tarfile.TarInfo]:
    """The entries of the image's layers as they are stored, by name; of two with one name the upper one."""
    pylife("copy", image, f"oci:{directory}/layout")
    layout = directory / "layout"
    manifest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    found = {}
    for layer in json.loads((layout / "blobs" / manifest.replace(":", "/")).read_bytes())["layers"][1:]:
        with tarfile.open(layout / "blobs" / layer["digest"].replace(":", "/")) as archive:
            found.update({entry.name.lstrip("/"): entry for entry in archive})
    return found


def web(command: str) -> str:
    return (
        "cat > \"$CNB_LAYERS_DIR/launch.toml\" <<'EOT'\n"
        f'[[processes]]\ntype = "web"\ncommand = ["bash", "-c", {json.dumps(command)}]\ndefault = true\nEOT\n'
    )


def test_launch_layer_and_environment_reach_the_running_process(pylife, app, buildpack, image_name):
    build = (
        layer("tool", launch=True)
        + 'mkdir -p "$CNB_LAYERS_DIR/tool/bin" "$CNB_LAYERS_DIR/tool/env.launch"\n'
        + "printf '#!/bin/sh\\necho from the tool: $GREETING\\n' > \"$CNB_LAYERS_DIR/tool/bin/greet\"\n"
        + 'chmod +x "$CNB_LAYERS_DIR/tool/bin/greet"\n'
        + 'printf hello > "$CNB_LAYERS_DIR/tool/env.launch/GREETING.default"\n'
        + web("greet; pwd; cat hello.txt")
    )
    pylife("build", "--app", app, "--image", image_name, "--buildpack", buildpack("acme/tool", build=build))
    assert pylife("run", image_name).out == "from the tool: hello\n/workspace\nhello\n"
    assert pylife("run", image_name, "-e", "GREETING=hi").out.startswith("from the tool: hi\n")


def test_rebuild_with_nothing_changed_gives_the_same_digest_and_reuses_every_layer(pylife, app, buildpack, image_name):
    build = (
        'if [ -f "$CNB_LAYERS_DIR/deps.toml" ]; then echo restored; else echo fresh; fi\n'
        'cd "$CNB_LAYERS_DIR"; [ -d deps ] || { mkdir deps; date +%N > deps/stamp; }\n'
        + layer("deps", launch=True, cache=True)
        + web("cat /layers/acme_deps/deps/stamp")
    )
    pack = buildpack("acme/deps", build=build)
    first = pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    second = pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    assert "fresh" in first.err and "restored" in second.err
    assert first.out == second.out
    report = json.loads(pylife("inspect", image_name, "--json").out)
    assert report["digest"] in second.out


def test_launch_only_layer_is_reused_from_the_previous_image_when_only_its_toml_is_kept(
    pylife, app, buildpack, image_name
):
    build = (
        'if [ -f "$CNB_LAYERS_DIR/big.toml" ]; then\n'
        '  echo "metadata is $(grep -c 42 "$CNB_LAYERS_DIR/big.toml")"; [ ! -d "$CNB_LAYERS_DIR/big" ]\n'
        '  printf "[types]\\nlaunch=true\\n[metadata]\\nanswer=42\\n" > "$CNB_LAYERS_DIR/big.toml"\n'
        "else\n"
        + layer("big", launch=True, metadata="[metadata]\\nanswer=42\\n")
        + '  date +%N > "$CNB_LAYERS_DIR/big/stamp"\nfi\n'
        + web("cat /layers/acme_big/big/stamp")
    )
    pack = buildpack("acme/big", build=build)
    pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    before = pylife("run", image_name).out
    again = pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    assert "metadata is 1" in again.err
    assert pylife("run", image_name).out == before


@pytest.mark.parametrize("isolation", ["auto", "chroot"])
def test_a_cached_layer_that_a_buildpack_no_longer_wants_is_gone(pylife, app, buildpack, image_name, isolation):
    build = (
        'cd "$CNB_LAYERS_DIR"; [ -d old ] && echo restored\n'
        "if [ -e /workspace/stop ]; then rm -f old/part; exit 0; fi\n"
        + layer("old", cache=True)
        + "mkdir -p old/deep; date +%N > old/part; touch old/deep/file\n"
        + web("cat hello.txt")
    )
    later = buildpack("acme/later", build='[ ! -e "$CNB_LAYERS_DIR/../acme_old/old" ] || echo still there')
    words = ("--image", image_name, "--buildpack", buildpack("acme/old", build=build), "--buildpack", later)
    first = pylife("build", "--app", app, *words, "--isolation", isolation)
    (app / "stop").touch()
    second = pylife("build", "--app", app, *words, "--isolation", isolation)
    third = pylife("build", "--app", app, *words, "--isolation", isolation)
    assert [("still there" in run.err, "restored" in run.err) for run in (first, second, third)] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_a_changed_file_of_the_app_changes_only_the_app_layer(pylife, app, buildpack, image_name):
    build = layer("lib", launch=True, cache=True) + 'echo x > "$CNB_LAYERS_DIR/lib/x"\n' + web("cat hello.txt")
    pack = buildpack("acme/lib", build=build)
    pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    before = pylife("inspect", image_name, "--json").json["layers"]
    (app / "hello.txt").write_text("changed\n")
    pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    after = pylife("inspect", image_name, "--json").json["layers"]
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
    assert pylife("run", image_name).out == "changed\n"


def test_the_source_is_never_written_to_and_odd_files_do_not_stop_the_build(pylife, app, buildpack, image_name):
    os.mkfifo(app / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(app / "socket"))
    (app / "out").symlink_to("/etc/hostname")
    odd = os.fsencode(str(app)) + b"/caf\xe9"
    with open(odd, "wb") as file:
        file.write(b"latin")
    before = {entry.name: entry.stat(follow_symlinks=False).st_mtime_ns for entry in os.scandir(app)}
    build = "echo scribble > scribble.txt; rm hello.txt; ls\n" + web("ls /workspace")
    done = pylife("build", "--app", app, "--image", image_name, "--buildpack", buildpack("acme/odd", build=build))
    after = {entry.name: entry.stat(follow_symlinks=False).st_mtime_ns for entry in os.scandir(app)}
    assert before == after
    assert "pipe" in done.err and "socket" in done.err
    listing = pylife("run", image_name).out
    assert "scribble.txt" in listing and "hello.txt" not in listing and "pipe" not in listing


def test_detect_explain_tells_why_a_group_was_dropped(pylife, app, buildpack):
    needs = buildpack("acme/needs", detect='echo looked for magic.txt; echo \'[[requires]]\nname = "magic"\' > "$2"')
    nothing = buildpack("acme/nothing", detect="echo no Foofile here; exit 100")
    done = pylife("detect", "--app", app, "--explain", "--buildpack", needs, "--buildpack", nothing, code=20)
    text = done.out + done.err
    assert "no Foofile here" in text and "acme/nothing" in text
    alone = pylife("detect", "--app", app, "--explain", "--buildpack", needs, code=20)
    text = alone.out + alone.err
    assert "magic" in text and "acme/needs" in text


def test_a_failing_buildpack_gives_exit_code_51_and_names_it(pylife, app, buildpack, image_name):
    pack = buildpack("acme/broken", build="echo about to fail >&2; exit 7")
    done = pylife("build", "--app", app, "--image", image_name, "--buildpack", pack, code=51)
    assert "acme/broken" in done.err and "7" in done.err and "about to fail" in done.err


def test_a_hanging_buildpack_is_stopped_by_the_timeout(pylife, app, buildpack, image_name):
    pack = buildpack("acme/hang", build="sleep 1000")
    done = pylife("build", "--app", app, "--image", image_name, "--buildpack", pack, "--timeout", "3", code=51)
    assert "timeout" in done.err.lower() or "3 s" in done.err


def test_build_processes_run_as_the_cnb_user_and_see_nothing_of_the_host(pylife, app, buildpack, image_name, tmp_path):
    secret = tmp_path / "secret-of-the-host"
    secret.write_text("secret")
    build = (
        f'id -u; id -g; [ ! -e "{secret}" ] && echo hidden\n'
        'env | grep -c PYLIFE_ || true; [ -z "${HOST_SECRET:-}" ] && echo clean\n'
        "touch /usr/bin/evil 2>/dev/null || echo read-only\n" + web("true")
    )
    pack = buildpack("acme/id", build=build)
    done = pylife("build", "--app", app, "--image", image_name, "--buildpack", pack, env={"HOST_SECRET": "1"})
    for word in ("1000", "hidden", "clean", "read-only"):
        assert word in done.err


def test_flooded_output_and_a_daemon_left_behind_do_not_hold_the_build(pylife, app, buildpack, image_name):
    build = "yes | head -c 20000000; (setsid sleep 300 >/dev/null 2>&1 &)\n" + web("true")
    pylife(
        "build",
        "-q",
        "--app",
        app,
        "--image",
        image_name,
        "--buildpack",
        buildpack("acme/flood", build=build),
        timeout=120,
    )


def test_app_image_has_the_layout_labels_and_history_of_the_contract(pylife, app, buildpack, image_name, tmp_path):
    build = layer("lib", launch=True) + 'echo x > "$CNB_LAYERS_DIR/lib/x"\n' + web("true")
    pack = buildpack("acme/lib", build=build)
    pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    report = pylife("inspect", image_name, "--json").json
    config = report["config"]
    metadata = json.loads(config["config"]["Labels"]["io.buildpacks.lifecycle.metadata"])
    diff_ids = config["rootfs"]["diff_ids"]
    assert metadata["buildpacks"][0]["layers"]["lib"]["sha"] in diff_ids
    assert metadata["app"][-1]["sha"] in diff_ids and metadata["launcher"]["sha"] in diff_ids
    assert metadata["runImage"]["topLayer"] in diff_ids
    history = [entry["created_by"] for entry in config["history"]][-6:]
    assert history[0] == "Layer: 'lib', Created by buildpack: acme/lib@1.0.0"
    assert history[1:] == [
        "Software Bill-of-Materials",
        "Application Layer",
        "Buildpacks Application Launcher",
        "Buildpacks Launcher Config",
        "Buildpacks Process Types",
    ]
    assert config["config"]["Entrypoint"] == ["/cnb/process/web"]
    assert config["created"] == "1980-01-01T00:00:01Z"
    pylife("validate", image_name)
    names = tar_of(pylife, image_name, tmp_path)
    assert names["cnb/process/web"].linkname == "/cnb/lifecycle/launcher"
    assert (names["layers/acme_lib/lib/x"].uid, names["workspace/hello.txt"].uid) == (1000, 1000)
    assert names["workspace/hello.txt"].mtime == 315532801


def test_sbom_files_land_in_the_sbom_layer(pylife, app, buildpack, image_name, tmp_path):
    extra = 'sbom-formats = ["application/vnd.cyclonedx+json"]'
    build = (
        layer("lib", launch=True)
        + 'echo \'{"bomFormat":"CycloneDX"}\' > "$CNB_LAYERS_DIR/lib.sbom.cdx.json"\n'
        + web("true")
    )
    pack = buildpack("acme/sbom", build=build, extra=extra)
    pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    names = tar_of(pylife, image_name, tmp_path)
    assert "layers/sbom/launch/acme_sbom/lib/sbom.cdx.json" in names


def test_two_builds_of_one_app_at_once_both_succeed(pylife, app, buildpack, image_name):
    build = layer("lib", launch=True, cache=True) + 'sleep 1; echo x > "$CNB_LAYERS_DIR/lib/x"\n' + web("true")
    pack = buildpack("acme/slow", build=build)
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(pylife, "build", "--app", app, "--image", image_name, "--buildpack", pack) for _ in range(2)
        ]
        first, second = (run.result() for run in runs)
    assert first.out == second.out
    pylife("validate", image_name)


@pytest.mark.parametrize("after", [0.2, 0.5, 0.9, 1.4, 2.0])
def test_killed_at_any_moment_the_next_build_works(pylife, app, buildpack, image_name, after):
    build = (
        layer("lib", launch=True, cache=True)
        + 'sleep 0.5; head -c 3000000 /dev/urandom > "$CNB_LAYERS_DIR/lib/x"\n'
        + web("true")
    )
    pack = buildpack("acme/killed", build=build)
    command = [*pylife.command, "build", "--app", str(app), "--image", image_name, "--buildpack", str(pack)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYLIFE_HOME": str(pylife.home)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    pylife("build", "--app", app, "--image", image_name, "--buildpack", pack)
    pylife("validate", image_name)
    assert "pylife" not in Path("/proc/self/mounts").read_text()


def test_an_archive_and_standard_input_build_the_same_image_as_the_directory(pylife, app, buildpack, tmp_path):
    pack = buildpack("acme/a", build=web("cat hello.txt"))
    archive = tmp_path / "app.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(app, ".")
    with open(archive, "rb") as stdin:
        piped = subprocess.run(
            [*pylife.command, "build", "-q", "--app", "-", "--image", "test-source", "--buildpack", str(pack)],
            env={**os.environ, "PYLIFE_HOME": str(pylife.home)},
            stdin=stdin,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    for place in (app, archive):
        assert pylife("build", "-q", "--app", place, "--image", "test-source", "--buildpack", pack).out == piped
    pylife("rmi", "test-source")


def test_an_inline_buildpack_of_project_toml_runs(pylife, app, image_name):
    (app / "project.toml").write_text(
        '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["secret.txt"]\n'
        '[[io.buildpacks.group]]\nid = "acme/inline"\n[io.buildpacks.group.script]\napi = "0.10"\n'
        'inline = "ls > listing.txt; echo inline $GREETING"\n'
        '[[io.buildpacks.build.env]]\nname = "GREETING"\nvalue = "hello"\n'
    )
    (app / "secret.txt").write_text("x")
    done = pylife("build", "--app", app, "--image", image_name)
    assert "inline hello" in done.err
    listing = pylife("run", image_name, "--entrypoint", "cat", "--", "listing.txt").out
    assert "hello.txt" in listing and "secret.txt" not in listing


def test_directories_of_the_app_and_of_restored_layers_can_be_renamed(pylife, app, buildpack, image_name):
    (app / "old").mkdir()
    (app / "old" / "file").write_text("moved\n")
    build = (
        'python3 -c \'import os; os.rename("old", "new")\'\n'
        'cd "$CNB_LAYERS_DIR"; if [ -d kept ]; then mv kept aside; mv aside kept; fi\n'
        + layer("kept", launch=True, cache=True)
        + "mkdir -p kept/a; echo x >> kept/a/log\n"
        + web("cat new/file /layers/acme_mover/kept/a/log")
    )
    pack = buildpack("acme/mover", build=build)
    for count in (1, 2, 3):
        pylife("build", "-q", "--app", app, "--image", image_name, "--buildpack", pack)
        assert pylife("run", image_name).out == "moved\n" + "x\n" * count
