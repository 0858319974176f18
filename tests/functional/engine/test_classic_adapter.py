"""An order of both kinds: a classic buildpack, wrapped, and a Cloud Native one, in one image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from classic_buildpack import write_buildpack
from pylife_command import REPOSITORY, Pylife

pytestmark = pytest.mark.functional

COMPILE = r"""
echo "-----> Compiling on $STACK: ${SECRET:-SECRET is no variable}, but $(wc -c < "$3/SECRET") bytes of a file"
echo x >> "$2/runs"; echo "       run $(wc -l < "$2/runs")"
mkdir -p "$1/.apt/bin" "$1/.profile.d"
printf '#!/bin/sh\necho "polly says $1 at $HOME"\n' > "$1/.apt/bin/parrot"; chmod +x "$1/.apt/bin/parrot"
echo 'export PATH="$HOME/.apt/bin:$PATH"' > "$1/.profile.d/parrot.sh"
echo "export BIRD=polly PATH=$1/.apt/bin:\$PATH" > "$(dirname "$0")/../export"
"""
NATIVE = r"""
echo "the native one has BIRD=$BIRD and $(parrot hello)"
printf '[[processes]]\ntype = "web"\ncommand = ["parrot", "native"]\ndefault = true\n' > "$CNB_LAYERS_DIR/launch.toml"
"""
BUILDER = f"""
[[buildpacks]]
uri = "heroku-buildpack-parrot"
[[buildpacks]]
uri = "buildpacks/acme_native"
[[order]]
group = [{{ id = "classic/parrot" }}, {{ id = "acme/native" }}]
[stack]
uri = "{REPOSITORY / "stacks" / "bookworm"}"
"""


@pytest.fixture
def classic(tmp_path: Path) -> Path:
    scripts = {"detect": '[ -f "$1/hello.txt" ] && echo Parrot', "compile": COMPILE}
    scripts["release"] = (
        "printf -- '---\\ndefault_process_types:\\n  bird: parrot $BIRD_WORD\\nconfig_vars:\\n  BIRD_WORD: hi\\n'"
    )
    return write_buildpack(tmp_path / "heroku-buildpack-parrot", scripts)


def test_an_order_may_mix_both_kinds(
    pylife: Pylife, app: Path, classic: Path, buildpack: Callable[..., Path], image_name: str, tmp_path: Path
) -> None:
    buildpack("acme/native", build=NATIVE)
    file = tmp_path / "builder.toml"
    file.write_text(BUILDER)
    words = ("build", "--app", app, "--builder", file, "--image", image_name, "--env", "SECRET=abc")
    said = pylife(*words).err
    assert "Compiling on heroku-22: SECRET is no variable, but 3 bytes of a file" in said
    assert "the native one has BIRD=polly and polly says hello" in said
    first = pylife("inspect", image_name, "--json").json["digest"]
    assert pylife("run", image_name).out == "polly says native at /workspace\n"
    assert pylife("run", image_name, "--process", "bird").out == "polly says hi at /workspace\n"
    assert pylife("run", image_name, "--process", "bird", "-e", "BIRD_WORD=ho").out == "polly says ho at /workspace\n"

    again = pylife(*words).err
    assert "run 2" in again, "its cache is kept"
    assert pylife("inspect", image_name, "--json").json["digest"] == first, "the same app gives the same image"

    (app / "hello.txt").write_text(image_name)  # never seen before by this store
    events = [json.loads(line) for line in pylife(*words, "--progress", "json").err.splitlines()]
    exported = next(event for event in events if "new," in str(event.get("detail", "")))
    assert exported["detail"].startswith("1 new,"), "what the classic buildpack installed is a slice of its own"


def test_a_classic_directory_can_be_asked_for(
    pylife: Pylife, app: Path, classic: Path, buildpack: Callable[..., Path], image_name: str
) -> None:
    own = buildpack("acme/native", build=NATIVE)
    words = ("--buildpack", classic, "--buildpack", own, "--env", "SECRET=abc")
    found = pylife("detect", "--app", app, *words, "--json").json
    assert [item["id"] for item in found["group"]] == ["classic/parrot", "acme/native"]
    pylife("build", "--app", app, *words, "--image", image_name)
    assert pylife("run", image_name).out == "polly says native at /workspace\n"
    (classic / "bin/compile").write_text("#!/bin/bash\necho oh no >&2\nexit 7\n")
    failed = pylife("build", "--app", app, *words, "--image", image_name, code=51)
    assert "oh no" in failed.err and "bin/compile exited with 7" in failed.err
