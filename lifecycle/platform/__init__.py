"""The Platform API: its versions, exit codes, and the TOML files that phases and platforms exchange."""
