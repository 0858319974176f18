"""COPY and ADD as tables: what is there, the instruction, and the tree that results or the error."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from cases import Case, load_cases
from copy_trees import MemoryTree, make_context, parse_spec, render

from lifecycle.archive import extract, walk, write_tar
from lifecycle.archive.entry import Member
from lifecycle.archive.filetree import ROOT
from lifecycle.dockerfile.copying import place, select
from lifecycle.errors import PylifeError

CASES = load_cases("dockerfile/copy")


def carry_out(case: Case, tmp_path: Path) -> tuple[MemoryTree, list[Member]]:
    """The target before, and the layer that the case's instruction makes for it."""
    sections = case.sections
    tree = MemoryTree.of(sections["stage"]) if "stage" in sections else make_context(tmp_path / "context", sections)
    target = MemoryTree.of(sections.get("target", ""))
    spec = parse_spec(sections["instruction"], sections)
    return target, place(select(tree, spec), spec, target)


def refused(case: Case, tmp_path: Path) -> str:
    with pytest.raises(PylifeError) as caught:
        carry_out(case, tmp_path)
    return f"{caught.value.code}: {caught.value}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_instruction_gives_tree_or_error(case: Case, tmp_path: Path) -> None:
    if "error" in case.sections:
        assert refused(case, tmp_path) == case.sections["error"]
    else:
        target, layer = carry_out(case, tmp_path)
        assert target.apply(layer).render() == case.sections["result"]


@pytest.mark.parametrize("case", [case for case in CASES if "error" not in case.sections], ids=str)
def test_layer_is_in_order_without_doubles(case: Case, tmp_path: Path) -> None:
    _, layer = carry_out(case, tmp_path)
    names = [entry.name for entry, _ in layer]
    assert names == sorted(set(names), key=lambda name: name.replace(b"/", b"\0"))
    for name in names:
        above = name.rpartition(b"/")[0]
        assert not above or above in names[: names.index(name)]


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files other owners needs root")
def test_layers_unpack_to_the_same_trees(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        if "error" in case.sections:
            continue
        here = tmp_path / str(number)
        here.mkdir()
        target, layer = carry_out(case, here)
        root = here / "root"
        root.mkdir()
        for members in (target.walk(ROOT), layer):
            packed = io.BytesIO()
            write_tar(members, packed)
            packed.seek(0)
            extract(packed, root)
        assert "\n".join(render(walk(root))) == case.sections["result"], case.name
