"""One Dockerfile in every kind of sandbox: the same image, or an error that says what is not possible."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import elsewhere
import pytest
from dockerfile_command import Pylife

Tool = Callable[[str], str]

# everything but what needs a second id
_ONE_ID = """\
FROM base AS build
ARG WORD=hello
WORKDIR /job/deep
COPY --chown=user:7 --chmod=u=rwX,g=rX,o= src/ src/
COPY --link --chown=12:34 links/ /links/
COPY --parents src/./tree/leaf /parents/
ADD data.tar.gz unpacked/
COPY --chmod=0700 <<EOF <<"RAW" /etc/notes/
word $WORD
EOF
word $WORD
RAW
RUN mkdir made && echo 1 > made/one && ln made/one made/two && ln -s one made/three && chmod 4711 made/one \\
 && mkfifo pipe && rm src/old && mv src/tree src/moved && rm -r unpacked/bin && mkdir unpacked/bin \\
 && echo new > unpacked/bin/new && echo more >> src/run.sh && touch src/run.sh && chmod 1777 /job
RUN --mount=type=bind,source=src,target=/context --mount=type=tmpfs,target=/memory \\
    --mount=type=cache,target=/cache,id=log --mount=type=secret,id=word,mode=0444 \\
    --mount=type=bind,from=base,source=/etc,target=/other,rw \\
    cat /context/run.sh /other/group > seen; touch /memory/x /other/x; echo line >> /cache/log; \\
    ls -l / /run > /listed; wc -c < /run/secrets/word >> seen; cp /cache/log log
RUN <<SCRIPT
#!/bin/sh
echo script > /script
SCRIPT
FROM base
COPY --from=build --chown=nobody /job /job
COPY --from=build /links /parents /etc/notes /script /out/
COPY --from=build --exclude=*.d /etc /out/etc/
WORKDIR /job/deep
RUN cat src/run.sh > /copied && rm -rf /job/deep/made
USER user
CMD ["cat", "/copied"]
"""
_MORE_IDS = """\
FROM base
RUN mkdir /shared && chown 5:6 /shared && chmod 2775 /shared && chown -h 8:9 /bin/true
USER user
WORKDIR /home/user/app
RUN id > /tmp/id && echo mine > mine && mkdir /tmp/mine
USER 5:6
RUN echo theirs > /shared/theirs && ! touch /home/user/app/x
"""


def _write_context(place: Path) -> Path:
    (place / "src" / "tree").mkdir(parents=True)
    (place / "src" / "tree" / "leaf").write_text("leaf\n")
    (place / "src" / "run.sh").write_text("echo run\n")
    (place / "src" / "run.sh").chmod(0o755)
    (place / "src" / "old").write_text("old\n")
    os.link(place / "src" / "run.sh", place / "src" / "same.sh")
    (place / "links").mkdir()
    for name, aim in (("away", "/etc/passwd"), ("up", "../../x"), ("dangling", "nowhere"), ("loop", "loop")):
        (place / "links" / name).symlink_to(aim)
    with tarfile.open(place / "data.tar.gz", "w:gz") as archive:
        for name, uid, mode in (("bin/tool", 3, 0o4755), ("bin/other", 4, 0o600), ("etc/x", 65533, 0o640)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid, entry.gid, entry.mode = 4, uid, uid + 1, mode
            archive.addfile(entry, BytesIO(b"tool"))
    (place / "one").write_text(_ONE_ID)
    (place / "more").write_text(_MORE_IDS)
    (place / "word").write_text("a-secret-word")
    for path in (place, *place.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else path.stat().st_mode | 0o444)
    return place


@pytest.fixture(scope="module")
def context(public_place: Path) -> Path:
    """The context, where every user may read it."""
    return _write_context(public_place / "context")


def _at(place: elsewhere.Elsewhere) -> Pylife:
    return Pylife(place.home, place.prefix, place.program)


def _build(pylife: Pylife, context: Path, which: str, *args: str) -> str:
    """The digest of the image that the Dockerfile ``which`` gives; the steps have been done, whatever was known."""
    secret = f"id=word,src={context / 'word'}"
    said = pylife.run("build", "--app", context, "-f", context / which, "-t", which, "--secret", secret, *args)
    assert said.returncode == 0, said.stderr
    assert "a-secret-word" not in said.stderr
    return said.stdout.strip().rpartition("@")[2]


@pytest.fixture(scope="module")
def expected(busybox_home: Pylife, context: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests that this user's own rung gives."""
    home = tmp_path_factory.mktemp("expected")
    shutil.copytree(busybox_home.home / "store", home / "store")
    return {which: _build(Pylife(home), context, which) for which in ("one", "more")}


