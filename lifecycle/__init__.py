"""pylife: source code to OCI images, without a daemon."""

__version__ = "0.1.0"
