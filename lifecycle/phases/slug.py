"""A compiled slug as an app image: its processes, its profiles and its slices, said as buildpacks say them.

The export is the one that every build has, so the image can be rebased, its layers are reused, and the launcher starts
its processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.launch import LaunchMetadata, Process, Slice
from lifecycle.buildpack.layers import BuiltLayer, LayerMetadata, LayerTypes, layers_path
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.phases.build import Built, write_metadata
from lifecycle.phases.inputs import PLATFORM_API
from lifecycle.phases.layout import Layout
from lifecycle.slug.release import default_type
from lifecycle.slug.slices import find_slices
from lifecycle.slug.start import DEFAULT_PORT

LAYOUT = Layout(app="/app")
"""A slug's app lives in /app, whatever it is run by: files that its build made name that place."""

API = "0.8"
"""The Buildpack API of the group's elements: the newest in which a process's command is for the shell."""

_PROFILE = "profile"
_SCRIPT = f"""\
export HOME="${{CNB_APP_DIR:-/app}}" PORT="${{PORT:-{DEFAULT_PORT}}}"
for file in "$HOME"/.profile.d/*; do
    [ -f "$file" ] && . "$file"
done
unset file
""".encode()


def as_built(
    buildpacks: Sequence[tuple[str, str]], commands: Mapping[str, str], root: BuildRoot, owner: tuple[int, int] | None
) -> Built:
    """What a CNB build would have left for the app at ``LAYOUT.app``.

    ``buildpacks`` are (name, version) in order; ``commands`` by process type, for the shell. A launch layer of the
    first buildpack sources the app's .profile.d; its files are written, and so is the launcher's metadata.toml.
    """
    group = tuple(GroupElement(f"classic/{name}", version or "0", api=API) for name, version in buildpacks)
    layer = _profile_layer(group[0], root, owner)
    processes = tuple(
        Process(kind, (command,), direct=False, buildpack_id=group[-1].id, working_dir="")
        for kind, command in sorted(commands.items())
    )
    slices = find_slices([name for name in root.names(LAYOUT.app) if root.is_dir(f"{LAYOUT.app}/{name}")])
    launch = LaunchMetadata(processes, default_type(commands), (), tuple(map(Slice, slices)))
    write_metadata(group, launch, root, LAYOUT.layers, PLATFORM_API, owner)
    return Built(group, ((layer,), *((),) * (len(group) - 1)), launch)


def _profile_layer(element: GroupElement, root: BuildRoot, owner: tuple[int, int] | None) -> BuiltLayer:
    path = f"{layers_path(LAYOUT.layers, element.id)}/{_PROFILE}"
    root.make_dirs(f"{path}/profile.d", owner=owner)
    root.write(f"{path}/profile.d/app.sh", _SCRIPT, owner=owner)
    return BuiltLayer(element, _PROFILE, path, LayerMetadata(LayerTypes(launch=True)), present=True)
