"""The Java buildpack."""
