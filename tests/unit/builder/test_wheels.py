"""Wheels for an image: downloaded by this host's pip for another Python, and unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from lifecycle.builder.wheels import NoWheels, download_wheels, wheel_files


def make_wheel(folder: Path, name: str, tag: str = "py3-none-any", files: dict[str, str] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-{tag}.whl"
    info = f"{name}-1.0.dist-info"
    standard = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in {f"{name}.py": "x = 1\n", **(files or {}), **standard}.items():
            archive.writestr(entry, data)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all that pip's configuration knows."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return tmp_path / "index"


def test_the_wheel_of_the_images_python_and_processor_is_taken(index: Path, tmp_path: Path) -> None:
    for tag in (
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_17_aarch64",
        "cp313-cp313-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_38_x86_64",
        "cp311-cp311-musllinux_1_2_x86_64",
    ):
        make_wheel(index, "parrot", tag)
    make_wheel(index, "cage")
    for architecture, machine in (("amd64", "x86_64"), ("arm64", "aarch64")):
        found = download_wheels(("cage==1.0", "parrot==1.0"), "3.11", architecture, tmp_path / architecture)
        assert [path.name for path in found] == [
            "cage-1.0-py3-none-any.whl",
            f"parrot-1.0-cp311-cp311-manylinux_2_17_{machine}.whl",
        ]


def test_pip_settings_for_installing_do_not_come_in_the_way(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(index, "cage")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    assert len(download_wheels(("cage==1.0",), "3.11", "amd64", tmp_path / "wheels")) == 1


def test_a_missing_wheel_says_which(index: Path, tmp_path: Path) -> None:
    make_wheel(index, "cage", "cp313-cp313-manylinux_2_17_x86_64")
    with pytest.raises(NoWheels) as caught:
        download_wheels(("cage==1.0",), "3.11", "amd64", tmp_path / "wheels")
    assert "cage==1.0" in str(caught.value.why)
    assert "PIP_INDEX_URL" in caught.value.fix


def test_files_are_named_as_they_are_installed(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path / "w",
        "parrot",
        files={
            "parrot-1.0.data/purelib/pure.py": "p",
            "parrot-1.0.data/platlib/deep/plat.so": "q",
            "parrot-1.0.data/scripts/parrot": "#!python",
            "parrot-1.0.data/data/share/x": "d",
            "colours/": "",
            "colours/red.py": "r",
        },
    )
    found = wheel_files(wheel)
    assert sorted(name for name in found if ".dist-info" not in name) == [
        "colours/red.py",
        "deep/plat.so",
        "parrot.py",
        "pure.py",
    ]
    assert found["deep/plat.so"] == b"q"
    assert "parrot-1.0.dist-info/METADATA" in found


@pytest.mark.parametrize("name", ["../evil.py", "a/../../evil.py", "/etc/evil.py"])
def test_a_wheel_whose_files_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoWheels, match="cannot be unpacked"):
        wheel_files(make_wheel(tmp_path / "w", "parrot", files={name: "x"}))
