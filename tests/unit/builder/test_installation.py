"""The running pylife as what is put into an image: its files and what it depends on."""

from __future__ import annotations

import importlib.metadata
import os
import tomllib
from pathlib import Path

import pytest

from lifecycle.builder import installation
from lifecycle.builder.installation import (
    UnknownDependencies,
    are_installed,
    digest,
    direct_requirements,
    own_files,
    requirements,
)
from lifecycle.builder.share import SHARED, shared

ROOT = Path(__file__).resolve().parents[3]


def test_everything_that_comes_with_pylife_is_named_as_in_the_package_that_users_install() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    included = {target.removeprefix("lifecycle/share/"): source for source, target in settings["force-include"].items()}
    assert {name: str(shared(name).relative_to(ROOT)) for name in SHARED} == included


def test_own_files_are_modules_and_shared_data_without_byte_code() -> None:
    files = own_files()
    for name, source in {
        "lifecycle/cli/__init__.py": "lifecycle/cli/__init__.py",
        "lifecycle/launcher/launcher.c": "lifecycle/launcher/launcher.c",
        "lifecycle/share/builder.toml": "builder.toml",
        "lifecycle/share/errors/usage.md": "docs/errors/usage.md",
        "lifecycle/share/stacks/slug/stack.toml": "stacks/slug/stack.toml",
        "lifecycle/share/buildpacks/python/bin/build": "buildpacks/python/bin/build",
    }.items():
        assert Path(files[name]) == ROOT / source
    assert list(files) == sorted(files)
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]


def test_digest_follows_names_contents_modes_and_links(tmp_path: Path) -> None:
    def written(name: str = "a", data: str = "x", mode: int = 0o644) -> dict[str, str]:
        path = tmp_path / name
        path.unlink(missing_ok=True)
        path.write_text(data)
        path.chmod(mode)
        return {name: str(path)}

    seen = [digest(written()), digest(written("b")), digest(written(data="y")), digest(written(mode=0o755))]
    (tmp_path / "c").symlink_to("x")
    assert len({*seen, digest({"a": str(tmp_path / "c")})}) == 5
    os.utime(written()["a"], (1, 1))
    assert digest({"a": str(tmp_path / "a")}) == seen[0], "a file's time decides nothing"
    assert digest(written(mode=0o600)) == seen[0], "nor does who may read it"
    assert digest(written(mode=0o700)) == seen[3], "or start it"


def test_requirements_are_pinned_to_what_runs_here_and_follow_their_markers() -> None:
    found = requirements("3.11", "amd64")
    named = dict(item.split("==") for item in found)
    assert named["click"] == importlib.metadata.version("click")
    assert {"httpx2", "httpcore2", "isal", "rich", "pygments", "backports-zstd", "pyyaml"} <= set(named)
    assert not {"pytest", "mypy", "colorama"} & set(named), "neither extras nor what another system needs"
    assert list(found) == sorted(found)
    newer = requirements("3.14", "amd64")
    assert not [item for item in newer if item.startswith("backports-zstd")]


def test_what_only_the_images_python_needs_has_the_range_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        installation, "direct_requirements", lambda: ['no-such-thing>=2,<3; python_version < "3.12"', "click>=8"]
    )
    assert requirements("3.11", "amd64") == (
        f"click=={importlib.metadata.version('click')}",
        "no-such-thing<3,>=2",
    )
    assert len(requirements("3.12", "amd64")) == 1


def test_installed_versions_are_compared_without_asking_pip() -> None:
    version = importlib.metadata.version("click")
    assert are_installed([f"click=={version}", "no-such-thing<3,>=2"])
    assert not are_installed(["click==0.1"])
    assert not are_installed(["click<9"]), "it was not here when the image was made"


def test_the_checkouts_own_requirements_are_taken_as_the_installed_package_writes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = direct_requirements()
    assert len(found) == len(declared)
    assert "backports-zstd>=1.0; python_version < '3.14'" in found
    installed = ["backports-zstd >=1.0 ; python_version < '3.14'", "click>=8.1", 'pytest>=8; extra == "dev"']
    monkeypatch.setattr(installation, "_noted", lambda: installed)
    assert direct_requirements() == ["backports-zstd>=1.0; python_version < '3.14'", "click>=8.1"]


def test_a_python_without_pip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(installation, "import_module", missing)
    with pytest.raises(UnknownDependencies, match="no pip"):
        requirements("3.11", "amd64")
