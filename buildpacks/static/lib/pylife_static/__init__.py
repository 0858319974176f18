"""The buildpack of static sites."""
