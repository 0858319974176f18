"""One file per command, which it holds under its own name; the table is ``lifecycle.cli.table``."""
