"""Slugs: apps of the Heroku-classic kind, built by buildpacks with bin/detect, bin/compile and bin/release.

A build is a root filesystem, a ``Runner`` that starts processes in it, and the order of steps in ``pipeline``; whether
that root is a sandbox's or this very container's is not its matter. What a build tells are ``moments``; ``profiles``
says them as each tool of the family does.
"""
