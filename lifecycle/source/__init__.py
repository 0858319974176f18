"""Where the app's source comes from, and what of it goes into the build."""
