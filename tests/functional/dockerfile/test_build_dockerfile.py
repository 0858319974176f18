"""``pylife build --dockerfile`` from outside: what is built, found again, told, kept and refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Protocol

import pytest
from dockerfile_command import Pylife

from lifecycle.testing.busybox import find_busybox

_BASE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && mkdir -m 1777 /tmp"]
"""


class Server(Protocol):
    """A registry that runs, at ``host:port``."""

    @property
    def address(self) -> str: ...


@pytest.fixture
def base(pylife_home: Pylife, tmp_path: Path) -> Pylife:
    """pylife whose store has ``base``: the host's static busybox, installed by a RUN."""
    context = tmp_path / "base"
    context.mkdir()
    shutil.copy(find_busybox(), context / "busybox")
    (context / "Dockerfile").write_text(_BASE)
    pylife_home.build(context, "--image", "base", "-q")
    return pylife_home


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with two files."""
    place = tmp_path / "context"
    (place / "src").mkdir(parents=True)
    (place / "src" / "app.sh").write_text("#!/bin/sh\necho hello\n")
    (place / "notes.txt").write_text("notes\n")
    return place


def _write(context: Path, text: str) -> Path:
    (context / "Dockerfile").write_text(text)
    return context / "Dockerfile"


def _summary(pylife: Pylife, context: Path, *args: str | Path) -> dict[str, Any]:
    """The data that a build tells at its end."""
    words = ("build", "--progress", "json", "--app", context, "--dockerfile", context / "Dockerfile", *args)
    done = pylife.run(*words)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    found: dict[str, Any] = next(event for event in events if event.get("event") == "summary")
    return found.get("data", found)


def test_stages_arguments_and_copies_make_an_image_that_runs(base: Pylife, context: Path) -> None:
    _write(
        context,
        "ARG BASE=base\nFROM $BASE AS build\nARG GREETING=hello\nWORKDIR /job\nCOPY src/ .\n"
        "RUN sed -i s/hello/$GREETING/ app.sh && chmod +x app.sh\n"
        "FROM base\nCOPY --from=build --chown=7:8 /job/app.sh /app/\nUSER 7:8\nENTRYPOINT ['/bin/sh', '-c']\n"
        'ENTRYPOINT ["/app/app.sh"]\n',
    )
    base.build(context, "--image", "demo", "--build-arg", "GREETING=moin")
    assert base("run", "demo") == "moin\n"
    assert base("run", "--entrypoint", "stat", "demo", "--", "-c", "%u:%g", "/app/app.sh") == "7:8\n"


def test_the_same_input_gives_the_same_digest_anywhere(base: Pylife, context: Path, tmp_path: Path) -> None:
    _write(context, "FROM base\nCOPY . /app\nRUN date > /dev/null; echo built > /app/built\n")
    first = base.build(context, "--image", "demo")
    os.utime(context / "notes.txt", (1, 1))
    assert base.build(context, "--image", "demo", "--no-cache") == first
    base("copy", "base", f"oci:{tmp_path / 'moved'}")
    other = Pylife(tmp_path / "other-home")
    other("copy", f"oci:{tmp_path / 'moved'}", "base")
    assert other.build(context, "--image", "demo") == first


def test_an_unchanged_build_is_found_again_and_a_changed_file_is_not(base: Pylife, context: Path) -> None:
    _write(context, "FROM base\nCOPY src /app\nRUN cp /app/app.sh /copied\n")
    first = _summary(base, context, "--image", "demo")
    assert len(first["new"]) == 2
    again = _summary(base, context, "--image", "demo")
    assert again["unchanged"] is True
    assert again["digest"] == first["digest"]
    (context / "notes.txt").write_text("changed, but not copied\n")
    assert _summary(base, context, "--image", "demo")["unchanged"] is True
    (context / "src" / "app.sh").write_text("changed\n")
    changed = _summary(base, context, "--image", "demo")
    assert changed["unchanged"] is False
    assert len(changed["new"]) == 2


@pytest.mark.parametrize("change", ["dockerfile", "ignore", "base", "epoch", "gone"])
def test_an_unchanged_build_is_not_found_when_something_else_changed(
    base: Pylife, context: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(context, "FROM base\nCOPY . /app\n")
    first = _summary(base, context, "--image", "demo")
    if change == "dockerfile":
        _write(context, "FROM base\nCOPY . /app\nENV A=1\n")
    elif change == "ignore":
        (context / ".dockerignore").write_text("notes.txt\n")
    elif change == "base":
        _write(context, "FROM base\nENV X=1\n")
        base.build(context, "--image", "base")
        _write(context, "FROM base\nCOPY . /app\n")
    elif change == "epoch":
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    else:
        base("rmi", "demo")
    again = _summary(base, context, "--image", "demo")
    assert (again["digest"] == first["digest"]) is (change == "gone")
    assert base("inspect", "demo")


def test_a_step_that_fails_says_where_and_what_and_gives_its_exit_code(base: Pylife, context: Path) -> None:
    _write(context, "FROM base\nENV A=1\nWORKDIR /job\nRUN echo before; \\\n    exit 7\n")
    done = base.run("build", "--app", context, "-f", context / "Dockerfile", "--image", "x")
    assert done.returncode == 7
    assert "Dockerfile:4:1" in done.stderr
    assert "4 | RUN echo before" in done.stderr
    assert "exit code 7" in done.stderr
    assert base.run("inspect", "x").returncode != 0


def test_a_failed_step_can_be_entered_as_it_was_left(base: Pylife, context: Path) -> None:
    _write(context, "FROM base\nENV A=1\nWORKDIR /job\nUSER 1000\nRUN echo left > /tmp/left; false\n")
    done = base.run("build", "--app", context, "-f", context / "Dockerfile", "--image", "x", "--keep-failed")
    assert done.returncode == 1
    command = done.stderr.partition("`pylife run --failed ")[2].partition("`")[0]
    inside = base("run", "--failed", command, "--", "sh", "-c", "cat /tmp/left; echo $A; pwd; id -u")
    assert inside == "left\n1\n/job\n1000\n"


def test_a_secret_is_seen_by_its_step_alone(base: Pylife, context: Path, tmp_path: Path) -> None:
    secret = "a-secret-nobody-should-find"
    (tmp_path / "secret").write_text(secret)
    _write(context, "FROM base\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s; cat /run/secrets/s\n")
    words = ("build", "--app", context, "-f", context / "Dockerfile", "--image", "demo")
    done = base.run(*words, "--secret", f"id=s,src={tmp_path / 'secret'}")
    assert done.returncode == 0, done.stderr
    assert str(len(secret)) in done.stderr
    assert secret not in done.stderr
    found = subprocess.run(["grep", "-rl", secret, str(base.home)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_a_target_goes_to_a_directory_without_a_name(base: Pylife, context: Path, tmp_path: Path) -> None:
    _write(
        context,
        "FROM base AS build\nRUN echo made > /out\nFROM scratch AS files\nCOPY --from=build /out /\n"
        "FROM base\nRUN false\n",
    )
    out = base.build(context, "--target", "files", "--output", f"type=local,dest={tmp_path / 'out'}")
    assert out == ""
    assert (tmp_path / "out" / "out").read_text() == "made\n"


def test_an_image_for_two_platforms_is_one_index(base: Pylife, context: Path) -> None:
    _write(context, "FROM scratch\nARG TARGETARCH\nCOPY notes.txt /$TARGETARCH\n")
    base.build(context, "--image", "demo", "--platform", "linux/amd64,linux/arm64")
    shown = base("inspect", "demo")
    assert "application/vnd.oci.image.index.v1+json" in shown
    assert "linux/amd64  sha256:" in shown
    assert "linux/arm64  sha256:" in shown


def test_a_foreign_step_is_refused_before_anything_runs(base: Pylife, context: Path) -> None:
    _write(context, "FROM base\nRUN echo ran\nRUN true\n")
    done = base.run("build", "--app", context, "-f", context / "Dockerfile", "-t", "x", "--platform", "linux/s390x")
    assert done.returncode == 1
    assert "dockerfile.foreign-platform" in done.stderr
    assert "Dockerfile:2" in done.stderr
    assert "Dockerfile:3" in done.stderr
    assert "] ran" not in done.stderr


def test_the_small_files_tell_id_digest_and_more(base: Pylife, context: Path, tmp_path: Path) -> None:
    _write(context, "FROM base\nCOPY notes.txt /\n")
    files = {name: tmp_path / name for name in ("iid", "digest", "metadata")}
    out = base.build(
        context, "--image", "demo", "--iidfile", files["iid"], "--digest-file", files["digest"],
        "--metadata-file", files["metadata"],
    )  # fmt: skip
    digest = out.strip().partition("@")[2]
    assert files["digest"].read_text().strip() == digest
    data = json.loads(files["metadata"].read_text())
    assert data["containerimage.digest"] == digest
    assert data["containerimage.config.digest"] == files["iid"].read_text().strip()


def test_a_cache_elsewhere_spares_another_machine_the_work(base: Pylife, context: Path, tmp_path: Path) -> None:
    _write(context, "FROM base AS one\nRUN echo 1 > /one\nFROM base\nCOPY --from=one /one /\nRUN echo 2 > /two\n")
    cache = tmp_path / "cache"
    first = base.build(context, "--image", "demo", "--cache-to", f"type=local,dest={cache},mode=max")
    base("copy", "base", f"oci:{tmp_path / 'moved'}")
    other = Pylife(tmp_path / "other-home")
    other("copy", f"oci:{tmp_path / 'moved'}", "base")
    words = ("build", "--app", context, "-f", context / "Dockerfile", "--image", "demo", "--explain-cache")
    done = other.run(*words, "--cache-from", f"type=local,src={cache}")
    assert done.stdout == first
    assert "miss:" not in done.stderr


def test_explaining_names_the_file_that_changed(base: Pylife, context: Path) -> None:
    _write(context, "FROM base\nARG A=1\nCOPY src /app\nRUN echo $A\n")
    words = ("build", "--app", context, "-f", context / "Dockerfile", "--image", "demo", "--explain-cache")
    base.run(*words)
    (context / "src" / "app.sh").write_text("other\n")
    done = base.run(*words)
    assert "file src/app.sh changed" in done.stderr or "app.sh changed" in done.stderr
    done = base.run(*words, "--build-arg", "A=2")
    assert "argument A" in done.stderr


def test_a_registrys_name_is_pushed_and_its_layers_can_be_a_cache(
    base: Pylife, context: Path, registry_server: Server, tmp_path: Path
) -> None:
    _write(context, "FROM base\nRUN echo 1 > /one\n")
    name = f"{registry_server.address}/demo:1"
    out = base.build(context, "-t", name, "--cache-to", "type=inline")
    assert out.startswith(name)
    base("push", "base", f"{registry_server.address}/base:latest")
    other = Pylife(tmp_path / "other-home")
    _write(context, f"FROM {registry_server.address}/base\nRUN echo 1 > /one\n")
    words = ("build", "--app", context, "-f", context / "Dockerfile", "-t", "again", "--cache-from", name)
    done = other.run(*words, "--explain-cache")
    assert done.returncode == 0, done.stderr
    assert "hit:" in done.stderr


def test_a_layout_and_an_archive_can_be_bases(base: Pylife, context: Path, tmp_path: Path) -> None:
    base("copy", "base", f"oci:{tmp_path / 'layout'}:v1")
    base("copy", "base", f"docker-archive:{tmp_path / 'base.tar'}")
    _write(
        context,
        f"FROM oci:{tmp_path / 'layout'}:v1 AS one\nRUN echo 1 > /one\n"
        f"FROM docker-archive:{tmp_path / 'base.tar'}\nCOPY --from=one /one /\nCMD cat /one\n",
    )
    base.build(context, "--image", "demo")
    assert base("run", "demo") == "1\n"


def test_contexts_by_name_take_the_place_of_stages_and_images(base: Pylife, context: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "word").write_text("from outside\n")
    _write(
        context, "FROM nowhere\nCOPY --from=data word /\nRUN --mount=from=data,target=/d cat /d/word\nCMD cat /word\n"
    )
    base.build(
        context, "--image", "demo", "--build-context", f"data={tmp_path / 'data'}",
        "--build-context", "nowhere=docker-image://base",
    )  # fmt: skip
    assert base("run", "demo") == "from outside\n"


def test_a_dockerfile_may_come_from_standard_input_and_in_pieces(base: Pylife, context: Path, tmp_path: Path) -> None:
    done = base.run("build", "--app", context, "-f", "-", "-t", "x", stdin=b"FROM base\nCOPY notes.txt /\n")
    assert done.returncode == 0, done.stderr
    (tmp_path / "first").write_text("FROM base\n")
    (tmp_path / "second").write_text("CMD echo pieces\n")
    base("build", "--app", context, "-f", tmp_path / "first", "-f", tmp_path / "second", "-t", "x")
    assert base("run", "x") == "pieces\n"


def test_a_context_may_be_an_archive(base: Pylife, context: Path, tmp_path: Path) -> None:
    _write(context, "FROM base\nCOPY notes.txt /\nCMD cat /notes.txt\n")
    with tarfile.open(tmp_path / "context.tar.gz", "w:gz") as archive:
        archive.add(context, arcname=".")
    base("build", "--app", tmp_path / "context.tar.gz", "-f", "Dockerfile", "-t", "x")
    assert base("run", "x") == "notes\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--env", "A=1"), "--build-arg"),
        (("--builder", "x"), "--builder is for buildpacks"),
        (("--run-image", "x"), "FROM"),
        (("--target", "nope"), "could not be found"),
        (("--build-context", "nonsense"), "source.bad-build-context"),
        (("--cache-to", "type=gha"), "cache.unsupported"),
        (("--platform", "?"), "image.bad-platform"),
        (("--secret", "src=x"), "secret.bad-option"),
        (("--cache-ttl", "soon"), "not a duration"),
        (("--output", "type=nope"), "type"),
        (("-f", "nope"), "no Dockerfile nope"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_meant_is_refused(pylife_home: Pylife, context: Path, args: tuple[str, ...], said: str) -> None:
    _write(context, "FROM scratch\nCOPY notes.txt /\n")
    done = pylife_home.run("build", "--app", context, "-f", context / "Dockerfile", "-t", "x", *args)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "fix:" in done.stderr


def test_dockerfile_options_without_a_dockerfile_are_refused(pylife_home: Pylife, context: Path) -> None:
    done = pylife_home.run("build", "--app", context, "-t", "x", "--target", "y")
    assert done.returncode == 2
    assert "--target means something only with --dockerfile" in done.stderr


def test_checks_alone_build_nothing(pylife_home: Pylife, context: Path) -> None:
    _write(context, "FROM scratch\nMAINTAINER me\nCOPY notes.txt /\n")
    out = pylife_home.build(context, "--check")
    assert "MaintainerDeprecated" in out
    assert not (pylife_home.home / "store" / "index.json").exists() or pylife_home("images") != ""
    _write(context, "# check=error=true\nFROM scratch\nMAINTAINER me\nCOPY notes.txt /\n")
    assert pylife_home.run("build", "--app", context, "-f", context / "Dockerfile", "-t", "x").returncode == 1
