"""pylife's own lines for a slug build: short, each naming its thing, with the reason where there is one."""

from __future__ import annotations

from lifecycle.slug import moments as m
from lifecycle.slug.profiles.lines import Lines, elapsed, humanized, types


class PylifeJournal(Lines):
    def tell(self, moment: m.Moment) -> None:
        match moment:
            case m.Started(stack=stack):
                self.say(f"Building a slug for the stack {stack}")
            case m.FetchingSource(origin=origin):
                self.say(f"Source: {origin}")
            case m.FetchingBuildpack(name=name, version=version, origin=origin):
                self.say(f"Buildpack: {name}{f' {version}' if version else ''}{f' from {origin}' if origin else ''}")
            case m.CacheRestored(found=True):
                self.say("Cache: restored")
            case m.CacheRestored(why=why):
                self.say(f"Cache: not used, because {why}" if why else "Cache: none yet")
            case m.IgnoredRemoved(files=files) if files:
                self.say(f"Removed {files} file{'' if files == 1 else 's'} that .slugignore names")
            case m.Detected(kind=kind, buildpack=buildpack, others=others):
                self.say(f"Detected: {kind}, by the buildpack {buildpack}")
                if others:
                    self.say(f"  {types(others)} would take this app too; the first of the order is used")
            case m.NothingDetected(tried=tried, custom=custom):
                if custom:
                    self.warn(f"The buildpack {types(tried)} does not take this app")
                else:
                    self.warn(f"No buildpack takes this app; tried: {types(tried)}")
            case m.Selected(buildpacks=buildpacks) if len(buildpacks) > 1:
                self.say(f"Buildpacks, in this order: {types(buildpacks)}")
            case m.HookStarted(hook=hook, script=script):
                self.say(f"Running the app's {hook} hook, {script}")
            case m.Compiling(buildpack=buildpack):
                self.say(f"Compiling with {buildpack}")
            case m.Line(text=text, stream=stream):
                self.write(stream, f"  {text}".rstrip())
            case m.TypesFound(declared=declared, default=default, kind=kind):
                self._types(declared, tuple(type for type in default if type not in declared), kind)
            case m.SlugMade(size=size, digest=digest, seconds=seconds):
                self.say(f"Slug: {humanized(size)}, {digest}, made in {elapsed(round(seconds, 1))}")
            case m.Sending(target=target):
                self.say(f"Sending the slug to {target}")
            case m.SlugUnchanged(target=target):
                self.say(f"Nothing sent: {target} has this very slug already")
            case m.CacheChecked(state="stored", size=size):
                self.say(f"Cache: changed, {humanized(size)} stored")
            case m.CacheChecked(state="unchanged"):
                self.say("Cache: unchanged, nothing stored")
            case m.CacheChecked(state="empty"):
                self.say("Cache: empty, nothing stored")
            case m.Warned(text=text):
                self.warn(f"Warning: {text}")
            case m.Ended(ok=True, seconds=seconds):
                self.say(f"Done in {elapsed(round(seconds, 1))}")
            case m.Ended(seconds=seconds, step=step):  # why is said by the error itself, which is shown next
                place = f" in the step {step}" if step else ""
                self.warn(f"Failed{place} after {elapsed(round(seconds, 1))}")
            case _:
                pass

    def say(self, text: str) -> None:
        self.write("stdout", text)

    def warn(self, text: str) -> None:
        for line in text.splitlines():
            self.write("stderr", line)

    def _types(self, declared: tuple[str, ...], default: tuple[str, ...], kind: str) -> None:
        parts = [f"{types(declared)} (Procfile)"] if declared else []
        if default:
            parts.append(f"{types(default)} (default of {kind} apps)" if kind else f"{types(default)} (default)")
        self.say(f"Processes: {'; '.join(parts)}" if parts else "Processes: none; write a Procfile to name one")
