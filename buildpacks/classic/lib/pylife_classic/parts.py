"""The CNB buildpacks that do the work: their own detect and build, run in this process."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import tomllib
from typing import Any

from pylife_sdk import toml
from pylife_sdk.context import Detect, read_bytes, run_build, write_file

from pylife_classic.kept import Kept


class Part:
    """One CNB buildpack within a compile. ``plan`` is what its detection wrote, None when it did not take the app;
    ``said`` what it printed then."""

    __slots__ = ("kept", "layers", "name", "plan", "said")

    def __init__(self, name: str, layers: str, kept: Kept) -> None:
        self.name, self.layers, self.kept = name, layers, kept
        self.plan: dict[str, Any] | None = None
        self.said = ""

    def detect(self, app: str, platform: str) -> bool:
        """Whether it takes the app, as the environment is."""
        path = os.path.join(platform, "plan.toml")
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = detect_function(self.name)(Detect(app, platform, path, os.environ))
        self.said = said.getvalue()
        self.plan = None if code else tomllib.loads(read_bytes(path).decode())
        return self.plan is not None

    def provides(self) -> set[str]:
        return {entry["name"] for entry in (self.plan or {}).get("provides", [])}

    def requires(self) -> list[dict[str, Any]]:
        return (self.plan or {}).get("requires", [])

    def build(self, platform: str, entries: list[dict[str, Any]]) -> int:
        """Runs its build in the current directory with the plan's ``entries``; the exit code, the reason reported."""
        plan = os.path.join(platform, "entries.toml")
        write_file(plan, toml.dumps({"entries": entries} if entries else {}))
        os.environ["CNB_LAYERS_DIR"] = self.layers
        os.environ["CNB_PLATFORM_DIR"] = platform
        os.environ["CNB_BP_PLAN_PATH"] = plan
        build = importlib.import_module(f"pylife_{self.name}.build").build
        return run_build(build)


def detect_function(name: str) -> Any:
    """The function ``detect`` of a CNB buildpack."""
    return importlib.import_module(f"pylife_{name}.detect").detect


def entries_for(part: Part, parts: list[Part]) -> list[dict[str, Any]]:
    """What the detections of all require of what ``part`` provides."""
    provided = part.provides()
    return [entry for each in parts for entry in each.requires() if entry["name"] in provided]
