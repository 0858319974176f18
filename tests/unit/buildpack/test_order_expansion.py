from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from case_file import cases, lines, sections

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import Buildpack, GroupElement, Order, UnknownBuildpack
from lifecycle.buildpack.order import (
    BadOrder,
    Group,
    System,
    expand,
    parse_order_file,
    parse_system,
    verify,
    with_system,
)
from lifecycle.errors import PylifeError


def group(line: str, *, extension: bool = False) -> Group:
    def element(word: str) -> GroupElement:
        id_, _, version = word.rstrip("?").partition("@")
        return GroupElement(id_, version or "1.0.0", optional=extension or word.endswith("?"), extension=extension)

    return tuple(element(word) for word in line.split())


def groups(text: str, *, extension: bool = False) -> Order:
    return tuple(group(line, extension=extension) for line in lines(text))


def shown(found: Group) -> str:
    return " ".join(
        f"{element.id}{'!' if element.extension else ''}{'?' if element.optional else ''}" for element in found
    )


@pytest.mark.parametrize("path", cases("order"), ids=lambda path: path.stem)
def test_order_case(path: Path) -> None:
    text = sections(path)
    composites = {name[10:]: groups(body) for name, body in text.items() if name.startswith("composite ")}

    def lookup(element: GroupElement) -> Buildpack:
        if element.id == "ghost":
            raise UnknownBuildpack(f"There is no buildpack {element}")
        order = composites.get(element.id, ())
        return Buildpack(element.id, element.version, Api(0, 11), f"/cnb/buildpacks/{element.id}", order=order)

    def members(name: str) -> Group:
        return tuple(element for line in groups(text.get(name, "")) for element in line)

    order = with_system(groups(text["order"]), System(members("system pre"), members("system post")))
    extensions = groups(text.get("extensions", ""), extension=True)
    try:
        verify(order, lookup)
        found = [shown(item) for item in expand(order, lookup, extensions=extensions)]
    except PylifeError as error:
        found = [f"error: {error}"]
    assert found == lines(text["expect"])


def test_huge_product_is_lazy() -> None:
    composites = {f"m{at}": tuple((GroupElement(f"b{at}-{n}", "1.0.0"),) for n in range(10)) for at in range(60)}

    def lookup(element: GroupElement) -> Buildpack:
        return Buildpack(element.id, element.version, Api(0, 11), "/x", order=composites.get(element.id, ()))

    order = (tuple(GroupElement(name, "1.0.0") for name in composites),)
    verify(order, lookup)
    first = list(islice(expand(order, lookup), 1000))
    assert len({shown(item) for item in first}) == 1000
    assert all(len(item) == 60 for item in first)


def test_expanded_elements_know_api_and_homepage() -> None:
    def lookup(element: GroupElement) -> Buildpack:
        return Buildpack(element.id, element.version, Api(0, 9), "/x", homepage="https://a.example")

    ((element,),) = expand(((GroupElement("a", "1.0.0"),),), lookup)
    assert (element.api, element.homepage) == ("0.9", "https://a.example")


def test_order_file_marks_extensions() -> None:
    raw = b"""
[[order]]
[[order.group]]
id = "a"
version = "1.2.3"
optional = true
[[order-extensions]]
[[order-extensions.group]]
id = "e"
version = "1.0.0"
"""
    found = parse_order_file(raw, "order.toml")
    assert found.order == ((GroupElement("a", "1.2.3", optional=True),),)
    assert found.extensions == ((GroupElement("e", "1.0.0", optional=True, extension=True),),)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "order.toml: order"),
        ('[[order]]\n[[order.group]]\nid = "a"\n', "order.toml: order[0].group[0].version"),
        ('[[order]]\n[[order.group]]\nversion = "1.0.0"\n', "order.toml: order[0].group[0].id"),
        ('[[order]]\n[[order.group]]\nid = "../a b"\nversion = "1.0.0"\n', "order.toml: order[0].group[0].id"),
        ("[[order]]\n", "order.toml: order[0].group"),
    ],
)
def test_bad_order_names_the_key(text: str, where: str) -> None:
    with pytest.raises(BadOrder) as error:
        parse_order_file(text.encode(), "order.toml")
    assert error.value.where == where


def test_system_file() -> None:
    raw = b'[[system.pre.buildpacks]]\nid = "p"\nversion = "1.0.0"\noptional = true\n'
    assert parse_system(raw, "system.toml") == System((GroupElement("p", "1.0.0", optional=True),), ())
