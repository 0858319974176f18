"""Contexts and Dockerfiles made by chance from a seed: what two builders are given to compare what they make of it."""

from __future__ import annotations

import io
import os
import random
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

_NAMES = ("a.txt", "b.txt", "c.md", "run.sh", "with space", "ünïcode", ".hidden", "data.bin", "x", "long-" + "n" * 120)
_FOLDERS = ("dir", "dir/sub", "dir/sub/deep", "other", "Empty", "other/dots.d")
_MODES = (0o644, 0o600, 0o755, 0o640, 0o666, 0o4755, 0o444)


@dataclass
class Generated:
    """A context on disk and its Dockerfile; ``{base}`` in ``text`` is the base image's name."""

    context: Path
    text: str = ""
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def visible(self) -> list[str]:
        """Files that no ignore rule of ours can hide."""
        kept = [name for name in self.files if not name.endswith((".md", "x", ".hidden")) and "other/" not in name]
        return [name for name in kept if "deep" not in name] or ["archive.tar.gz"]


def generate(seed: int, context: Path) -> Generated:
    """The context and the Dockerfile of that seed; the same on every machine."""
    chance = random.Random(seed)
    made = Generated(context)
    _make_context(chance, made)
    made.text = _make_dockerfile(chance, made)
    return made


def _make_context(chance: random.Random, made: Generated) -> None:
    root = made.context
    root.mkdir()
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder).chmod(chance.choice((0o755, 0o755, 0o700, 0o775, 0o1777)))
    for number in range(chance.randint(6, 14)):
        folder = chance.choice(("", *_FOLDERS))
        name = os.path.join(folder, chance.choice(_NAMES))
        path = root / name
        if path.exists() or path.is_symlink() or folder == "Empty":
            continue
        path.write_bytes(chance.choice((b"", b"text\n", b"\0" * 5000, f"file {number}\n".encode() * 100)))
        path.chmod(chance.choice(_MODES))
        made.files.append(name)
    for number, target in enumerate(("a.txt", "../a.txt", "/etc/passwd", "sub", "nowhere", "..", "/dir")):
        if chance.random() < 0.5:
            name = f"dir/link{number}"
            os.symlink(target, root / name)
            made.links.append(name)
    if not (root / "a.txt").exists():  # a wildcard that finds nothing is an error for Buildah alone
        (root / "a.txt").write_text("a\n")
        made.files.append("a.txt")
    if chance.random() < 0.3:
        os.link(root / made.files[0], root / "dir" / "hardlink")
    with tarfile.open(root / "archive.tar.gz", "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for name, mode, content in (("in/one", 0o600, b"1"), ("in/two", 0o4755, b"2" * 700), ("top", 0o644, b"t")):
            info = tarfile.TarInfo(name)
            info.mode, info.size, info.uid, info.gid = mode, len(content), chance.choice((0, 7)), chance.choice((0, 8))
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("in/link")
        link.type, link.linkname = tarfile.SYMTYPE, "one"
        tar.addfile(link)
    if chance.random() < 0.4:
        rules = chance.sample(("*.md", "other/*", "!other/dots.d", "**/x", "dir/sub/deep", ".hidden", "# note"), 3)
        (root / ".dockerignore").write_text("\n".join(rules) + "\n")


def _make_dockerfile(chance: random.Random, made: Generated) -> str:
    lines = ["ARG GLOBAL=global"]
    stages = chance.randint(1, 3)
    for stage in range(stages):
        previous = f"s{stage - 1}"
        base = previous if stage and chance.random() < 0.4 else "{base}"
        lines.append(f"FROM {base} AS s{stage}")
        lines += [_instruction(chance, made, previous if stage else None) for _ in range(chance.randint(4, 9))]
    return "\n".join(lines) + "\n"


def _instruction(chance: random.Random, made: Generated, previous: str | None) -> str:
    kinds = ["copy"] * 5 + ["run"] * 4 + ["config"] * 4 + ["workdir", "add"]
    if previous:
        kinds += ["from"] * 3
    match chance.choice(kinds):
        case "copy":
            return _copy(chance, made)
        case "run":
            command = chance.choice(_COMMANDS)
            return f"RUN {command}" if command.startswith("[") else f"RUN ({command}) || true"  # as ann, some fail
        case "workdir":
            return "WORKDIR " + chance.choice(("/srv", "deep/er", "/srv/app/", "/home/ann", "/x/../y"))
        case "add":
            flag = chance.choice(("", "", "--chmod=0751 "))
            return f"ADD {flag}{chance.choice(made.visible())} /added/" if flag else "ADD archive.tar.gz /unpacked/"
        case "from":
            source = chance.choice(("/etc/group", "/srv", "/made", "/home", "/bin/sh"))
            return f"COPY {_flags(chance)}--from={previous} {source} {chance.choice(('/from/', '/from2'))}"
        case _:
            return chance.choice(_CONFIG)


def _flags(chance: random.Random) -> str:
    return chance.choice(("", "", "", "--chown=7:8 ", "--chown=ann ", "--chown=ann:0 ", "--chmod=0750 "))


def _copy(chance: random.Random, made: Generated) -> str:
    flags = _flags(chance)
    file = chance.choice(made.visible())
    match chance.randint(0, 5):
        case 0:
            return f"COPY {flags}dir {chance.choice(('/d', '/d/', 'rel', './rel/', '/srv'))}"
        case 1:
            return f"COPY {flags}*.txt {chance.choice(('/texts/', 'texts2/'))}"
        case 2:
            return f"COPY {flags}dir other /both/"
        case 3:
            return f"COPY {flags}dir/. ."
        case _:
            target = chance.choice(("/f/", "/g", "name", "./", "/home/ann/", "/a/b/c/d"))
            return f'COPY {flags}["{file}", "{target}"]'


_COMMANDS = (
    "true",
    "mkdir -p /made/by/run && echo hello > /made/by/run/file && chmod 640 /made/by/run/file",
    "echo again >> /etc/group && rm -f /etc/group.old",
    "rm -rf /d /f && mkdir -p /d && echo new > /d/new",
    "ln -sf /etc/passwd /made-link; ln -sf nowhere /dangling",
    "mkdir -p /owned && touch /owned/f && chown -R 7:8 /owned",
    "touch /etc/passwd; chmod 600 /etc/group",
    "mkdir -p /h && echo x > /h/one && ln -f /h/one /h/two",
    "rm -f /bin/vi",
    "mkfifo /pipe 2>/dev/null || true",
    'echo "$GLOBAL|$A|$B|$PATH|$HOME|$(id -u):$(id -g)|$(pwd)" > /tmp/env-$(id -u)',
    "mkdir -p /stick && chmod 1777 /stick && chmod 2755 /stick",
    "mv /home/ann /home/bob 2>/dev/null; mkdir -p /home/ann; true",
    '["/bin/sh", "-c", "echo exec form > /tmp/exec"]',
)
_CONFIG = (
    "ENV A=1 B=${A:-default}",
    'ENV A="two words" C=$B$A',
    "ARG GLOBAL",
    "ARG B=arg",
    "ARG LATE=${GLOBAL:+set}",
    "LABEL one=1 two.three='x y'",
    "LABEL v=$A",
    "EXPOSE 80 443/udp",
    "EXPOSE 53/tcp",
    'CMD ["serve", "--all"]',
    "CMD echo shell form",
    'ENTRYPOINT ["/bin/sh", "-c"]',
    "STOPSIGNAL SIGUSR1",
    "HEALTHCHECK --interval=5s --retries=2 CMD true",
    "HEALTHCHECK NONE",
    "USER ann",
    "USER 0",
    "USER 7:8",
    "ONBUILD RUN echo later",
)
