"""Debian packages away from /: what counts as installed, links, interpreters, paths and alternatives."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from debian_archive import Archive, need_apt
from pylife_sdk.debian.alternatives import make_alternatives
from pylife_sdk.debian.failures import near_names
from pylife_sdk.debian.paths import environment, library_directories, single_places
from pylife_sdk.debian.relocate import relocate
from pylife_sdk.debian.status import closure, held, present

MULTIARCH = f"{os.uname().machine}-linux-gnu"
STATUS = """Package: libc6
Status: install ok installed
Section: libs
Depends: libgcc-s1,
 libcrypt1 (>= 1:4.4)
Version: 2.36-9

Package: libgcc-s1
Status: install ok installed
Version: 12

Package: libcrypt1
Status: install ok installed
Version: 1:4.4

Package: bash
Status: install ok installed
Essential: yes
Pre-Depends: libc6 (>= 2.36)
Depends: awk | perl
Version: 5.2

Package: mawk
Status: install ok installed
Provides: awk (= 1)
Version: 1.3

Package: perl
Status: install ok installed
Section: perl
Version: 5.36

Package: libpq5
Status: install ok installed
Section: libs
Depends: libssl3
Version: 15

Package: libssl3
Status: install ok installed
Section: libs
Version: 3

Package: libpq-dev
Status: install ok installed
Section: libdevel
Depends: libpq5 (= 15), libother
Version: 15

