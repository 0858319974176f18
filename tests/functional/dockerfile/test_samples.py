"""The samples of Dockerfiles, built and run as their readers would."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from dockerfile_command import PYLIFE, REPOSITORY, Pylife

SAMPLES = REPOSITORY / "samples"
PATTERNS = SAMPLES / "dockerfile-patterns"
Names = Callable[[], str]


@contextmanager
def _served(pylife: Pylife, image: str) -> Iterator[str]:
    """The image's default command, answering at the address given."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [PYLIFE, "run", image, "-p", str(port)], env={**os.environ, "PYLIFE_HOME": str(pylife.home)}
    )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _page(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 30
    while True:
        try:
            with opener.open(url, timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _files(pylife: Pylife, image: str) -> dict[str, tarfile.TarInfo]:
    done = subprocess.run(
        [PYLIFE, "export", image], env={**os.environ, "PYLIFE_HOME": str(pylife.home)}, capture_output=True, check=True
    )
    with tarfile.open(fileobj=BytesIO(done.stdout)) as tar:
        return {member.name.strip("./"): member for member in tar}


def _config(pylife: Pylife, image: str, place: Path) -> dict[str, object]:
    layout = place / "layout"
    shutil.rmtree(layout, ignore_errors=True)
    pylife("copy", image, f"oci:{layout}")

    def blob(digest: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
        return found

    index = json.loads((layout / "index.json").read_text())
    manifest = blob(index["manifests"][0]["digest"])
    config: dict[str, object] = blob(manifest["config"]["digest"])  # type: ignore[index]
    return config


def test_multistage_sample_is_small_serves_its_page_and_holds_no_key(
    stack_home: Pylife, image_name: Names, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("a very secret signing key")
    name, again = image_name(), image_name()
    sample = SAMPLES / "dockerfile-multistage"
    stack_home.build(sample, "--secret", f"id=signing-key,src={key}", "--image", name)
    files = _files(stack_home, name)
    assert {"greeter", "greeter.signature", "index.html", "etc/passwd"} <= set(files)
    assert files["greeter"].mode == 0o555
    assert sum(member.size for member in files.values()) < 200_000
    with _served(stack_home, name) as url:
        assert "Hello from a scratch image" in _page(url)
    config = _config(stack_home, name, tmp_path)
    assert "a very secret" not in json.dumps(config)
    assert config["config"]["User"] == "greeter"  # type: ignore[index]
    assert config["config"]["Healthcheck"]["Test"] == ["CMD", "/greeter", "--check"]  # type: ignore[index]
    stack_home.build(sample, "--secret", f"id=signing-key,src={key}", "--image", again)
    assert _config(stack_home, again, tmp_path) == config
    stack_home.build(sample, "--secret", f"id=signing-key,src={key}", "--target", "test", "--image", image_name())


def test_missing_required_secret_is_named(stack_home: Pylife, image_name: Names, tmp_path: Path) -> None:
    sample = SAMPLES / "dockerfile-multistage"
    done = stack_home.run(
        *("build", "--app", sample, "--dockerfile", sample / "Dockerfile", "--no-cache", "--image", image_name())
    )
    assert done.returncode != 0
    assert "signing-key" in done.stderr
    assert "--secret" in done.stderr


def test_stages_pattern_builds_only_what_the_target_needs(stack_home: Pylife, image_name: Names) -> None:
    run, test = image_name(), image_name()
    done = stack_home.run(
        *("build", "--app", PATTERNS / "stages", "--dockerfile", PATTERNS / "stages" / "Dockerfile"),
        *("--progress", "plain", "--no-cache", "--image", run),
    )
    assert done.returncode == 0, done.stderr
    assert "unittest" not in done.stderr
    assert stack_home("run", run, "--", "b", "a", "b").splitlines() == ["2 b", "1 a"]
    done = stack_home.run(
        *("build", "--app", PATTERNS / "stages", "--dockerfile", PATTERNS / "stages" / "Dockerfile"),
        *("--progress", "plain", "--no-cache", "--target", "test", "--image", test),
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 1 test" in done.stderr


def test_environments_pattern_makes_both_images_from_one_file(
    stack_home: Pylife, image_name: Names, tmp_path: Path
) -> None:
    production, development = image_name(), image_name()
    folder = PATTERNS / "environments"
    stack_home.build(folder, "--target", "production", "--build-arg", "VERSION=1.2", "--image", production)
    with _served(stack_home, production) as url:
        assert _page(url) == "production 1.2\n"
    stack_home.build(folder, "--target", "development", "--image", development)
    assert "app/server.py" not in _files(stack_home, development)
    config = _config(stack_home, production, tmp_path)["config"]
    assert config["Labels"]["org.opencontainers.image.version"] == "1.2"  # type: ignore[index]
    assert config["User"] == "1000:1000"  # type: ignore[index]


def test_mounts_pattern_leaves_no_cache_and_no_list_in_the_image(stack_home: Pylife, image_name: Names) -> None:
    name = image_name()
    stack_home.build(PATTERNS / "mounts", "--image", name)
    files = _files(stack_home, name)
    assert not [path for path in files if path.startswith(("root/.cache/pip/", "tmp/"))]
    assert stack_home("run", name).strip() == "&lt;pylife&gt; &amp; friends"


def test_secrets_pattern_uses_file_variable_and_agent_and_keeps_none(
    stack_home: Pylife, image_name: Names, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789")
    key = tmp_path / "key"
    subprocess.run([tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    agent = subprocess.run(
        [tool("ssh-agent"), "-s", "-a", str(tmp_path / "agent")], check=True, capture_output=True, text=True
    )
    pid = agent.stdout.split("SSH_AGENT_PID=")[1].split(";")[0]
    environ = {"SSH_AUTH_SOCK": str(tmp_path / "agent"), "PASSWORD": "hunter2hunter2"}
    try:
        subprocess.run(["ssh-add", "-q", key], check=True, env={**os.environ, **environ})
        name = image_name()
        stack_home.build(
            PATTERNS / "secrets",
            *("--secret", f"id=token,src={token}", "--secret", "id=password,env=PASSWORD", "--ssh", "default"),
            *("--no-cache", "--image", name),
            env=environ,
        )
    finally:
        subprocess.run(["kill", pid], check=True)
    assert set(_files(stack_home, name)) - {""} == {*("token.length", "password.length", "key.pub", "token.length.sig")}
    raw = json.dumps(_config(stack_home, name, tmp_path))
    assert "0123456789" not in raw
    assert "hunter2" not in raw


def test_nonroot_pattern_runs_as_its_user_and_tells_its_health(
    stack_home: Pylife, image_name: Names, tmp_path: Path
) -> None:
    name = image_name()
    stack_home.build(PATTERNS / "nonroot", "--image", name)
    with _served(stack_home, name) as url:
        assert _page(url) == "uid 10001 gid 10001\n"
    config = _config(stack_home, name, tmp_path)["config"]
    assert config["Healthcheck"] == {  # type: ignore[index]
        "Test": ["CMD", "python3", "health.py"],
        "Interval": 10_000_000_000,
        "Timeout": 3_000_000_000,
        "StartPeriod": 1_000_000_000,
        "Retries": 3,
    }
    assert config["StopSignal"] == "SIGINT"  # type: ignore[index]
    files = _files(stack_home, name)
    assert (files["app/server.py"].uid, files["app/server.py"].mode) == (10001, 0o644)


@pytest.mark.parametrize("folder", sorted(path.name for path in PATTERNS.iterdir() if path.is_dir()))
def test_patterns_pass_the_checks(folder: str, stack_home: Pylife) -> None:
    assert json.loads(stack_home("dockerfile", "check", "--json", PATTERNS / folder / "Dockerfile")) == []
