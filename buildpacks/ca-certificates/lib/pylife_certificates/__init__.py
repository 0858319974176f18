"""The buildpack of certificate authorities from service bindings."""
