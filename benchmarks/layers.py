"""Writing, unpacking and pushing a layer of some 200 MB in 10,000 files."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.servers import Registry

FILES = 10_000
_WORDS = [
    bytes(random.Random(n).choices(b"abcdefghijklmnopqrstuvwxyz", k=random.Random(n).randint(2, 11)))
    for n in range(4000)
]
_OURS = [sys.executable, "-m", "benchmarks.layer"]


def make_tree(root: Path) -> None:
    """The same tree on every machine: text, numbers and noise, as in an app's dependencies."""
    chance = random.Random(42)
    for number in range(FILES):
        directory = root / f"package{number % 97:02}" / f"module{number % 13}"
        directory.mkdir(parents=True, exist_ok=True)
        size = int(chance.lognormvariate(9.2, 1.1))
        kind = number % 4
        if kind == 0:
            data = chance.randbytes(size)
        else:
            data = b" ".join(chance.choices(_WORDS, k=size // 6 + 1))[:size]
        (directory / f"file{number}.dat").write_bytes(data)


def contests(place: Path, registry: Registry) -> list[tuple[Any, ...]]:
    """(title, ours, peers) for each job. Whatever is not the job itself is prepared outside the measured command."""
    place.mkdir()
    tree = place / "tree"
    make_tree(tree)
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    print(f"a tree of {size / 1e6:.0f} MB in {FILES} files")
    counter = itertools.count()

    def fresh(name: str) -> Path:
        directory = place / f"{name}{next(counter)}"
        shutil.rmtree(directory, ignore_errors=True)
        return directory

    store = place / "store"
    subprocess.run([*_OURS, "write", tree, store, "bench"], check=True, stdout=subprocess.DEVNULL)
    archive = place / "tree.tar.gz"
    subprocess.run(f"tar -C {tree} -cf - . | gzip > {archive}", shell=True, check=True)
    container = subprocess.run(
        ["buildah", "from", "scratch"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["buildah", "add", "-q", container, str(tree), "/"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["buildah", "commit", "-q", container, f"oci:{place}/peer:bench"], check=True, stdout=subprocess.DEVNULL
    )
    image = subprocess.run(
        ["buildah", "commit", "-q", container, "localhost/pylife-bench"], capture_output=True, text=True, check=True
    ).stdout.strip()

    def emptied(command: Callable[[], Sequence[str] | str]) -> Callable[[], Sequence[str] | str]:
        """Nobody may profit from what an earlier push left in the registry."""

        def prepare() -> Sequence[str] | str:
            registry.empty()
            return command()

        return prepare

    return [
        (
            "write: tree to a committed gzip blob with its digests",
            lambda: [*_OURS, "write", str(tree), str(fresh("out")), "bench"],
            {
                "tar | gzip | sha256sum": lambda: f"tar -C {tree} -cf - . | gzip | tee {fresh('t')}.gz | sha256sum",
                "buildah commit": lambda: ["buildah", "commit", "-q", container, f"oci:{fresh('b')}:bench"],
            },
        ),
        (
            "unpack: gzip blob to a directory, digest checked",
            lambda: [*_OURS, "unpack", str(store), "bench", str(fresh("unpacked"))],
            {
                "gzip -d | tar -x": lambda: f"mkdir {(d := fresh('x'))} && gzip -dc {archive} | tar -xf - -C {d}",
                "buildah pull": lambda: [
                    *("buildah", "--root", str(fresh("root")), "--runroot", str(fresh("runroot"))),
                    *("pull", "-q", f"oci:{place}/peer:bench"),
                ],
            },
        ),
        (
            "push: the stored image to a registry on loopback",
            emptied(lambda: [*_OURS, "push", str(store), "bench", f"{registry.host}/ours{next(counter)}"]),
            {
                "buildah push": emptied(
                    lambda: [
                        *("buildah", "push", "-q", "--tls-verify=false"),
                        *(image, f"docker://{registry.host}/theirs{next(counter)}"),
                    ]
                ),
                "skopeo copy": emptied(
                    lambda: [
                        *("skopeo", "copy", "-q", "--dest-tls-verify=false"),
                        *(f"oci:{place}/peer:bench", f"docker://{registry.host}/skopeo{next(counter)}"),
                    ]
                ),
            },
        ),
        (
            "write and push: tree to registry",
            emptied(
                lambda: [*_OURS, "write-push", str(tree), str(fresh("both")), f"{registry.host}/both{next(counter)}"]
            ),
            {
                "tar | gzip, curl PUT": emptied(
                    lambda: _tar_gzip_curl(tree, fresh("curl"), f"{registry.host}/curl{next(counter)}")
                ),
            },
        ),
    ]


def _tar_gzip_curl(tree: Path, out: Path, name: str) -> str:
    """What a shell script does: make the archive, learn its digest, open an upload, send it."""
    host, _, repository = name.partition("/")
    return (
        f"tar -C {tree} -cf - . | gzip > {out} && digest=sha256:$(sha256sum {out} | cut -d' ' -f1) && "
        f"url=$(curl -sf -X POST -D - -o /dev/null http://{host}/v2/{repository}/blobs/uploads/"
        " | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p') && "
        f'curl -sf -T {out} -H "Content-Type: application/octet-stream" "$url&digest=$digest"'
    )
