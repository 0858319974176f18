"""What the buildpacks share: the Buildpack API as a few values and functions.

Copied into ``<buildpack>/lib/pylife_sdk`` when a buildpack is packaged, so a buildpack has no other needs than the
build image's own Python. Import single modules: a detect must start in a few hundredths of a second.
"""
