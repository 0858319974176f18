"""The buildpack of the source's revision."""
