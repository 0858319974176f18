"""Running a process in a root filesystem: what this host allows, and how a process is kept apart there."""
