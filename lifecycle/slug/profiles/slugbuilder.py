"""The lines of deis slugbuilder, with those that BlueKing's default steps look for.

Source: deis/slugbuilder, rootfs/builder/build.sh; flynn slugbuilder for .slugignore; heroku-buildpack-multi,
bin/compile; BlueKing's default step set.
"""

from __future__ import annotations

from lifecycle.slug import moments as m
from lifecycle.slug.profiles.lines import MultiLines, Write, du, types


class SlugbuilderJournal(MultiLines):
    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self.building = False

    def tell(self, moment: m.Moment) -> None:
        match moment:
            case m.FetchingSource():
                self.title("Downloading app source code")
            case m.RestoringCache():
                self.title("Restoring cache...")
            case m.CacheRestored(found=True):
                self.body("Done!")
            case m.CacheRestored(why=""):
                self.body("No cache file found. If this is the first deploy, it will be created now.")
            case m.CacheRestored(why=why):
                self.warn(f"The cache is not used: {why}")
            case m.IgnoredRemoved(files=files) if files:
                self.title(f"Deleting {files} files matching .slugignore patterns.")
            case m.FetchingBuildpack(custom=True):
                self.title("Fetching custom buildpack")
            case m.FetchingBuildpack(name=name, version=version):
                self.title(f"Fetching buildpack {name}:{version}" if version else f"Fetching buildpack {name}")
            case m.Detected(kind=kind, others=others):
                self.title(f"{kind} app detected")
                if others:
                    self.body(f"Other buildpacks that would take it: {types(others)}")
            case m.NothingDetected():
                self.title("Unable to select a buildpack")
            case m.HookStarted(hook=hook):
                self._build()
                self.title(f"Running {hook} hook")
            case m.Selected(buildpacks=buildpacks):
                self.select(buildpacks)
            case m.Compiling(kind=kind):
                self._build()
                self.framework(kind)
            case m.Line():
                self.output(moment)
            case m.Discovering():
                self.title("Discovering process types")
            case m.TypesFound(declared=declared, default=default, kind=kind):
                if declared:
                    self.body(f"Procfile declares types -> {types(declared)}")
                if default:
                    self.release(kind)
                    self.body(f"Default process types for {kind} -> {types(default)}")
                if not declared and not default:
                    self.body("No process types found")
            case m.SlugMade(size=size, digest=digest):
                self.title(f"Compiled slug size is {du(size)}")
                self.body(f"Slug digest is {digest}")
            case m.Sending(target=target):
                self.body(f"Uploading slug to {target}")
            case m.SlugUnchanged():
                self.body("Slug unchanged, not uploading")
            case m.CheckingCache():
                self.title("Checking for changes inside the cache directory...")
            case m.CacheChecked(state="stored", size=size):
                self.body("Files inside cache folder changed, uploading new cache...")
                self.body(f"Done: Uploaded cache ({du(size)})")
            case m.CacheChecked(state="unchanged"):
                self.body("Cache unchanged, not updating")
            case m.CacheChecked(state="empty"):
                self.body("No files were added to the cache folder, cache wasn't updated")
            case m.Warned(text=text):
                self.warn(text)
            case m.Ended(ok=False, why=why):
                self.warn(f"Build failed: {why}" if why else "Build failed")
            case _:
                pass

    def _build(self) -> None:
        """The platform's step of building begins, once for all buildpacks and hooks."""
        if not self.building:
            self.building = True
            self.title("Compiling app...")
