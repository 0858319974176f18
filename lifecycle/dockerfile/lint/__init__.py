"""The build checks, one rule a file."""
