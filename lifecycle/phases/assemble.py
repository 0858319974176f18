"""What an app image says of itself: configuration, history and the members of its small layers. Pure functions.

Source: CNB Platform API, "Exporter" and "Outputs"; cnb.md's layout, which follows the official lifecycle's code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lifecycle.archive import Content, Entry, Kind, Member
from lifecycle.image import Layer
from lifecycle.image.edit import aligned_history
from lifecycle.oci import History, ImageConfig
from lifecycle.phases.inputs import EPOCH
from lifecycle.phases.layout import LAUNCHER, LIFECYCLE_DIR, PROCESS_DIR, Layout


@dataclass(frozen=True, slots=True)
class AppLayer:
    """One new layer of the app image and the words its history entry gets."""

    layer: Layer
    created_by: str


def timestamp(seconds: int) -> str:
    """RFC 3339 in UTC with a Z, as image configurations write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def launcher_members(launcher: Content, size: int) -> tuple[Member, ...]:
    """The launcher layer: its directories and the executable, owned by root."""
    return (
        *_root_directories("/cnb", LIFECYCLE_DIR),
        (Entry(_name(LAUNCHER), Kind.FILE, mode=0o755, size=size, mtime=EPOCH), launcher),
    )


def process_members(types: Iterable[str]) -> tuple[Member, ...]:
    """The process-types layer: one link per type, by which the launcher knows what to start."""
    links = tuple(
        (Entry(_name(f"{PROCESS_DIR}/{kind}"), Kind.SYMLINK, mode=0o755, linkname=LAUNCHER.encode(), mtime=EPOCH), None)
        for kind in sorted(types)
    )
    return (*_root_directories("/cnb", PROCESS_DIR), *links)


def app_config(
    base: ImageConfig,
    layers: Sequence[AppLayer],
    labels: Mapping[str, str],
    *,
    layout: Layout,
    platform_api: str,
    default_process: str | None,
    created: int,
) -> ImageConfig:
    """The run image's configuration turned into the app image's, by the exporter's rules."""
    path = base.env.get("PATH", "")
    search = ":".join(part for part in (PROCESS_DIR, LIFECYCLE_DIR, path) if part)
    entrypoint = f"{PROCESS_DIR}/{default_process}" if default_process else LAUNCHER
    when = timestamp(created)
    config = base.with_env(
        {
            "CNB_LAYERS_DIR": layout.layers,
            "CNB_APP_DIR": layout.app,
            "CNB_PLATFORM_API": platform_api,
            "CNB_DEPRECATION_MODE": "quiet",
            "PATH": search,
        }
    )
    config = config.with_container(WorkingDir=layout.app, Entrypoint=[entrypoint], Cmd=None)
    config = config.with_labels(labels)
    below = [replace(line, created=when) for line in aligned_history(base)]
    history = [*below, *(History(when, item.created_by) for item in layers)]
    config = config.with_layers([*base.diff_ids, *(item.layer.diff_id for item in layers)], history)
    return config.with_data(created=when, container=None, container_config=None, docker_version=None)


def _name(path: str) -> bytes:
    return path.lstrip("/").encode()


def _root_directories(*paths: str) -> tuple[Member, ...]:
    return tuple((Entry(_name(path), Kind.DIR, mode=0o755, mtime=EPOCH), None) for path in paths)
