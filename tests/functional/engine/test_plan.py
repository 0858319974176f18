"""The plan: composite buildpacks, what buildpacks decided while they looked, and what else would have fitted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pylife_command import REPOSITORY, Pylife

pytestmark = pytest.mark.functional

Maker = Callable[..., Path]
SAID = """
cat > "$2" <<'EOT'
[[provides]]
name = "{name}"
[[requires]]
name = "{name}"
[requires.metadata]
version = "1.2"
[requires.metadata.pylife]
files = ["hello.txt"]
commands = ["make {name}"]
[[requires.metadata.pylife.versions]]
name = "{name}"
version = "1.2"
why = "hello.txt asks for it"
[[requires.metadata.pylife.processes]]
type = "web"
command = "{name} --serve"
why = "guessed"
EOT
"""
LAUNCH = """
cat "$CNB_BP_PLAN_PATH"
printf '[[processes]]\\ntype = "web"\\ncommand = ["echo", "{name}"]\\ndefault = true\\n' > "$CNB_LAYERS_DIR/launch.toml"
"""


@pytest.fixture
def builder(buildpack: Maker, tmp_path: Path) -> Path:
    """A builder.toml of two languages, each in a composite with an optional addition; both fit every app."""
    for name in ("one", "two"):
        buildpack(f"acme/{name}", detect=SAID.format(name=name), build=LAUNCH.format(name=name))
        composite = tmp_path / "buildpacks" / f"{name}-app"
        composite.mkdir()
        (composite / "buildpack.toml").write_text(
            f'api = "0.10"\n[buildpack]\nid = "acme/{name}-app"\nversion = "1.0.0"\n[[order]]\n'
            '[[order.group]]\nid = "acme/extra"\nversion = "1.0.0"\noptional = true\n'
            f'[[order.group]]\nid = "acme/{name}"\nversion = "1.0.0"\n'
        )
    buildpack("acme/extra", detect='echo "extra looked"; exit 100')
    buildpack("acme/never", detect="exit 100")
    file = tmp_path / "builder.toml"
    sources = "".join(
        f'[[buildpacks]]\nuri = "buildpacks/{name}"\n'
        for name in ("acme_one", "acme_two", "acme_extra", "acme_never", "one-app", "two-app")
    )
    order = "".join(
        f'[[order]]\ngroup = [{{ id = "acme/{name}" }}]\n' for name in ("never", "one-app", "never", "two-app", "one")
    )
    file.write_text(f'{sources}{order}[stack]\nuri = "{REPOSITORY / "stacks" / "bookworm"}"\n')
    return file


def test_detect_shows_the_plan_and_names_what_else_fits(pylife: Pylife, app: Path, builder: Path) -> None:
    shown = pylife("detect", "--app", app, "--builder", builder).out
    assert shown.splitlines() == [
        "acme/one 1.0.0",
        "  looked at  hello.txt",
        "  version    one 1.2: hello.txt asks for it",
        "  command    make one",
        "processes of the image",
        "  web  one --serve  (acme/one: guessed)",
        "also fits: acme/two-app (the order's first is taken; --buildpack ID asks for another)",
    ]
    data = pylife("detect", "--app", app, "--builder", builder, "--json").json
    assert [item["id"] for item in data["group"]] == ["acme/one"]
    assert data["plan"]["also_matched"] == ["acme/two-app"]
    assert data["plan"]["buildpacks"][0]["versions"] == [
        {"name": "one", "version": "1.2", "why": "hello.txt asks for it"}
    ]
    assert data["build_plan"] == [{"name": "one", "providers": ["acme/one"], "requires": [{"version": "1.2"}]}]


def test_a_build_prints_the_plan_before_it_builds_and_keeps_it_out_of_the_image(
    pylife: Pylife, app: Path, builder: Path, image_name: str
) -> None:
    words = ("build", "--app", app, "--builder", builder, "--image", image_name, "--progress", "json")
    events = [json.loads(line) for line in pylife(*words).err.splitlines()]
    kinds = [event["event"] for event in events]
    planned = kinds.index("planned")
    assert kinds.count("planned") == 1 and "output" not in kinds[:planned]
    assert events[planned]["data"]["processes"][0]["command"] == "one --serve"
    said = [event["line"] for event in events if event["event"] == "output"]
    assert any("hello.txt asks for it" in line for line in said), "the buildpack's build reads what its detect decided"
    labels = pylife("inspect", image_name, "--json").json["config"]["config"]["Labels"]
    assert not any("hello.txt" in value or "--serve" in value for value in labels.values())


def test_a_composite_can_be_asked_for(pylife: Pylife, app: Path, builder: Path, image_name: str) -> None:
    pylife("build", "--app", app, "--builder", builder, "--image", image_name, "--buildpack", "acme/two-app")
    assert pylife("run", image_name).out == "two\n"


def test_a_detect_that_broke_is_told_of_when_another_group_is_taken(pylife: Pylife, app: Path, builder: Path) -> None:
    detect = builder.parent / "buildpacks" / "acme_never" / "bin" / "detect"
    detect.write_text("#!/bin/bash\necho ModuleNotFoundError >&2\nexit 1\n")
    done = pylife("detect", "--app", app, "--builder", builder)
    assert done.out.startswith("acme/one 1.0.0")
    warnings = [line for line in done.err.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 1, "once, however many groups it is in"
    assert "acme/never@1.0.0" in warnings[0] and "exited with 1: ModuleNotFoundError" in warnings[0]


def test_a_buildpack_named_by_its_directory_brings_the_sdk_beside_it(pylife: Pylife, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: echo hello\n")
    said = pylife("detect", "--app", tmp_path, "--buildpack", REPOSITORY / "buildpacks/procfile", "--json").json
    assert [element["id"] for element in said["group"]] == ["pylife/procfile"]


def test_the_revision_of_the_source_reaches_the_labels(pylife: Pylife, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: echo hello\n")
    for words in (("init", "-q"), ("add", "."), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True)
    pylife("build", "--app", tmp_path, "--image", "revised")
    labels = pylife("inspect", "revised", "--json").json["config"]["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == commit.stdout.strip()
