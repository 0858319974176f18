# Read by bash before every process of the app, after what buildpacks left in .profile.d.
export SIGNAL="${SIGNAL:-three long flashes}"
