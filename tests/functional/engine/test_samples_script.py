"""scripts/samples: what it demands of an app, and what it says when the app does not do it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pylife_command import REPOSITORY, Pylife, user_environment

pytestmark = pytest.mark.functional

READY = 'output = "ready to work"\n[change]\nfile = "word"\nfrom = "ready"\nto = "glad"\n'


def sample(directory: Path, expected: str, procfile: str = "web: cat word; sleep 1000") -> Path:
    directory.mkdir()
    (directory / "Procfile").write_text(procfile + "\n")
    (directory / "word").write_text("ready to work\n")
    (directory / "sample.toml").write_text(expected)
    return directory


@pytest.fixture
def samples(pylife: Pylife) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs the script with these words; the images that it made go with the test."""
    made: list[str] = []

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        made.extend(f"sample-{word.name}" for word in words if isinstance(word, Path))
        command = [sys.executable, str(REPOSITORY / "scripts" / "samples"), *map(str, words)]
        return subprocess.run(command, env=user_environment(pylife), capture_output=True, text=True, timeout=600)

    yield run
    for name in made:
        subprocess.run([*pylife.command, "rmi", name], env=user_environment(pylife), capture_output=True)


Script = Callable[..., subprocess.CompletedProcess[str]]


def test_an_app_that_does_what_it_should_gets_a_row(samples: Script, tmp_path: Path) -> None:
    done = samples(sample(tmp_path / "good", READY))
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()
    assert header.split()[:2] == ["sample", "built"] and row.split()[0] == "good"
    assert row.count(" s") == 3 and "FAILED" not in row


def test_a_rebuild_shows_what_is_new(samples: Script, tmp_path: Path) -> None:
    wanted = READY.replace('output = "ready to work"', 'output = "to work"')
    done = samples("--rebuild", sample(tmp_path / "again", wanted))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[-2:] == ["13", "B"], "the size of the changed file"
    lost = samples("--rebuild", sample(tmp_path / "lost", wanted.replace("ready", "nowhere")))
    assert lost.returncode == 1 and "word does not hold 'nowhere'" in lost.stderr


@pytest.mark.parametrize(
    ("expected", "procfile", "says"),
    [
        ('output = "never said"', "web: cat word", "without the output 'never said'"),
        ('text = "a page"', "web: cat word", "the process ended with 0"),
        ('output = "ready"', "web: trap '' TERM; cat word; while :; do sleep 1; done", "did not end within 10 s"),
        ('output = "ready"\nprocess = "worker"', "web: cat word", "no process 'worker'"),
        ('output = "ready"\npage = 1', "web: cat word", "unknown keys: page"),
        ('text = "a"\noutput = "b"', "web: cat word", "either text"),
        ('output = "ready"', "nothing", "procfile.syntax"),
    ],
)
def test_an_app_that_does_not_is_named_with_the_reason(
    samples: Script, tmp_path: Path, expected: str, procfile: str, says: str
) -> None:
    done = samples(sample(tmp_path / "bad", expected, procfile))
    assert done.returncode == 1
    assert says in done.stderr and "FAILED" in done.stdout
    assert "Traceback" not in done.stderr