@pytest.mark.parametrize("isolation", ["mountns", "userns", "chroot"])
def test_root_gets_the_same_image_in_every_kind_of_sandbox(
    busybox: Pylife, context: Path, expected: dict[str, str], isolation: str
) -> None:
    if os.geteuid() != 0 and isolation != "userns":
        pytest.skip(f"{isolation} needs root")
    assert {which: _build(busybox, context, which, "--isolation", isolation) for which in expected} == expected


def test_a_user_with_lent_ids_gets_the_same_image(
    busybox_home: Pylife, public_place: Path, context: Path, expected: dict[str, str]
) -> None:
    user = _at(elsewhere.as_user(public_place, busybox_home.home / "store", lent=True))
    assert {which: _build(user, context, which) for which in expected} == expected


def test_a_user_with_one_id_gets_the_same_image_where_no_other_is_needed(
    busybox_home: Pylife, public_place: Path, context: Path, expected: dict[str, str]
) -> None:
    user = _at(elsewhere.as_user(public_place, busybox_home.home / "store", lent=False))
    assert _build(user, context, "one") == expected["one"]
    done = user.run("build", "--app", context, "-f", context / "more", "-t", "more")
    assert done.returncode == 1
    assert "more:2:1" in done.stderr
    assert "chown: /shared: " in done.stderr


@pytest.mark.parametrize("seccomp", elsewhere.FILTERS)
def test_a_container_without_privileges_gives_the_same_image(
    busybox_home: Pylife,
    stack_home: Pylife,
    public_place: Path,
    context: Path,
    expected: dict[str, str],
    tool: Tool,
    seccomp: str,
) -> None:
    store, stack = busybox_home.home / "store", stack_home.home / "store"
    inside = _at(elsewhere.in_container(public_place, store, stack, tool, seccomp, shown=context))
    assert {which: _build(inside, context, which) for which in expected} == expected


@pytest.mark.parametrize(
    ("instruction", "said"),
    [
        ("RUN --network=none true", "cannot cut a step off from the network"),
        ("RUN --mount=type=tmpfs,target=/t,noexec true", "The mount at /t cannot be noexec without mounts"),
    ],
)
def test_what_chroot_cannot_give_is_refused_unless_the_user_accepts_it(
    busybox: Pylife, tmp_path: Path, instruction: str, said: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    (tmp_path / "Dockerfile").write_text(f"FROM base\n{instruction}\n")
    words = ("build", "--app", tmp_path, "-f", tmp_path / "Dockerfile", "-t", "x", "--isolation", "chroot")
    done = busybox.run(*words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "dockerfile.not-possible-here" in done.stderr
    assert "--allow-degraded" in done.stderr
    done = busybox.run(*words, "--allow-degraded")
    assert "warning" in done.stderr and said in done.stderr


def test_in_chroot_what_is_written_to_a_mount_that_is_read_only_reaches_nobody(busybox: Pylife, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    (tmp_path / "Dockerfile").write_text(
        "FROM base\nRUN --mount=type=cache,target=/c,id=c echo kept > /c/word\n"
        "RUN --mount=type=cache,target=/c,id=c,ro --mount=target=/x echo lost > /c/word; echo lost > /x/new\n"
        "RUN --mount=type=cache,target=/c,id=c cp /c/word /word\nCMD cat /word\n"
    )
    before = sorted(os.listdir(tmp_path))
    busybox("build", "--app", tmp_path, "-f", tmp_path / "Dockerfile", "-t", "x", "--isolation", "chroot")
    assert busybox("run", "x") == "kept\n"
    assert sorted(os.listdir(tmp_path)) == before


def test_a_home_inside_the_context_is_not_part_of_it(busybox_home: Pylife, tmp_path: Path) -> None:
    shutil.copytree(busybox_home.home / "store", tmp_path / "home" / "store")
    pylife = Pylife(tmp_path / "home")
    (tmp_path / "Dockerfile").write_text(
        "FROM base\nCOPY . /copied\nRUN --mount=target=/x ls /copied /x > /seen\nCMD cat /seen\n"
    )
    for isolation in ("auto", "chroot") if os.geteuid() == 0 else ("auto",):
        pylife.build(tmp_path, "--image", "demo", "--isolation", isolation, "--no-cache")
        assert "home" not in pylife("run", "demo")
