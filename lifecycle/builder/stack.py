"""A stack as two images: one to build in, one to run on, both made of the same distribution's packages.

Same package versions, same digests: from root, from an ordinary user, and from root in an unprivileged container.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from lifecycle.archive import EPOCH_1980, Profile, read_tar
from lifecycle.builder.definition import Kind, StackDefinition
from lifecycle.builder.mmdebstrap import Running, bootstrap, choose_mode
from lifecycle.builder.rootfs import rootfs_members, upper_members
from lifecycle.errors import PylifeError
from lifecycle.events import Sink, step
from lifecycle.image import Image, Ports, StorePlace, append, load, save, with_config, write_layer
from lifecycle.oci import Dialect, History, ImageConfig, Platform, Reference
from lifecycle.store import LocalStore

CREATED = "1980-01-01T00:00:01Z"
KEY_LABEL = "io.pylife.key"
PACKAGES_LABEL = "io.buildpacks.base.packages"
assert EPOCH_1980 == 315532801  # what CREATED says


class NoStack(PylifeError):
    """The images of a stack are not in the local store."""

    code = "stack.not-made"
    fix = "Make it: pylife stack create"


@dataclass(frozen=True, slots=True)
class Stack:
    """The two images of a stack, as they are in the local store under ``build_ref`` and ``run_ref``."""

    definition: StackDefinition
    build_image: Image
    run_image: Image

    @property
    def build_ref(self) -> Reference:
        return self.definition.reference("build")

    @property
    def run_ref(self) -> Reference:
        return self.definition.reference("run")

    def as_dict(self) -> dict[str, Any]:
        """The stack as plain data: ``build_image`` and ``run_image`` are names, ``images`` tells more of each."""
        row = {"id": self.definition.id, "name": self.definition.name, "description": self.definition.description}
        return _with_image(_with_image(row, self.build_ref, self.build_image), self.run_ref, self.run_image)


def _with_image(row: dict[str, Any], ref: Reference, image: Image) -> dict[str, Any]:
    kind = ref.repository.rpartition("-")[2]
    images = {**row.get("images", {}), kind: image_dict(ref, image)}
    return {**row, f"{kind}_image": ref.familiar, "images": images}


def image_dict(ref: Reference, image: Image) -> dict[str, Any]:
    """An image of the local store as plain data. ``size`` is in bytes, compressed."""
    labels = image.config.labels
    return {
        "name": ref.familiar,
        "digest": str(image.digest),
        "size": image.size,
        "user": image.config.user,
        "packages": json.loads(labels.get(PACKAGES_LABEL, "{}")),
        "labels": {key: value for key, value in labels.items() if key != PACKAGES_LABEL},
    }


def create_stack(
    stack: StackDefinition,
    store: LocalStore,
    sink: Sink,
    *,
    mirror: str = "",
    profile: Profile = Profile.GZIP_FAST,
    kinds: tuple[Kind, ...] = ("build", "run"),
) -> dict[Kind, Image]:
    """Make the images anew, side by side, and name them in the store.

    ``mirror`` is where the packages come from: a URL, an apt source line or a file of them, or several of these
    separated by commas or line breaks; empty for Debian's own. Raises the errors of ``mmdebstrap``.
    """
    if any(_bootstraps(stack, kind, store) for kind in kinds):
        choose_mode()  # fail before any step begins
    with store.hold(), ThreadPoolExecutor(len(kinds)) as pool:
        running = Running()
        work = _Work(store, sink, mirror, profile, running)
        futures = {kind: pool.submit(work.create, stack, kind) for kind in kinds}
        try:
            done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
            failed = next((error for future in done if (error := future.exception())), None)
            if failed is not None:
                raise failed
        except BaseException:  # one failed, or Ctrl-C: the other shall not go on for a minute
            running.stop()
            raise
        images = {kind: future.result() for kind, future in futures.items()}
        for kind, image in images.items():
            save(image, StorePlace(stack.reference(kind)), Ports(store), sink)
    return images


def _bootstraps(stack: StackDefinition, kind: Kind, store: LocalStore) -> bool:
    """True when making the image means to install packages: it has no base, or its base is not made."""
    base = stack.image(kind).base
    return base is None or (find_current(base, kind, store) is None and _bootstraps(base, kind, store))


@dataclass(frozen=True, slots=True)
class _Work:
    """What every image of one act is made with."""

    store: LocalStore
    sink: Sink
    mirror: str
    profile: Profile
    running: Running

    def create(self, stack: StackDefinition, kind: Kind) -> Image:
        """The image, still without a name; a base that it needs gets its name at once."""
        base = stack.image(kind).base
        if base is None:
            return self._install(stack, kind)
        below = find_current(base, kind, self.store)
        if below is None:
            below = self.create(base, kind)
            save(below, StorePlace(base.reference(kind)), Ports(self.store), self.sink)
        return self._lay(stack, kind, below)

    def _install(self, stack: StackDefinition, kind: Kind) -> Image:
        packages: dict[str, str] = {}
        title = f"Making the {kind} image of {stack.name} from Debian packages"
        with step(self.sink, f"stack/{kind}", title) as handle:
            with bootstrap(stack, kind, self.sink, handle, self.mirror, self.running) as stream:
                beside = stack.run.packages if kind == "build" else ()
                members = rootfs_members(read_tar(stream), stack.user, stack.image(kind).drop, packages, beside)
                layer = write_layer(members, self.store, profile=self.profile)
            handle.detail = f"{len(packages)} packages, {layer.descriptor.size / 1e6:.0f} MB"
        data = json.dumps(dict(packages), separators=(",", ":"), sort_keys=True)
        config = _config(stack, kind, data, stack.key(kind), {})
        return Image(config.with_layers([layer.diff_id], [_made(stack, kind)]), (layer,), Dialect.OCI)

    def _lay(self, stack: StackDefinition, kind: Kind, below: Image) -> Image:
        beside = stack.run.packages if kind == "build" else ()
        layer = write_layer(upper_members(below.layers, stack.user, beside), self.store, profile=self.profile)
        image = append(below, [(layer, _made(stack, kind))])
        packages = below.config.labels.get(PACKAGES_LABEL, "{}")
        return with_config(image, _config(stack, kind, packages, image_key(stack, kind, below), below.config.env))


def _made(stack: StackDefinition, kind: Kind) -> History:
    return History(CREATED, f"pylife stack create: {stack.name}, {kind} image")


def _config(stack: StackDefinition, kind: Kind, packages: str, key: str, base_env: Mapping[str, str]) -> ImageConfig:
    """The configuration of an image, still without its layers. Source: CNB platform.md, "Build Image", "Run Image"."""
    user = stack.user
    env = {**base_env, **stack.env}
    labels = {
        "io.buildpacks.base.id": stack.id,
        "io.buildpacks.base.distro.name": stack.distro[0],
        "io.buildpacks.base.distro.version": stack.distro[1],
        "io.buildpacks.base.maintainer": stack.maintainer,
        "io.buildpacks.base.description": f"{stack.description}, {kind} image",
        "io.buildpacks.stack.id": stack.id,
        "io.buildpacks.rebasable": "true",
        PACKAGES_LABEL: packages,
        KEY_LABEL: key,
        **stack.labels,
    }
    if kind == "build":
        env |= {"CNB_USER_ID": str(user.uid), "CNB_GROUP_ID": str(user.gid), "CNB_STACK_ID": stack.id}
        del labels["io.buildpacks.rebasable"]
    config = ImageConfig.empty(Platform.host()).with_data(created=CREATED)
    return config.with_container(
        User=f"{user.uid}:{user.gid}",
        Env=[f"{name}={value}" for name, value in sorted(env.items())],
        Labels=dict(sorted(labels.items())),
    )


def image_key(stack: StackDefinition, kind: Kind, below: Image | None) -> str:
    """What the key label of a current image says; ``below`` is the image that it stands on."""
    key = stack.key(kind)
    return key if below is None else hashlib.sha256(f"{key} {below.digest}".encode()).hexdigest()


def find_image(stack: StackDefinition, kind: Kind, store: LocalStore) -> Image | None:
    """The image in the store, whatever definition it was made from; None when it is not there."""
    ref = stack.reference(kind)
    if store.get(ref) is None:
        return None
    image = load(StorePlace(ref), Ports(store))
    return image if isinstance(image, Image) else None


def find_current(stack: StackDefinition, kind: Kind, store: LocalStore) -> Image | None:
    """The image in the store if it, and what it stands on, were made from the definitions as they are now."""
    image, base = find_image(stack, kind, store), stack.image(kind).base
    below = find_current(base, kind, store) if base is not None else None
    if image is None or (base is not None and below is None):
        return None
    return image if image.config.labels.get(KEY_LABEL) == image_key(stack, kind, below) else None


def ensure_stack(stack: StackDefinition, store: LocalStore, sink: Sink, *, mirror: str = "") -> Stack:
    """The stack, of which only those images are made that are missing or whose definition changed."""
    kinds: tuple[Kind, ...] = ("build", "run")
    have = {kind: find_current(stack, kind, store) for kind in kinds}
    stale = tuple(kind for kind in kinds if have[kind] is None)
    made = create_stack(stack, store, sink, mirror=mirror, kinds=stale) if stale else {}
    images = {**have, **made}
    return Stack(stack, _there(images["build"], stack), _there(images["run"], stack))


def inspect_stack(stack: StackDefinition, store: LocalStore) -> Stack:
    """The stack as it is in the store; raises NoStack when an image is missing."""
    return Stack(
        stack, _there(find_image(stack, "build", store), stack), _there(find_image(stack, "run", store), stack)
    )


def list_stacks(store: LocalStore) -> list[dict[str, Any]]:
    """Every image in the store that is half of a stack, paired, as plain data sorted by name.

    The rows are those of ``Stack.as_dict``; an image that is missing is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for ref in [name for name, _ in store.items()]:
        name, _, kind = ref.repository.removeprefix("pylife/").rpartition("-")
        if kind not in ("build", "run") or not ref.repository.startswith("pylife/"):
            continue
        image = load(StorePlace(ref), Ports(store))
        if isinstance(image, Image) and KEY_LABEL in image.config.labels:
            row = found.get(name) or {"id": image.config.labels.get("io.buildpacks.base.id", ""), "name": name}
            found[name] = _with_image(row, ref, image)
    return [found[name] for name in sorted(found)]


def _there(image: Image | None, stack: StackDefinition) -> Image:
    if image is None:
        raise NoStack(f"The images of the stack {stack.name} are not in the local store")
    return image
