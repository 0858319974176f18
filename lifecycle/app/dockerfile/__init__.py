"""``pylife build --dockerfile`` as functions."""