Package: gone
Status: deinstall ok config-files
Essential: yes
Version: 1
"""


def stanza(status: str, name: str) -> str:
    return next(part for part in status.split("\n\n") if part.startswith(f"Package: {name}\n"))


def test_what_is_there_is_the_run_image_and_the_compilers_of_the_build_image() -> None:
    status = present(STATUS, ["libpq5"])
    names = [line[9:] for line in status.splitlines() if line.startswith("Package: ")]
    assert names == ["libc6", "libgcc-s1", "libcrypt1", "bash", "mawk", "libpq5", "libssl3", "libpq-dev"]
    assert held(status) == {"libc6", "libpq-dev"}
    assert "Depends" not in stanza(status, "libpq-dev")
    assert "libcrypt1 (>= 1:4.4)" in stanza(status, "libc6")


def test_unknown_run_image_has_only_what_is_essential() -> None:
    status = present(STATUS, [])
    assert "Package: libpq5\n" not in status
    assert "Package: mawk\n" in status


def test_closure_of_this_machine_has_no_open_end() -> None:
    text = Path("/var/lib/dpkg/status").read_text(errors="replace") if Path("/var/lib/dpkg/status").exists() else ""
    stanzas = {part.split("\n", 1)[0][9:]: part for part in text.split("\n\n") if part.startswith("Package: ")}
    if not stanzas:
        pytest.skip("this machine has no dpkg")
    found = closure(stanzas, [])
    assert {"bash", "libc6", "dpkg"} <= found
    assert closure({name: stanzas[name] for name in found}, []) == found


def put(root: Path, name: str, text: str = "", mode: int = 0o644) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def link(root: Path, name: str, target: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def test_links_lead_where_their_targets_are(tmp_path: Path) -> None:
    put(tmp_path, "etc/tool/tool.conf", "x")
    inside = link(tmp_path, "usr/lib/tool/tool.conf", "/etc/tool/tool.conf")
    image = link(tmp_path, "usr/lib/tool/passwd", "/etc/passwd")
    beside = link(tmp_path, "etc/alias", "passwd")
    nowhere = link(tmp_path, "usr/lib/tool/nowhere", "nothing")
    relocate(str(tmp_path))
    assert os.readlink(inside) == "../../../etc/tool/tool.conf"
    assert inside.read_text() == "x"
    assert os.readlink(image) == "/etc/passwd"
    assert os.readlink(beside) == "/etc/passwd", "a library of the image that a link of the package names"
    assert os.readlink(nowhere) == "nothing"


def test_interpreters_and_own_paths_of_scripts(tmp_path: Path) -> None:
    put(tmp_path, "usr/bin/own-perl", "#!/bin/sh\n", 0o755)
    put(tmp_path, "usr/share/own-data/x", "")
    script = put(
        tmp_path,
        "usr/bin/tool",
        "#!/usr/bin/own-perl -w\n$d = '/usr/share/own-data'; $e = '/usr/share/own-data-2'; $f = '/usr/bin/env';\n",
        0o755,
    )
    shell = put(tmp_path, "usr/bin/plain", "#!/bin/sh\nexec /usr/share/own-data/x\n", 0o755)
    binary = tmp_path / "usr/bin/binary"
    binary.write_bytes(b"\x7fELF\0/usr/share/own-data\0")
    relocate(str(tmp_path))
    assert script.read_text() == (
        f"#!{tmp_path}/usr/bin/own-perl -w\n"
        f"$d = '{tmp_path}/usr/share/own-data'; $e = '/usr/share/own-data-2'; $f = '/usr/bin/env';\n"
    )
    assert shell.read_text() == f"#!/bin/sh\nexec {tmp_path}/usr/share/own-data/x\n"
    assert binary.read_bytes() == b"\x7fELF\0/usr/share/own-data\0"
    assert os.access(script, os.X_OK)


def test_compilers_find_headers_and_libraries(tmp_path: Path) -> None:
    put(tmp_path, "usr/include/own.h", "#define OWN 1\n")
    place = f"usr/lib/{MULTIARCH}/pkgconfig/own.pc"
    put(
        tmp_path,
        place,
        f"prefix=/usr\nlibdir=${{prefix}}/lib/{MULTIARCH}\nName: own\nDescription: x\nVersion: 1.5\n"
        "Cflags: -I${prefix}/include -DOWN=1\nLibs: -L${libdir} -lown\n",
    )
    relocate(str(tmp_path))
    paths = environment(str(tmp_path))
    assert paths["CPATH"] == [f"{tmp_path}/usr/include"]
    if Path("/usr/bin/pkg-config").exists():
        env = {"PKG_CONFIG_PATH": ":".join(paths["PKG_CONFIG_PATH"]), "PATH": "/usr/bin:/bin"}
        command = ["pkg-config", "--variable=prefix", "own"]
        assert subprocess.run(command, env=env, capture_output=True, text=True).stdout.strip() == f"{tmp_path}/usr"


def test_private_libraries_are_found(tmp_path: Path) -> None:
    put(tmp_path, f"usr/lib/{MULTIARCH}/pulse/libpulsecommon.so.1")
    put(tmp_path, f"usr/lib/{MULTIARCH}/plugins/filter.so")
    put(tmp_path, "opt/own/lib/libown.so")
    put(tmp_path, "etc/ld.so.conf.d/own.conf", "# own\n/opt/own/lib\n/opt/none\n")
    put(tmp_path, "etc/fonts/fonts.conf")
    found = [os.path.relpath(path, tmp_path) for path in library_directories(str(tmp_path))]
    assert found == [f"usr/lib/{MULTIARCH}", "usr/lib", "opt/own/lib", f"usr/lib/{MULTIARCH}/pulse"]
    assert single_places(str(tmp_path)) == {"FONTCONFIG_PATH": f"{tmp_path}/etc/fonts"}


def test_alternatives_are_linked_by_priority_without_running_a_script(tmp_path: Path) -> None:
    for name in ("usr/bin/convert-im6", "usr/bin/identify-im6", "usr/bin/convert-gm", "usr/lib/vm/bin/run"):
        put(tmp_path, name)
    made = make_alternatives(
        [
            "update-alternatives --install /usr/bin/convert convert /usr/bin/convert-gm 5\n",
            (
                "for prog in convert identify missing; do\n  update-alternatives --install /usr/bin/$prog \\\n"
                "    ${prog} /usr/bin/$prog-im6 10 \\\n    --slave /usr/share/man/$prog.1 x /usr/share/man/x\ndone\n"
            ),
            (
                "base=/usr/lib/vm\ntools='run jump'\nfor tool in $tools; do\n"
                "update-alternatives --install /usr/bin/$tool $tool $base/bin/$tool 20; done\n"
            ),
            "update-alternatives --install /usr/bin/$(rm -rf x) a /usr/bin/convert-gm 99\n",
            "update-alternatives --install /usr/../../outside a /usr/bin/convert-gm 99\n",
            'update-alternatives --install "unfinished\n',
        ],
        str(tmp_path),
    )
    assert made == ["convert -> convert-im6", "identify -> identify-im6", "run -> run"]
    assert os.readlink(tmp_path / "usr/bin/convert") == "convert-im6"
    assert os.readlink(tmp_path / "usr/bin/run") == "../lib/vm/bin/run"


def test_merged_usr_and_rights(tmp_path: Path) -> None:
    from pylife_sdk.debian.apt import Package
    from pylife_sdk.debian.unpack import unpack

    need_apt()
    archive = Archive(tmp_path / "archive")
    one = archive.add("one", files={"bin/one": "#!/bin/sh\n", f"lib/{MULTIARCH}/libone.so.1": "x"})
    two = archive.add("two", files={f"usr/lib/{MULTIARCH}/libtwo.so.1": "x"}, links={"usr/bin/uno": "/bin/one"})
    root = tmp_path / "layer"
    root.mkdir()
    unpack([Package(name, "1", "all", str(deb), "") for name, deb in (("one", one), ("two", two))], str(root))
    assert (root / "usr/bin/one").is_file()
    assert os.readlink(root / "bin") == "usr/bin"
    assert (root / "usr/bin/uno").resolve() == (root / "usr/bin/one").resolve()
    assert sorted(os.listdir(root / f"usr/lib/{MULTIARCH}")) == ["libone.so.1", "libtwo.so.1"]


@pytest.mark.parametrize(
    ("name", "first"),
    [("pq", "libpq-dev"), ("vips", "libvips"), ("imagemagik", "imagemagick"), ("libicu", "libicu72")],
)
def test_near_names_are_those_that_were_meant(name: str, first: str) -> None:
    known = ["imagemagick", "libpq-dev", "libvips", "libicu72", "zlib1g"]
    assert near_names(name, known)[0] == first
