"""What is set when the app starts: memory and processes from the container's limits, the user's own values first.

Source: heroku/nodejs, web_env: WEB_MEMORY (megabytes of one process, 512 by default), WEB_CONCURRENCY = memory /
WEB_MEMORY.
"""

from __future__ import annotations

from pylife_sdk.execd import write_execd
from pylife_sdk.layer import Layer

_LIMITS = r"""
_limit=$(memory_limit)
_total=$(memory_total)
if [ -z "$_limit" ] || { [ -n "$_total" ] && [ "$_limit" -gt "$_total" ]; }; then _bounded=; else _bounded=$_limit; fi
_available=$(( ${_bounded:-${_total:-536870912}} / 1048576 ))
_web=${WEB_MEMORY:-512}
case $_web in '' | *[!0-9]* | 0) _web=512 ;; esac
set_default WEB_MEMORY 512
set_default MEMORY_AVAILABLE "$_available"
if [ -n "$_bounded" ]; then
    _count=$((_available / _web))
    [ "$_count" -gt 200 ] && _count=200
    [ "$_count" -lt 1 ] && _count=1
else
    # Without a limit the machine's memory says nothing about this app: one process for each processor, within it.
    _count=$(cpu_count)
    [ "$_count" -gt $((_available / _web)) ] && _count=$((_available / _web))
    [ "$_count" -lt 1 ] && _count=1
fi
set_default WEB_CONCURRENCY "$_count"
"""
# V8 takes its limit from the machine's memory, not from the container's; a quarter stays for what is not its heap.
_HEAP = r"""
_options=${NODE_OPTIONS:-}
_requires='@REQUIRES@'
case " $_options" in
    *--max-old-space-size* | *--max_old_space_size*) _heap= ;;
    *) if [ -n "$_bounded" ]; then _heap=$((_available * 3 / 4)); else _heap=; fi ;;
esac
[ -n "$_heap" ] && _options="${_options:+$_options }--max-old-space-size=$_heap"
[ -n "$_requires" ] && _options="$_requires${_options:+ $_options}"
if [ "$_options" != "${NODE_OPTIONS:-}" ]; then
    printf 'NODE_OPTIONS = "%s"\n' "$(printf '%s' "$_options" | sed 's/[\\"]/\\&/g')" >&3
fi
"""


def set_launch(layer: Layer, modules: list[str], pnp: str) -> None:
    """Writes the layer's environment. ``modules`` are absolute node_modules/.bin directories for PATH; ``pnp`` is the
    file that Yarn's Plug'n'Play must load first, "" without it."""
    layer.set_env("NODE_ENV", "production", when="launch")
    layer.set_env("NODE_HOME", layer.path)
    if modules:
        layer.set_env("PATH", ":".join(modules), when="launch", mode="prepend")
        layer.set_env("PATH", ":", when="launch", mode="delim")
    requires = f"--require {pnp}" if pnp else ""
    write_execd(layer, "limits", _LIMITS + _HEAP.replace("@REQUIRES@", requires))
