"""The lines of herokuish.

Source: gliderlabs/herokuish, include/buildpack.bash, include/procfile.bash, include/slug.bash;
heroku-buildpack-multi, bin/compile.
"""

from __future__ import annotations

from lifecycle.slug import moments as m
from lifecycle.slug.profiles.lines import MultiLines, du, types


class HerokuishJournal(MultiLines):
    def tell(self, moment: m.Moment) -> None:
        match moment:
            case m.CacheRestored(found=False, why=why) if why:
                self.warn(f"The cache is not used: {why}")
            case m.IgnoredRemoved(files=files) if files:
                self.title(f"Deleting {files} files matching .slugignore patterns.")
            case m.FetchingBuildpack(custom=True, name=name, origin=origin):
                self.title(f"Fetching custom buildpack {origin or name}")
            case m.NotFetched(origin=origin):
                self.title(f"Unable to fetch custom buildpack from {origin}")
            case m.Detected(kind=kind, buildpack=buildpack, others=others):
                if others:
                    self.title(
                        "Warning: Multiple default buildpacks reported the ability to handle this app. "
                        "The first buildpack in the list below will be used."
                    )
                    self.body(f"Detected buildpacks: {' '.join((buildpack, *others))}")
                self.title(f"{kind} app detected")
            case m.NothingDetected():
                self.title("Unable to select a buildpack")
            case m.HookStarted(hook=hook):
                self.title(f"Running {hook} hook")
            case m.Selected(buildpacks=buildpacks):
                self.select(buildpacks)
            case m.Compiling(kind=kind):
                self.framework(kind)
            case m.Line():
                self.output(moment)
            case m.Discovering():
                self.title("Discovering process types")
            case m.TypesFound(declared=declared, default=default, kind=kind):
                if declared:
                    self.body(f"Procfile declares types -> {types(declared)}")
                elif default:
                    self.release(kind)
                    self.body(f"Default types for {kind} -> {types(default)}")
                else:
                    self.body("No process types found")
            case m.SlugMade(size=size):
                self.title(f"Compiled slug size is {du(size)}")
            case m.SlugUnchanged(target=target):
                self.body(f"Slug unchanged: {target} has it already")
            case m.Warned(text=text):
                self.warn(text)
            case m.Ended(ok=False, why=why):
                self.warn(f"Build failed: {why}" if why else "Build failed")
            case _:
                pass
