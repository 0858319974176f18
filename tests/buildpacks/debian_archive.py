"""A small Debian archive in a folder: real packages made with dpkg-deb, and lists that apt-get reads."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

NEEDED = ("apt-get", "dpkg-deb")


def need_apt() -> None:
    """Skips where there is no apt: on another distribution than Debian's family."""
    missing = [name for name in NEEDED if not (Path("/usr/bin") / name).exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed here")


class Archive:
    """Packages are added with ``add``; ``env`` lets apt-get use this archive instead of the machine's."""

    def __init__(self, root: Path, options: str = "trusted=yes") -> None:
        self.root = root
        self.pool = root / "pool"
        self.pool.mkdir(parents=True)
        (root / "sources.list").write_text(f"deb [{options}] copy:{self.pool} ./\n")
        (root / "parts").mkdir()
        (root / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{root}/sources.list";\nDir::Etc::sourceparts "{root}/parts";\n'
        )
        self.lists = ""
        (self.pool / "Packages").write_text("")

    @property
    def env(self) -> dict[str, str]:
        return {"APT_CONFIG": str(self.root / "apt.conf")}

    def add(
        self,
        name: str,
        version: str = "1.0",
        files: Mapping[str, str] | None = None,
        *,
        links: Mapping[str, str] | None = None,
        depends: str = "",
        postinst: str = "",
        arch: str = "all",
        sha256: str = "",
    ) -> Path:
        """Makes a package and lists it; files under bin/, sbin/ and games/ are programs. The path of its .deb."""
        tree = self.root / "trees" / f"{name}-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: Test <test@example.com>\n"
        control += f"Depends: {depends}\n" if depends else ""
        control += "Description: made by a test\n"
        (tree / "DEBIAN" / "control").write_text(control)
        if postinst:
            (tree / "DEBIAN" / "postinst").write_text(postinst)
            (tree / "DEBIAN" / "postinst").chmod(0o755)
        for path, text in (files or {}).items():
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            if target.parent.name in ("bin", "sbin", "games"):
                target.chmod(0o755)
        for path, aim in (links or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(aim, tree / path)
        deb = self.pool / f"{name}_{version}_{arch}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True, capture_output=True)
        total = sha256 or hashlib.sha256(deb.read_bytes()).hexdigest()
        extra = f"Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {total}\n"
        self.lists += control.replace("Description:", extra + "Description:") + "\n"
        (self.pool / "Packages").write_text(self.lists)
        return deb
