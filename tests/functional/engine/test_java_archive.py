"""A war that brings its own server, on a Java that no Debian package has."""

from __future__ import annotations

import socket
import subprocess
import tarfile
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest
from pylife_command import REPOSITORY, Pylife, user_environment

pytestmark = pytest.mark.functional

CLOCK = REPOSITORY / "samples" / "java-jar"


@pytest.fixture
def war(pylife: Pylife, tmp_path: Path) -> Path:
    """A folder with clock.war, packed of what Maven made of the sample."""
    # `make samples` has built it under this name: then there is nothing to do.
    pylife("build", "--app", CLOCK, "--image", "sample-java-jar")
    pylife("export", "sample-java-jar", "-o", tmp_path / "image.tar")
    folder = tmp_path / "war"
    folder.mkdir()
    with tarfile.open(tmp_path / "image.tar") as image, zipfile.ZipFile(folder / "clock.war", "w") as packed:
        for member in image:
            name = member.name.removeprefix("./")
            if member.isfile() and name.startswith("workspace/"):
                file = image.extractfile(member)
                assert file is not None
                packed.writestr(name.removeprefix("workspace/"), file.read())
    return folder


def test_a_war_with_its_own_server_answers_on_java_25(pylife: Pylife, war: Path, image_name: str) -> None:
    done = pylife("build", "--app", war, "--image", image_name, "-e", "BP_JVM_VERSION=25")
    assert "Java 25: BP_JVM_VERSION" in done.err
    version = pylife("run", image_name, "--entrypoint", "launcher", "--", "java", "-version")
    assert 'version "25' in version.out + version.err
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [*pylife.command, "run", image_name, "-p", str(port)],
        env=user_environment(pylife),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert "A jar without dependencies" in page(f"http://127.0.0.1:{port}/", server)
    finally:
        server.terminate()
        server.wait(timeout=10)


def page(url: str, server: subprocess.Popen[bytes]) -> str:
    """What is there as soon as there is an answer."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 30
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(url, timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"no answer from {url}; the process ended with {server.poll()}")
