"""The Python buildpack."""
