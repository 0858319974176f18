"""COPY and ADD side by side with Buildah: the cases of the table, and contexts made by chance.

Compared are the trees: kind, mode, owner, content, link target, hard links. Where the two differ, BuildKit differs from
Buildah, or Buildah's version here is older than the flag; each such case is listed, and must really differ.
"""

from __future__ import annotations

import io
import os
import random
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cases import Case, load_cases

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "dockerfile"))
from copy_trees import MemoryTree, make_context, parse_spec, render

from lifecycle.archive import extract, walk, write_tar
from lifecycle.archive.filetree import ROOT
from lifecycle.dockerfile.copying import place, select
from lifecycle.errors import PylifeError

FLAGS_IT_LACKS = ("--link", "--parents", "--exclude", "--unpack", "<<")
_SPECIAL = "Buildah takes setuid and setgid away"
_REPLACES = "Buildah replaces what is in the way"
_NO_LINKS = "Buildah refuses names through links, and hard links to what is no file, in an archive"
_WHITEOUT = "Buildah leaves the file out without a word"
_NO_MATCH = "a pattern must match in Buildah"
_SYMBOLIC = "this Buildah knows octal modes only"

#: case → where BuildKit, and so pylife, differs from Buildah
DIFFERENCES = {
    "archives: the owner is for all in it and for the destination": "Buildah chowns the destination only",
    "archives: an existing destination keeps its mode": "Buildah gives the destination the mode of the archive's root",
    "archives: a hard link to a file that is there": "Buildah gives the file the owner of the link's header",
    "archives: a hard link to itself": _NO_LINKS,
    "archives: a hard link to a link": _NO_LINKS,
    "archives: a file through a link of the archive ends at the destination": _NO_LINKS,
    "archives: a file through an absolute link of the archive ends at the destination": _NO_LINKS,
    "archives: a file through a link that is there ends at the destination": _NO_LINKS,
    "archives: a name that means a deletion": _WHITEOUT,
    "basics: a destination of slash and dot is a directory too": "in Buildah it is a file's name",
    "basics: several files onto one name: the last wins": "several sources make a directory in Buildah",
    "basics: the first of several files makes a file, a directory after it cannot be": "so they do here",
    "basics: a FIFO stays one": "what is no plain file goes into a directory of the destination's name in Buildah",
    "basics: a socket becomes an empty file": "Buildah leaves sockets out",
    "basics: setuid, setgid and sticky bits are kept": _SPECIAL,
    "basics: a source with a blank": "Buildah knows quotes in the JSON form only",
    "conflicts: a nested directory onto a file": _REPLACES,
    "conflicts: a nested file onto a directory": _REPLACES,
    "conflicts: a nested directory onto a link to a directory": _REPLACES,
    "conflicts: a file into a directory that holds a directory of its name": _REPLACES,
    "conflicts: a nested link onto a directory": _REPLACES,
    "conflicts: two sources in each other's way": _REPLACES,
    "conflicts: a name that means a deletion": _WHITEOUT,
    "conflicts: a named file whose name means a deletion": _WHITEOUT,
    "ignored: a file taken back out of an ignored directory": "Buildah makes the directory above with 0755",
    "links: a link as destination is followed to a file": "Buildah replaces the link",
    "links: a dangling relative link as destination: its target is made": "Buildah makes it a directory",
    "links: hard links of a symbolic link": "Buildah makes two links",
    "owners: root needs no file": "Buildah looks root up too",
    "owners: setuid survives": _SPECIAL,
    "owners: the first line of a name counts": "Buildah wants all seven fields of a line",
    "owners: octal modes for made directories, without the bits of files": "they have 0755 in Buildah",
    "owners: symbolic modes": _SYMBOLIC,
    "owners: symbolic modes leave made directories alone": _SYMBOLIC,
    "owners: symbolic modes for one who runs": _SYMBOLIC,
    "owners: a mode for a FIFO": "as without a mode",
    "wildcards: a class makes a character literal": "the builder's own quoting of [ is lost in Buildah",
    "wildcards: an escaped star": "the escape is gone before the pattern is read in Buildah",
    "wildcards: nothing matches: nothing is made": _NO_MATCH,
    "wildcards: a pattern below nothing": _NO_MATCH,
    "wildcards: links within a pattern are not followed": "Buildah follows them",
}

CASES = load_cases("dockerfile/copy")
COMPARED = [case for case in CASES if not any(flag in case.sections["instruction"] for flag in FLAGS_IT_LACKS)]
SEEDS = range(40)


