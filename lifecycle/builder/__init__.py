"""Stacks, builders and buildpackages: the images that builds start from."""
