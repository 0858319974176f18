"""Caches that another machine finds: each Workshop is a machine with a store and a cache of its own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from graph_workshop import Workshop

from lifecycle.archive.compress import Profile
from lifecycle.errors import PylifeError
from lifecycle.events import Message
from lifecycle.graph import (
    Node,
    RepositoryCache,
    Vertex,
    cache_repository,
    export_cache,
    open_cache,
    parse_cache_from,
    parse_cache_to,
    with_inline_cache,
)
from lifecycle.image import Image, OciPlace, Ports, RegistryPlace, append, empty, index_of, load_image, send
from lifecycle.image.layer import RemoteLayer
from lifecycle.image.validate import validate
from lifecycle.oci import History, ImageConfig, Platform, Reference
from lifecycle.registry import RegistryClient, RegistrySettings
from lifecycle.store import DiskBlobs
from lifecycle.testing.images import layer_of
from lifecycle.testing.registry import Corrupt, Drop, FaultyRegistry, Reply

Machine = Callable[[], Workshop]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[FaultyRegistry]:
    with FaultyRegistry(tmp_path / "registry") as server:
        yield server


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient(RegistrySettings(attempts=1)) as client:
        yield client


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made: list[Workshop] = []

    def make() -> Workshop:
        made.append(Workshop(tmp_path / f"machine{len(made)}"))
        return made[-1]

    yield make
    for workshop in made:
        workshop.packer.close()


def two_stages(shop: Workshop, *, final: str = "copy") -> Node:
    """A builder of two steps, and a final stage of two: the last copies from the builder."""
    builder = shop.write("make", shop.write("fetch"))
    return shop.write(final, shop.write("install"), builder)


def export(shop: Workshop, client: RegistryClient, target: Node, text: str, mounts: list = []) -> None:  # type: ignore[type-arg]  # noqa: B006
    wanted = parse_cache_to(text)
    solver = shop.solver()
    solver.solve([target])
    export_cache(wanted, solver.records([target], wanted.mode), mounts, Ports(shop.store, client), shop.sink)


def use(shop: Workshop, client: RegistryClient | None, text: str) -> None:
    shop.more = [open_cache(parse_cache_from(text), Ports(shop.store, client), shop.sink)]


def warnings(shop: Workshop) -> list[str]:
    return [event.text for event in shop.sink.events if isinstance(event, Message) and event.level == "warning"]


def test_another_machine_does_nothing_with_a_cache_of_all_steps(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one, two = machine(), machine()
    ref = f"{registry.address}/app:cache"
    export(one, client, two_stages(one), f"type=registry,ref={ref},mode=max")
    use(two, client, ref)
    assert two.build(two_stages(two)) == []
    assert two.build(two_stages(two, final="other")) == ["other"]


def test_a_small_cache_has_only_the_layers_of_the_result_and_spares_the_builder(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one, two = machine(), machine()
    ref = f"{registry.address}/app:cache"
    export(one, client, two_stages(one), f"type=registry,ref={ref},mode=min")
    assert len(load_image(RegistryPlace(Reference.parse(ref)), Ports(one.store, client)).layers) == 2
    use(two, client, ref)
    assert two.build(two_stages(two)) == []
    assert sorted(two.build(two_stages(two, final="other"))) == ["fetch", "make", "other"]


def test_layers_are_fetched_only_when_a_step_needs_them(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one, two = machine(), machine()
    ref = f"{registry.address}/app:cache"
    export(one, client, two_stages(one), f"type=registry,ref={ref},mode=max")
    use(two, client, ref)
    registry.seen.clear()
    target = two_stages(two)
    state = two.solver().solve([target])[target]
    config = load_image(RegistryPlace(Reference.parse(ref)), Ports(two.store, client)).manifest.config.digest
    assert [item for item in registry.requests("GET", "/blobs/") if config.hex not in item.path] == []
    layer = state.image_layers()[-1]
    assert isinstance(layer, RemoteLayer)
    with layer.uncompressed() as tar:
        assert b"copy" in tar.read()


def test_a_layer_that_the_registry_lost_is_made_again(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one, two = machine(), machine()
    ref = f"{registry.address}/app:cache"
    target = two_stages(one)
    export(one, client, target, f"type=registry,ref={ref},mode=max")
    state = one.solver().solve([target])[target]
    registry.fault(Reply(404), method="HEAD", path=state.image_layers()[-1].descriptor.digest.hex, times=None)
    with RegistryClient() as other:
        use(two, other, ref)
        assert two.build(two_stages(two)) == ["copy"]


def test_a_content_key_hits_in_a_registry_too(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one, two = machine(), machine()
    ref = f"{registry.address}/app:cache"
    export(one, client, one.write("b", one.write("a", files={"f": b"1"})), f"type=registry,ref={ref}")
    use(two, client, ref)
    assert two.build(two.write("b", two.write("A", files={"f": b"1"}))) == ["A"]


@pytest.mark.parametrize("fault", [Reply(500), Reply(403), Drop()], ids=["500", "403", "dropped"])
def test_a_broken_cache_registry_only_warns_and_once(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry, fault: Reply | Drop
) -> None:
    one = machine()
    registry.fault(fault, times=None)
    use(one, client, f"{registry.address}/app:cache")
    assert one.build(two_stages(one))[-1] == "copy"
    assert len(warnings(one)) == 1


def test_a_cache_that_is_not_there_yet_is_told_once(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one = machine()
    use(one, client, f"{registry.address}/app:cache")
    assert len(one.build(two_stages(one))) == 4
    assert warnings(one) == [f"There is no cache at {registry.address}/app:cache yet"]


def test_a_damaged_cache_config_only_warns(machine: Machine, client: RegistryClient, registry: FaultyRegistry) -> None:
    one, two = machine(), machine()
    ref = f"{registry.address}/app:cache"
    export(one, client, one.write("a"), f"type=registry,ref={ref}")
    registry.fault(Corrupt(30), method="GET", path="/blobs/", times=None)
    use(two, client, ref)
    assert two.build(two.write("a")) == ["a"]
    assert len(warnings(two)) == 1


def test_a_cache_of_another_version_only_warns(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one = machine()
    place = RegistryPlace(Reference.parse(f"{registry.address}/app:cache"))
    config = ImageConfig.empty(Platform.host()).with_data(**{"io.pylife.cache": {"schema": "x", "records": []}})
    send(Image(config, ()), place, Ports(one.store, client), one.sink)
    use(one, client, str(place))
    assert one.build(one.write("a")) == ["a"]
    assert "another version" in warnings(one)[0]


@pytest.mark.parametrize(
    "found",
    [{"records": 5}, [], {"records": [{"definition": "x"}]}, {"records": [{"layers": [7]}]}, {"records": [None]}],
    ids=str,
)
def test_nonsense_in_place_of_a_cache_only_warns(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry, found: object
) -> None:
    one = machine()
    data = {"schema": "pylife-graph-1", **found} if isinstance(found, dict) else found
    place = RegistryPlace(Reference.parse(f"{registry.address}/app:cache"))
    config = ImageConfig.empty(Platform.host()).with_data(**{"io.pylife.cache": data})
    send(Image(config, ()), place, Ports(one.store, client), one.sink)
    use(one, client, str(place))
    assert one.build(one.write("a")) == ["a"]
    assert len(warnings(one)) == 1


def test_the_same_steps_give_the_same_cache_image(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    digests = []
    for name in ("one", "two"):
        shop = machine()
        export(shop, client, two_stages(shop), f"type=registry,ref={registry.address}/{name}:c,mode=max")
        place = RegistryPlace(Reference.parse(f"{registry.address}/{name}:c"))
        image = load_image(place, Ports(shop.store, client))
        assert validate(image) == ()
        digests.append(image.digest)
    assert digests[0] == digests[1]


def test_an_export_that_fails_is_an_error_unless_errors_do_not_matter(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one = machine()
    registry.fault(Reply(403), times=None)
    with pytest.raises(PylifeError):
        export(one, client, one.write("a"), f"type=registry,ref={registry.address}/app:c")
    export(one, client, one.write("a"), f"type=registry,ref={registry.address}/app:c,ignore-error=true")
    assert len(warnings(one)) == 1


def test_layers_are_mounted_from_the_repository_that_has_them(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one, two = machine(), machine()
    export(one, client, one.write("a"), f"type=registry,ref={registry.address}/one:c")
    use(two, client, f"{registry.address}/one:c")
    target = two.write("a")
    solver = two.solver()
    solver.solve([target])
    registry.seen.clear()
    spec = parse_cache_to(f"{registry.address}/two:c")
    export_cache(spec, solver.records([target], "min"), (), Ports(two.store, client), two.sink)
    assert [item for item in registry.requests("POST") if "mount=" in item.path]
    assert [item for item in registry.requests("GET", "/blobs/") if "one" in item.path] == []


def test_a_directory_is_a_cache_that_other_tools_can_read(
    machine: Machine, client: RegistryClient, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    one, two = machine(), machine()
    place = tmp_path / "cache"
    export(one, client, two_stages(one), f"type=local,dest={place},mode=max")
    use(two, None, f"type=local,src={place}")
    assert two.build(two_stages(two)) == []
    shown = subprocess.run(
        [tool("skopeo"), "inspect", f"oci:{place}:latest"], check=True, capture_output=True, text=True
    )
    assert len(json.loads(shown.stdout)["Layers"]) == 4


def test_a_cache_in_a_directory_is_found_by_tag_and_by_digest(
    machine: Machine, client: RegistryClient, tmp_path: Path
) -> None:
    one, two = machine(), machine()
    place = tmp_path / "cache"
    export(one, client, one.write("a"), f"type=local,dest={place},tag=main")
    digest = load_image(OciPlace(place, "main"), Ports(one.store)).digest
    use(two, None, f"type=local,src={place}")
    assert two.build(two.write("a")) == ["a"]
    two = machine()
    use(two, None, f"type=local,src={place},digest={digest}")
    assert two.build(two.write("a")) == []
    two = machine()
    use(two, None, f"type=local,src={place},tag=main")
    assert two.build(two.write("a")) == []


def test_a_directory_that_lost_a_blob_is_as_good_as_no_cache_for_that_step(
    machine: Machine, client: RegistryClient, tmp_path: Path
) -> None:
    one, two = machine(), machine()
    place = tmp_path / "cache"
    export(one, client, one.write("b", one.write("a")), f"type=local,dest={place},mode=max")
    blobs = DiskBlobs(place)
    blobs.delete(load_image(OciPlace(place, "latest"), Ports(one.store)).layers[-1].descriptor.digest)
    use(two, None, f"type=local,src={place}")
    assert two.build(two.write("b", two.write("a"))) == ["b"]


def test_a_directory_that_is_not_there_is_told_once(machine: Machine, tmp_path: Path) -> None:
    one = machine()
    use(one, None, f"type=local,src={tmp_path / 'nothing'}")
    assert one.build(one.write("a")) == ["a"]
    assert len(warnings(one)) == 1


def test_layers_of_a_cache_can_have_another_compression(
    machine: Machine, client: RegistryClient, tmp_path: Path
) -> None:
    one, two = machine(), machine()
    place = tmp_path / "cache"
    export(one, client, one.write("a"), f"type=local,dest={place},compression=zstd")
    found = load_image(OciPlace(place, "latest"), Ports(one.store))
    assert [layer.descriptor.media_type.rpartition("+")[2] for layer in found.layers] == ["zstd"]
    use(two, None, f"type=local,src={place}")
    target = two.write("a")
    state = two.solver().solve([target])[target]
    assert [layer.descriptor.media_type.rpartition("+")[2] for layer in state.image_layers()] == ["gzip", "gzip"]
    assert two.build(two.write("a")) == []


def test_an_image_with_an_inline_cache_is_a_cache_for_its_steps(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one, two = machine(), machine()
    target = two_stages(one)
    solver = one.solver()
    state = solver.solve([target])[target]
    lines = [(layer, History(created_by="x")) for layer in state.image_layers()]
    image = append(empty(ImageConfig.empty(Platform.host())), lines)
    config = with_inline_cache(image.config, solver.records([target], "max"))
    image = Image(config, image.layers)
    assert validate(image) == ()
    ref = f"{registry.address}/app:1"
    send(image, RegistryPlace(Reference.parse(ref)), Ports(one.store, client), one.sink)
    use(two, client, ref)
    assert two.build(two_stages(two)) == []
    assert sorted(two.build(two_stages(two, final="other"))) == ["fetch", "make", "other"]


def test_an_ordinary_image_is_an_empty_cache(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one = machine()
    image = append(empty(ImageConfig.empty(Platform.host())), [(layer_of(one.store, {"f": b""}), History())])
    place = RegistryPlace(Reference.parse(f"{registry.address}/app:1"))
    send(image, place, Ports(one.store, client), one.sink)
    use(one, client, str(place))
    assert one.build(one.write("a")) == ["a"]
    assert warnings(one) == []


def test_cache_mounts_travel_with_a_cache(machine: Machine, client: RegistryClient, tmp_path: Path) -> None:
    one, two = machine(), machine()
    mount = layer_of(one.store, {"wheel": b"cached"})
    export(one, client, one.write("a"), f"type=local,dest={tmp_path / 'c'},mounts=true", [("pip", mount)])
    cache = open_cache(parse_cache_from(f"type=local,src={tmp_path / 'c'}"), Ports(two.store), two.sink)
    [(name, layer)] = cache.mounts()
    assert name == "pip"
    with layer.uncompressed() as tar:
        assert b"cached" in tar.read()


# -- a tag for each step -----------------------------------------------------------------------------------------


def repository(shop: Workshop, client: RegistryClient | None, place: str, **options: object) -> None:
    ports = Ports(shop.store, client)
    shop.more = [RepositoryCache(cache_repository(place), ports, sink=shop.sink, **options)]  # type: ignore[arg-type]


@pytest.fixture(params=["registry", "layout"])
def repo(request: pytest.FixtureRequest, registry: FaultyRegistry, tmp_path: Path) -> str:
    return f"{registry.address}/team/cache" if request.param == "registry" else f"oci:{tmp_path / 'layout'}"


def test_a_cache_repository_spares_another_machine_the_build(
    machine: Machine, client: RegistryClient, repo: str
) -> None:
    one, two = machine(), machine()
    repository(one, client, repo)
    assert len(one.build(two_stages(one))) == 4
    repository(two, client, repo)
    assert two.build(two_stages(two)) == []
    assert two.build(two_stages(two, final="other")) == ["other"]


def test_a_cache_repository_hits_by_content(machine: Machine, client: RegistryClient, repo: str) -> None:
    one, two = machine(), machine()
    repository(one, client, repo)
    one.build(one.write("b", one.write("a", files={"f": b"1"})))
    repository(two, client, repo)
    assert two.build(two.write("b", two.write("A", files={"f": b"1"}))) == ["A"]


def test_steps_older_than_the_time_to_live_are_done_again(machine: Machine, client: RegistryClient, repo: str) -> None:
    one, two = machine(), machine()
    repository(one, client, repo)
    one.build(one.write("a"))
    repository(two, client, repo, ttl=-1.0)
    assert two.build(two.write("a")) == ["a"]


def test_a_read_only_cache_repository_gets_nothing(machine: Machine, client: RegistryClient, repo: str) -> None:
    one, two = machine(), machine()
    repository(one, client, repo, read_only=True)
    one.build(one.write("a"))
    repository(two, client, repo)
    assert two.build(two.write("a")) == ["a"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_broken_cache_repository_only_warns(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry, method: str
) -> None:
    one = machine()
    registry.fault(Reply(500), method=method, times=None)
    repository(one, client, f"{registry.address}/team/cache")
    assert len(one.build(two_stages(one))) == 4
    assert len(warnings(one)) == 1


def test_what_was_done_before_a_failure_is_pushed(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    def fail() -> None:
        raise ValueError

    one, two = machine(), machine()
    repository(one, client, f"{registry.address}/cache")
    with pytest.raises(ValueError):
        one.build(one.write("b", one.write("a"), before=fail))
    repository(two, client, f"{registry.address}/cache")
    assert two.build(two.write("b", two.write("a"))) == ["b"]


def test_a_cache_repository_has_no_tag() -> None:
    with pytest.raises(PylifeError, match="not a repository"):
        cache_repository("localhost:5000/app:tag")


def test_steps_know_when_they_were_made(machine: Machine, client: RegistryClient, registry: FaultyRegistry) -> None:
    one = machine()
    repository(one, client, f"{registry.address}/cache")
    target: Vertex = one.write("a")
    one.build(target)
    found = one.more[0].get(target.definition_key)
    assert found is not None
    assert abs(found.made - time.time()) < 60
    assert Profile.GZIP_FAST.codec in found.own.descriptor.media_type


def test_every_platform_of_an_index_is_a_cache(
    machine: Machine, client: RegistryClient, registry: FaultyRegistry
) -> None:
    one, two = machine(), machine()
    images = []
    for platform in ("amd64", "arm64"):
        target = one.write(f"step {platform}")
        solver = one.solver()
        state = solver.solve([target])[target]
        lines = [(layer, History(created_by="x")) for layer in state.image_layers()]
        image = append(empty(ImageConfig.empty(Platform("linux", platform))), lines)
        images.append(Image(with_inline_cache(image.config, solver.records([target], "min")), image.layers))
    place = RegistryPlace(Reference.parse(f"{registry.address}/app:1"))
    send(index_of(images), place, Ports(one.store, client), one.sink)
    use(two, client, str(place))
    assert two.build(two.write("step amd64"), two.write("step arm64")) == []
