"""The image configuration that a stage's instructions make: pure functions from one draft to the next."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lifecycle.dockerfile import history
from lifecycle.oci import Digest, ImageConfig, Platform
from lifecycle.record import dataclass

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True)
class Draft:
    """A configuration in the making.

    ``document`` is everything of the base's configuration but what follows (unknown properties included),
    ``container`` its ``config``, ``lines`` the history: the base's as it was, then one line an instruction, without
    times. ``cmd_set`` says that this stage has had a CMD, which an ENTRYPOINT then leaves alone.
    Source: OCI image-spec v1.1, config.md.
    """

    document: Mapping[str, Any]
    container: Mapping[str, Any]
    lines: tuple[Mapping[str, Any], ...] = ()
    cmd_set: bool = False

    @property
    def env(self) -> dict[str, str]:
        """The image's variables in order."""
        return {name: value for name, _, value in (item.partition("=") for item in self.container.get("Env") or ())}

    @property
    def working_dir(self) -> str:
        return str(self.container.get("WorkingDir") or "/")

    @property
    def user(self) -> str:
        return str(self.container.get("User") or "")

    @property
    def shell(self) -> tuple[str, ...]:
        """What runs a shell form; the string follows as one more argument."""
        return tuple(self.container.get("Shell") or DEFAULT_SHELL)

    @property
    def platform(self) -> Platform:
        return Platform.from_json(self.document)

    @property
    def on_build(self) -> tuple[str, ...]:
        """The triggers that run in a build from this image."""
        return tuple(self.container.get("OnBuild") or ())


def scratch(platform: Platform) -> Draft:
    """The draft of ``FROM scratch``."""
    return Draft(platform.to_json(), {"Env": [f"PATH={DEFAULT_PATH}"], "WorkingDir": "/"})


def of_base(config: ImageConfig) -> Draft:
    """The draft of a stage on an image: as the image's, but its time and its triggers, which do not come down.

    A base without PATH gets one; history and layers are made to agree in number.
    """
    document = {
        key: value for key, value in config.data.items() if key not in ("config", "history", "rootfs", "created")
    }
    container = {key: value for key, value in (config.data.get("config") or {}).items() if value is not None}
    lines = tuple(_aligned(config.data.get("history") or (), len(config.diff_ids)))
    draft = _set(Draft(document, container, lines), OnBuild=None)
    if "PATH" not in draft.env:
        draft = _set(draft, Env=[*_listed(container.get("Env")), f"PATH={DEFAULT_PATH}"])
    if container.get("WorkingDir"):
        draft = _set(draft, WorkingDir=join("/", draft.working_dir))
    return draft


def of_stage(parent: Draft) -> Draft:
    """The draft of a stage on another stage of the file: its triggers do not come down."""
    return _set(replace(parent, cmd_set=False), OnBuild=None)


def _listed(value: object) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())  # type: ignore[call-overload]


def _aligned(lines: Sequence[Mapping[str, Any]], layers: int) -> Iterable[Mapping[str, Any]]:
    """The base's history with exactly one line a layer: missing ones below, surplus ones said to be empty."""
    missing = layers - sum(not line.get("empty_layer") for line in lines)
    yield from ({} for _ in range(missing))
    for line in lines:
        if line.get("empty_layer"):
            yield line
        elif layers > 0:
            layers -= 1
            yield line
        else:
            yield {**line, "empty_layer": True}


def _set(draft: Draft, **changes: Any) -> Draft:
    """Properties of ``config`` replaced; None and empty collections leave a property out."""
    gone = {key for key, value in changes.items() if value in (None, [], {}, "")}
    return replace(
        draft, container={key: value for key, value in {**draft.container, **changes}.items() if key not in gone}
    )


def note(draft: Draft, created_by: str, *, layer: bool = False) -> Draft:
    """One more line of history; ``layer`` says that a layer came with it."""
    return replace(draft, lines=(*draft.lines, history.line(created_by, layer=layer)))


# -- instructions ------------------------------------------------------------------------------------------------


def env(draft: Draft, pairs: Sequence[tuple[str, str]]) -> Draft:
    """ENV: in place where the variable is there already."""
    merged = {**draft.env, **dict(pairs)}
    return note(_set(draft, Env=[f"{name}={value}" for name, value in merged.items()]), history.pairs("ENV", pairs))


def label(draft: Draft, pairs: Sequence[tuple[str, str]]) -> Draft:
    """LABEL."""
    return note(with_labels(draft, dict(pairs)), history.pairs("LABEL", pairs))


def with_labels(draft: Draft, labels: Mapping[str, str]) -> Draft:
    """Labels set from outside the Dockerfile: they leave no line."""
    return _set(draft, Labels={**(draft.container.get("Labels") or {}), **labels})


def argument(draft: Draft, pairs: Sequence[tuple[str, str | None]]) -> Draft:
    """ARG, with the values that the arguments have."""
    return note(draft, history.pairs("ARG", pairs))


