"""``pylife slug`` as functions: build a slug, run one, and turn slugs into images and back."""
