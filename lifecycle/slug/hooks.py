"""An app's own scripts around the compiling: bin/pre-compile and bin/post-compile, or with an underscore.

Source: deis slugbuilder, builder/build.sh; heroku-buildpack-python runs bin/pre_compile itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.buildpack import ClassicBuildpack, Surroundings, crlf_fix
from lifecycle.slug.environment import HOOK_FILTER
from lifecycle.slug.moments import Hook, HookStarted, Journal, Warned

_SCRIPT = 1 << 20


class HookFailed(PylifeError):
    """The app's own bin/pre-compile or bin/post-compile ended with an error."""

    code = "slug.hook-failed"
    fix = "Read what the script printed above, and run it in the app's directory to see for yourself."


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of an app in ``around``. ``config_vars`` are in their environment: they are scripts of the app's own.

    A hook that one of ``buildpacks`` runs itself is left to it.
    """

    around: Surroundings
    buildpacks: Sequence[ClassicBuildpack]
    config_vars: Mapping[str, str]
    journal: Journal

    def run(self, hook: Hook, exports: Sequence[str] = ()) -> None:
        """Run ``hook`` where there is one that is executable. Raises HookFailed."""
        root, paths = self.around.root, self.around.paths
        for name in (hook, hook.replace("-", "_")):
            script = f"{paths.build}/bin/{name}"
            if not root.is_file(script) or any(self._run_by(name)):
                continue
            if not os.stat(root.host(script)).st_mode & 0o111:
                self.journal.tell(Warned(f"bin/{name} is not run: it is not executable (chmod +x bin/{name})."))
                continue
            self.journal.tell(HookStarted(hook, f"bin/{name}"))
            own = {key: value for key, value in self.config_vars.items() if key not in HOOK_FILTER}
            variables = {**own, **self.around.variables}
            code = self.around.run((script, paths.build, paths.cache, paths.env), sourced=exports, variables=variables)
            if code:
                raise HookFailed(
                    f"The app's bin/{name} failed", why=f"it exited with {code}", fix=crlf_fix(script, root)
                )
            return

    def _run_by(self, name: str) -> Iterator[bool]:
        root = self.around.root
        for buildpack in self.buildpacks:
            script = f"{buildpack.path}/bin/compile"
            if root.is_file(script) and os.stat(root.host(script)).st_size <= _SCRIPT:  # else it is a program
                yield name.encode() in (root.read(script) or b"")
