"""A workbench for buildpacks: their real executables, run as a lifecycle runs them, in directories of a test."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILDPACKS = ROOT / "buildpacks"
PYTHON = Path("/usr/bin/python3")

for _library in ("sdk", "python/lib", "django/lib", "procfile/lib", "java/lib", "classic/lib"):
    sys.path.insert(0, str(BUILDPACKS / _library))


@dataclass(frozen=True, slots=True)
class Ran:
    """What an executable did: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def failure(self) -> str:
        """The id of the failure that was reported, or "" after a success."""
        return self.err.rpartition("[")[2].partition("]")[0] if self.code else ""


@dataclass(slots=True)
class Bench:
    """One app with its layers and its platform directory."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def app(self) -> Path:
        return self.root / "workspace"

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    def write(self, files: Mapping[str, str | bytes]) -> Bench:
        """Puts files into the app."""
        for name, content in files.items():
            path = self.app / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def user_env(self, **values: str) -> Bench:
        """Sets variables as a platform passes those of the user on: as files, and in the environment."""
        for name, value in values.items():
            (self.root / "platform" / "env" / name).write_text(value)
        self.env |= values
        return self

    def detect(self, buildpack: str) -> tuple[Ran, dict[str, Any]]:
        """Runs bin/detect; also returns the plan that it wrote."""
        plan = self.root / "plan.toml"
        plan.write_text("")
        ran = self._run(buildpack, "detect", {"CNB_BUILD_PLAN_PATH": str(plan)})
        return ran, tomllib.loads(plan.read_text())

    def build(self, buildpack: str, **env: str) -> Ran:
        """Runs bin/build with the layers as a restorer leaves them: without types."""
        layers = self.layers / f"pylife_{buildpack}"
        layers.mkdir(parents=True, exist_ok=True)
        for description in layers.glob("*.toml"):
            if description.name != "launch.toml":
                text = description.read_text()
                description.write_text(text[text.index("[metadata]") :])
        plan = self.root / "bp-plan.toml"
        plan.write_text("")
        return self._run(buildpack, "build", {"CNB_LAYERS_DIR": str(layers), "CNB_BP_PLAN_PATH": str(plan), **env})

    def layer(self, buildpack: str, name: str) -> Path:
        return self.layers / f"pylife_{buildpack}" / name

    def launch(self, buildpack: str) -> dict[str, Any]:
        """What launch.toml says."""
        return tomllib.loads((self.layers / f"pylife_{buildpack}" / "launch.toml").read_text())

    def processes(self, buildpack: str) -> dict[str, dict[str, Any]]:
        return {process["type"]: process for process in self.launch(buildpack).get("processes", [])}

    def _run(self, buildpack: str, phase: str, env: dict[str, str]) -> Ran:
        directory = BUILDPACKS / buildpack
        own = {"CNB_BUILDPACK_DIR": str(directory), "CNB_PLATFORM_DIR": str(self.root / "platform")}
        run = subprocess.run(
            [directory / "bin" / phase],
            cwd=self.app,
            env=outer_env(self.root) | own | env | self.env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Ran(run.returncode, run.stdout, run.stderr)


def outer_env(home: Path) -> dict[str, str]:
    """The environment of a build: this machine's network settings, nothing of the tests' own Python."""
    dropped = ("VIRTUAL_ENV", "PYTHON", "UV_", "DJANGO", "DISABLE_COLLECTSTATIC", "PYTEST", "PYLIFE", "SECRET_KEY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"}


def make_bench(root: Path) -> Bench:
    """An empty workbench."""
    for name in ("workspace", "layers", "platform/env"):
        (root / name).mkdir(parents=True)
    return Bench(root)


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: tuple[str, ...] = ()) -> None:
    """Writes a wheel as any build backend would."""
    information = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    members = {
        **files,
        f"{information}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
        f"License-Expression: MIT\n{needs}",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_record_hash(text)},{len(text)}\n" for path, text in members.items())
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**members, f"{information}/RECORD": f"{record}{information}/RECORD,,\n"}.items():
            wheel.writestr(path, text)


def _record_hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
