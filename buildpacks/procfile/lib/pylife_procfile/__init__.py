"""The Procfile buildpack."""
