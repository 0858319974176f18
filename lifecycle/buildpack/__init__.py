"""Cloud Native Buildpacks: what a buildpack is, what it may write, and what follows from it.

Everything but ``execute`` is pure or only reads a build root; nothing here knows a registry or an image.
"""