class Buildah:
    """Buildah with a storage of its own."""

    def __init__(self, program: str, place: Path) -> None:
        self._command = [program, "--root", str(place / "root"), "--runroot", str(place / "run")]
        self._bases: dict[str, str] = {"": "scratch"}

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, *map(str, words)], capture_output=True, text=True)

    def base(self, text: str) -> str:
        """The name of an image with the filesystem ``text``."""
        if text not in self._bases:
            name = f"localhost/base{len(self._bases)}"
            container = self.run("from", "scratch").stdout.strip()
            top = Path(self.run("mount", container).stdout.strip())
            unpack(MemoryTree.of(text), top)
            self.run("umount", container)
            self.run("commit", "-q", "--rm", container, name)
            self._bases[text] = name
        return self._bases[text]

    def build(self, line: str, sections: Mapping[str, str], place: Path) -> str:
        """The tree that one instruction makes, or ``error``."""
        lines = []
        if "stage" in sections:
            lines.append(f"FROM {self.base(sections['stage'])} AS other")
            line = line.replace("COPY ", "COPY --from=other ", 1)
        lines += [f"FROM {self.base(sections.get('target', ''))}", line]
        (place / "Dockerfile").write_text("\n".join(lines) + "\n")
        (place / "ignore").write_text(sections.get("ignore", ""))
        (place / "context").mkdir(exist_ok=True)
        flags = ["--isolation", "chroot", "-q", "--no-cache", "--ignorefile", place / "ignore"]
        done = self.run(
            "build", *flags, "-o", f"type=tar,dest={place / 'out.tar'}", "-f", place / "Dockerfile", place / "context"
        )
        if done.returncode:
            return "error"
        with (place / "out.tar").open("rb") as packed:
            (place / "out").mkdir()
            extract(packed, place / "out")
        return "\n".join(render(walk(place / "out")))


def unpack(tree: MemoryTree, top: Path) -> None:
    packed = io.BytesIO()
    write_tar(tree.walk(ROOT), packed)
    packed.seek(0)
    extract(packed, top)


@pytest.fixture(scope="module")
def buildah(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    if os.geteuid() != 0:
        pytest.skip("reading Buildah's storage needs root")
    place = tmp_path_factory.mktemp("buildah")
    buildah = Buildah(tool("buildah"), place)
    yield buildah
    buildah.run("rm", "-a")
    subprocess.run(["umount", place / "root" / "overlay"], capture_output=True)


def ours(line: str, sections: Mapping[str, str], place_: Path) -> str:
    context = make_context(place_ / "context", sections)
    tree = MemoryTree.of(sections["stage"]) if "stage" in sections else context
    target = MemoryTree.of(sections.get("target", ""))
    spec = parse_spec(line, sections)
    try:
        return target.apply(place(select(tree, spec), spec, target)).render()
    except PylifeError:
        return "error"


@pytest.mark.parametrize("case", COMPARED, ids=str)
def test_case_gives_what_buildah_gives(case: Case, buildah: Buildah, tmp_path: Path) -> None:
    line = case.sections["instruction"]
    mine = ours(line, case.sections, tmp_path)
    theirs = buildah.build(line, case.sections, tmp_path)
    if case.name in DIFFERENCES:
        assert mine != theirs, f"{case.name} is listed as different: {DIFFERENCES[case.name]}"
    else:
        assert mine == theirs


def written(name: str) -> str:
    return name.encode().decode("latin-1").encode("unicode_escape").decode().replace(" ", "\\x20")


def generate(seed: int) -> tuple[str, dict[str, str]]:
    """An instruction and what it meets, in the part of the language where both agree."""
    chance = random.Random(seed)
    names = ["a", "b", "c", "data.txt", "x y", "ünï", "-"]  # of directories with a "dir " before them

    def tree(roots: list[str], links: bool) -> list[str]:
        lines = []
        for root in roots:
            lines.append(f"d {chance.choice(['0755', '0700', '1777'])} {root}")
            for name in chance.sample(names, chance.randint(1, 5)):
                kind = chance.randint(0, 5 if links else 3)
                path = written(f"{root}/{'dir ' * (kind == 0)}{name}")
                match kind:
                    case 0:
                        lines.append(f"d {chance.choice(['0755', '0711'])} {path}")
                        lines.append(f"f 0644 {path}/inner = {chance.random()}")
                    case 4:
                        lines.append(f"l {path} -> {chance.choice(['a', '/etc/passwd', '../..', 'nowhere'])}")
                    case 5 if any(line.startswith("f") for line in lines):
                        first = chance.choice([line.split(" ")[2] for line in lines if line.startswith("f")])
                        lines.append(f"h {path} = {first}")
                    case _:
                        mode = chance.choice(["0644", "0600", "0755", "0444"])
                        lines.append(f"f {mode} {path} = {chance.random()}")
        return lines

    sections = {"context": "\n".join(tree(["src", "lib"], True))}
    if chance.random() < 0.6:
        sections["target"] = "\n".join(tree(["app", "opt"], False))
    flags = ""
    if chance.random() < 0.4:
        flags += chance.choice([" --chown=5", " --chown=7:8", " --chown=0:9"])
    sources = chance.choice([["src"], ["src/"], ["."], ["src", "lib"], ["src/*"], ["li?"], ["*/*"], ["src/[!-z]*"]])
    destination = chance.choice(["/new/", "/new", "/new/deep/er/", "/app/", "/app", "/"])
    if "*" in sources[0] and not destination.endswith("/"):
        destination += "/"  # several files onto one name are a listed difference
    return f"COPY{flags} {shlex.join(sources) if len(sources) > 1 else sources[0]} {destination}", sections


@pytest.mark.parametrize("seed", SEEDS)
def test_generated_copy_gives_what_buildah_gives(seed: int, buildah: Buildah, tmp_path: Path) -> None:
    line, sections = generate(seed)
    mine = ours(line, sections, tmp_path)
    assert mine == buildah.build(line, sections, tmp_path), f"{line}\n{sections}"
