"""Runs a classic buildpack (bin/detect, bin/compile, bin/release) as a Cloud Native Buildpack.

The classic one is in ``classic``, beside ``bin`` and ``lib``. What is shared with pylife's own slug builds is a copy of
that: ``lifecycle.builder.wrap`` puts both together.
Source: Heroku, "Buildpack API"; the discontinued cnb-shim for what becomes of what.
"""
