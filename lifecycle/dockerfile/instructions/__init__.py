"""The instructions, one module each: parsed from a node, expanded, applied."""
