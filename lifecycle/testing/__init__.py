"""Shipped fakes with behaviour, for our own tests and for those who build on pylife."""
