"""The phases of a build, each one function of typed inputs."""
