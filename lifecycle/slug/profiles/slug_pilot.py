"""The lines of BlueKing's slug-pilot: six steps that begin and are done.

Source: the log samples of BlueKing's bkpaas-cli (readme) and BlueKing's slug-pilot step set. Where the samples show no
line for something, it is said in their manner.
"""

from __future__ import annotations

from lifecycle.slug import moments as m
from lifecycle.slug.profiles.lines import Lines, elapsed, humanized, types


class SlugPilotJournal(Lines):
    def tell(self, moment: m.Moment) -> None:
        match moment:
            case m.Started(stack=stack):
                self.title(f"Starting slug builder {stack}")
            case m.StepBegan(step=step):
                self.title(f"Step {step} begin")
            case m.StepDone(step=step, seconds=seconds):
                self.body(f"Step {step} done, duration {elapsed(seconds)}")
            case m.FetchingSource():
                self.title("Restoring source...")
            case m.FetchingBuildpack(name=name, version=version):
                self.title(f"Fetching buildpack {_named(name, version)}")
            case m.RestoringCache():
                self.title("Restoring cache...")
            case m.CacheRestored(found=True):
                self.point("Cache restored")
            case m.CacheRestored(why=""):
                self.point("No cache found")
            case m.CacheRestored(why=why):
                self.warn(f"The cache is not used: {why}")
            case m.IgnoredRemoved(files=files) if files:
                self.point(f"Removed {files} files matching .slugignore")
            case m.Detecting(buildpack=buildpack):
                self.point(f"Detecting by {buildpack}")
            case m.Detected(kind=kind, buildpack=buildpack, others=others):
                self.body(f"Detected {kind} app")
                self.point(f"Activated {buildpack}")
                if others:
                    self.point(f"Other buildpacks that would take it: {types(others)}")
            case m.NothingDetected(tried=tried):
                self.body(f"Unable to select a buildpack, tried [{' '.join(tried)}]")
            case m.Selected(buildpacks=buildpacks):
                plural = "" if len(buildpacks) == 1 else "s"
                self.body(f"Selected {len(buildpacks)} buildpack{plural}: [{' '.join(buildpacks)}]")
                self.point("Checking Procfile")  # as the step's next act is, whose failure ends it
            case m.HookStarted(hook=hook):
                self.title(f"Running {hook} hook")
            case m.Compiling(kind=kind, buildpack=buildpack):
                self.title(f"Compiling {kind} app by buildpack {buildpack}")
            case m.Line():
                self.output(moment)
            case m.TypesFound(declared=declared, default=default, kind=kind):
                if declared:
                    self.body(f"Procfile declares types -> {types(declared)}")
                if default:
                    self.body(f"Default process types for {kind} -> {types(default)}")
                if not declared and not default:
                    self.body("No process types found")
            case m.SlugMade(size=size, digest=digest, seconds=seconds):
                self.body(f"Slug size is {humanized(size)}, duration: {elapsed(seconds)}")
                self.body(f"Slug digest is {digest}")
            case m.Sending(target=target):
                self.title("Updating slug...")
                self.point(f"Update slug to {target}")
            case m.SlugUnchanged():
                self.title("Slug has not changed, not updating")
            case m.CacheChecked(state="stored", size=size):
                self.title("Cache has changed, updating...")
                self.body(f"Cache size is {humanized(size)}")
            case m.CacheChecked(state="unchanged"):
                self.title("Cache has not changed, not updating")
            case m.CacheChecked(state="empty"):
                self.title("Cache is empty, not updating")
            case m.Warned(text=text):
                self.warn(text)
            case m.Ended(ok=True, seconds=seconds):
                self.title(f"Build success, duration: {elapsed(seconds)}")
            case m.Ended(seconds=seconds, why=why, step=step):
                if step is not None:
                    self.warn(f"Step {step} failed: {why}" if why else f"Step {step} failed")
                elif why:
                    self.warn(why)
                self.warn(f"Build failed, duration: {elapsed(seconds)}")
            case _:
                pass

    def point(self, text: str) -> None:
        self.write("stdout", f"     * {text}")


def _named(name: str, version: str) -> str:
    return f"{name}:{version}" if version else name
