"""The apt buildpack."""
