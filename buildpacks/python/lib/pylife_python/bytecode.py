"""Compiles a tree to bytecode that is the same on every machine; run by the Python that will import it.

    python -S -s -E -B bytecode.py TREE [OLD_TREE]

Bytecode is checked against nothing at import (an image's files do not change), so times play no part in it. The
marshal format flags strings that something else in the process refers to, which depends on what was compiled before:
every string is therefore held twice while its code object is written. What OLD_TREE has for an equal source is taken
over. Files that do not compile are left without bytecode, as an installer leaves them.
"""

from __future__ import annotations

import importlib.util
import marshal
import os
import sys
import warnings
from types import CodeType

UNCHECKED = 0b01


def main(tree: str, old_tree: str = "") -> int:
    """Compiles all of ``tree`` in as many processes as there are processors; returns the exit code."""
    warnings.simplefilter("ignore")
    sources = [
        os.path.join(directory, name)
        for directory, _, names in os.walk(tree)
        if "__pycache__" not in directory
        for name in names
        if name.endswith(".py")
    ]
    sources.sort()
    workers = max(1, min(os.cpu_count() or 1, 8, len(sources) // 50))
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for source in sources[worker::workers]:
                    compile_file(source, old_tree and old_tree + source[len(tree) :])
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def compile_file(path: str, old: str = "") -> None:
    """Writes the bytecode of one source beside it, reusing that of ``old`` when its source was the same."""
    with open(path, "rb") as file:
        source = file.read()
    source_hash = importlib.util.source_hash(source)
    head = importlib.util.MAGIC_NUMBER + UNCHECKED.to_bytes(4, "little") + source_hash
    bytecode = _taken_over(importlib.util.cache_from_source(old), head) if old else None
    if bytecode is None:
        try:
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, OverflowError):
            return
        held: list[object] = []
        _hold_strings(code, held)
        bytecode = head + marshal.dumps(code)
        del held
    target = importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(bytecode)


def _taken_over(path: str, head: bytes) -> bytes | None:
    try:
        with open(path, "rb") as file:
            bytecode = file.read()
    except OSError:
        return None
    return bytecode if bytecode.startswith(head) else None


def _hold_strings(value: object, held: list[object]) -> None:
    if isinstance(value, str):
        held.append(value)
    elif isinstance(value, (tuple, frozenset)):
        for item in value:
            _hold_strings(item, held)
    elif isinstance(value, CodeType):
        names = (value.co_names, value.co_varnames, value.co_cellvars, value.co_freevars, value.co_consts)
        for part in (*names, (value.co_name, value.co_qualname, value.co_filename)):
            _hold_strings(part, held)


assert marshal.version in (4, 5)  # the reasoning above was made for these formats

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
