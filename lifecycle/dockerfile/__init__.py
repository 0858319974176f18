"""Dockerfiles: from bytes to instructions, stages and a build graph."""
