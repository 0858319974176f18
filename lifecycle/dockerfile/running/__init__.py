"""Running a RUN: its user, its mounts, its secrets, its network."""
