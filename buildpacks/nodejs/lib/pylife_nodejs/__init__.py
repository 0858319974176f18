"""Node.js apps: runtime, package manager, packages, build scripts, start."""
