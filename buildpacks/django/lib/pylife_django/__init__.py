"""The Django buildpack."""
