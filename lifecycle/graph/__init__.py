"""The build graph: what a step depends on, what it was called before, and doing only what must be done."""
