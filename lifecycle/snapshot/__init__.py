"""A root filesystem made from layers, and what changed in it."""
