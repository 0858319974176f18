"""order.toml: which groups of buildpacks are tried, in which order.

A composite buildpack stands for its own order; expansion is depth-first, left to right, and lazy, because the product
of nested orders can be far larger than memory.
Source: CNB buildpack.md, "Order Resolution"; platform.md, "order.toml (TOML)" and "system.toml (TOML)".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lifecycle.buildpack.descriptor import Buildpack, GroupElement, Order, parse_id, parse_order, parse_version
from lifecycle.errors import PylifeError
from lifecycle.toml import Table


class BadOrder(PylifeError):
    """An order.toml or system.toml breaks the rules of the Platform API."""

    code = "buildpack.bad-order"
    fix = "Correct the key that is named: each [[order.group]] needs an id and a version."


class CyclicOrder(PylifeError):
    """Composite buildpacks contain each other."""

    code = "buildpack.cyclic-order"
    fix = "Take one of the named buildpacks out of the other's [[order]] in its buildpack.toml."


Lookup = Callable[[GroupElement], Buildpack]
Group = tuple[GroupElement, ...]


@dataclass(frozen=True, slots=True)
class OrderFile:
    """What order.toml holds: the order of buildpacks and that of image extensions."""

    order: Order
    extensions: Order = ()


@dataclass(frozen=True, slots=True)
class System:
    """What system.toml holds: buildpacks put before and after every group."""

    pre: Group = ()
    post: Group = ()


def parse_order_file(raw: bytes, file: str) -> OrderFile:
    """The order in ``raw``; raises BadOrder with file and key."""
    top = Table.parse(raw, file, BadOrder)
    order = parse_order(top, "order")
    if not order:
        raise top.error("order", "it is required: without a group nothing can be detected")
    return OrderFile(order, parse_order(top, "order-extensions", extension=True))


def parse_system(raw: bytes, file: str) -> System:
    """The system buildpacks in ``raw``; raises BadOrder with file and key."""
    system = Table.parse(raw, file, BadOrder).table("system")

    def elements(key: str) -> Group:
        return tuple(
            GroupElement(parse_id(table), parse_version(table), optional=table.flag("optional"))
            for table in system.table(key).tables("buildpacks")
        )

    return System(elements("pre"), elements("post"))


def with_system(order: Order, system: System) -> Order:
    """``order`` with the system buildpacks around every group that does not name them already."""

    def around(group: Group) -> Group:
        named = {element.id for element in group}
        pre = tuple(element for element in system.pre if element.id not in named)
        named |= {element.id for element in pre}
        return pre + group + tuple(element for element in system.post if element.id not in named)

    return tuple(around(group) for group in order)


def verify(order: Order, lookup: Lookup) -> None:
    """Read every descriptor that ``order`` reaches: each must exist, have a supported API, and not contain itself.

    Raises what ``lookup`` raises (UnknownBuildpack, UnsupportedApi), or CyclicOrder with the cycle spelled out.
    """
    checked: set[tuple[bool, str, str]] = set()

    def visit(element: GroupElement, trail: tuple[str, ...]) -> None:
        name = str(element)
        if name in trail:
            cycle = " -> ".join((*trail[trail.index(name) :], name))
            raise CyclicOrder(f"The composite buildpack {name} contains itself", why=cycle)
        identity = (element.extension, element.id, element.version)
        if identity in checked:
            return
        for group in lookup(element).order:
            for inner in group:
                visit(inner, (*trail, name))
        checked.add(identity)

    for group in order:
        for element in group:
            visit(element, ())


@dataclass(frozen=True, slots=True)
class _Pending:
    """The rest of a group as a linked list: alternatives share their tails, so branching copies nothing."""

    item: GroupElement | Order
    rest: _Pending | None


def _pending(group: Group, rest: _Pending | None) -> _Pending | None:
    for element in reversed(group):
        rest = _Pending(element, rest)
    return rest


def expand(order: Order, lookup: Lookup, *, extensions: Order = ()) -> Iterator[Group]:
    """The groups to try, first to last, each made of component buildpacks with API and homepage filled in.

    A composite is replaced by each group of its order in turn, and after these, when it is optional, by nothing. An ID
    that the group has already is skipped. Extensions come before every group and are always optional. Call ``verify``
    first: it finds cycles, this does not.
    """

    def walk(done: Group, todo: _Pending | None) -> Iterator[Group]:
        while todo is not None:
            item, todo = todo.item, todo.rest
            if isinstance(item, tuple):  # the order of extensions, optional as a whole
                for group in item:
                    yield from walk(done, _pending(group, todo))
                continue
            if any(item.key == other.key for other in done):
                continue
            found = lookup(item)
            if found.order:
                for group in found.order:
                    yield from walk(done, _pending(group, todo))
                if not item.optional:
                    return
                continue
            done = (*done, replace(item, api=str(found.api), homepage=found.homepage))
        yield done

    for group in order:
        todo = _pending(group, None)
        yield from walk((), _Pending(extensions, todo) if extensions else todo)
