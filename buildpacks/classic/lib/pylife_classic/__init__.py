"""Classic buildpacks out of Cloud Native ones: bin/detect, bin/compile and bin/release around their detect and build.

The app is built where it will run. Its files are moved there for the time of a compile, the layers are made in
``.heroku/NAME`` of that folder, and all of it is moved back: what a virtual environment, a script's first line or a
configuration says about paths is then right in the slug.
"""