def maintainer(draft: Draft, author: str) -> Draft:
    """MAINTAINER."""
    return note(replace(draft, document={**draft.document, "author": author}), f"MAINTAINER {author}")


def expose(draft: Draft, ports: Sequence[str]) -> Draft:
    """EXPOSE; ``ports`` as ``80/tcp``."""
    merged = [*(draft.container.get("ExposedPorts") or ()), *ports]
    return note(_set(draft, ExposedPorts=_names(merged)), f"EXPOSE {history.plain_list(ports)}")


def volume(draft: Draft, paths: Sequence[str]) -> Draft:
    """VOLUME: nothing is made in the filesystem."""
    merged = [*(draft.container.get("Volumes") or ()), *paths]
    return note(_set(draft, Volumes=_names(merged)), f"VOLUME {history.plain_list(paths)}")


def user(draft: Draft, name: str) -> Draft:
    """USER."""
    return note(_set(draft, User=name), f"USER {name}")


def workdir(draft: Draft, path: str) -> Draft:
    """WORKDIR, joined to the one before; every one but ``/`` comes with a layer."""
    place = join(draft.working_dir, path)
    return note(_set(draft, WorkingDir=place), f"WORKDIR {place}", layer=place != "/")


def stop_signal(draft: Draft, name: str) -> Draft:
    """STOPSIGNAL."""
    return note(_set(draft, StopSignal=name), f"STOPSIGNAL {name}")


def shell(draft: Draft, words: Sequence[str]) -> Draft:
    """SHELL."""
    return note(_set(draft, Shell=list(words)), f"SHELL {history.plain_list(words)}")


def cmd(draft: Draft, argv: Sequence[str]) -> Draft:
    """CMD; ``argv`` has the shell in it already where that form was used."""
    changed = _set(draft, Cmd=list(argv), ArgsEscaped=True)
    return note(replace(changed, cmd_set=True), f"CMD {history.quoted_list(argv)}")


def entrypoint(draft: Draft, argv: Sequence[str]) -> Draft:
    """ENTRYPOINT: an inherited CMD was written for another program, so it goes."""
    cleared = draft if draft.cmd_set else _set(draft, Cmd=None)
    return note(_set(cleared, Entrypoint=list(argv)), f"ENTRYPOINT {history.quoted_list(argv)}")


def health_check(
    draft: Draft,
    test: Sequence[str],
    *,
    interval: int = 0,
    timeout: int = 0,
    start_period: int = 0,
    start_interval: int = 0,
    retries: int = 0,
) -> Draft:
    """HEALTHCHECK; times in nanoseconds, 0 meaning the engine's default."""
    fields = {
        "Test": list(test),
        "Interval": interval,
        "Timeout": timeout,
        "StartPeriod": start_period,
        "StartInterval": start_interval,
        "Retries": retries,
    }
    text = history.health_check(test, interval, timeout, start_period, start_interval, retries)
    return note(_set(draft, Healthcheck={key: value for key, value in fields.items() if value}), text)


def on_build(draft: Draft, text: str) -> Draft:
    """ONBUILD: remembered for builds from this image; no line of history."""
    return _set(draft, OnBuild=[*draft.on_build, text])


def _names(items: Iterable[str]) -> dict[str, dict[str, str]]:
    """A set of names as the document has it: the keys of an object."""
    return {item: {} for item in items}


def join(directory: str, path: str) -> str:
    """``path`` seen from ``directory``: absolute, clean, never above the root."""
    clean = posixpath.normpath(posixpath.join("/", directory, path))
    return "/" + clean.lstrip("/")


# -- the document ------------------------------------------------------------------------------------------------


def finish(draft: Draft, diff_ids: Sequence[Digest], epoch: int) -> ImageConfig:
    """The configuration of the finished image; ``epoch`` (seconds since 1970) is the time of everything new."""
    now = timestamp(epoch)
    known = [{"created": now, **line} if line.get("comment") == history.COMMENT else dict(line) for line in draft.lines]
    lines = _with_times(known)
    created = str(lines[-1]["created"]) if lines and lines[-1].get("created") else now
    document = {
        **draft.document,
        "created": created,
        "config": dict(draft.container),
        "rootfs": {"type": "layers", "diff_ids": [str(item) for item in diff_ids]},
        "history": lines,
    }
    return ImageConfig.build(document)


def _with_times(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines without a time get that of the first one with a time after them, or the last before them.

    So it is in BuildKit's exporter: a base that keeps no times takes that of the first new layer.
    """
    first = next((number for number, line in enumerate(lines) if not line.get("created")), None)
    if first is None:
        return lines
    after = [line["created"] for line in lines[first:] if line.get("created")]
    before = [line["created"] for line in lines[:first]]
    current = after[0] if after else before[-1] if before else None
    if current is None:
        return lines
    filled: list[dict[str, Any]] = []
    for line in lines:
        current = line.get("created") or current if len(filled) >= first else current
        filled.append(line if line.get("created") else {"created": current, **line})
    return filled


def timestamp(epoch: int) -> str:
    """Seconds since 1970 as RFC 3339 has them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
