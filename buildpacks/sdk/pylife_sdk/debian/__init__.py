"""Debian packages in a layer: resolved and fetched by apt-get as an ordinary user, unpacked without being installed.

Nothing of the image is changed and no maintainer script runs: what a package needs to work from another place than /
is done by ``unpack``.
"""

from pylife_sdk.debian.apt import Apt, Package, open_apt
from pylife_sdk.debian.paths import environment, library_directories
from pylife_sdk.debian.unpack import unpack

__all__ = ["Apt", "Package", "environment", "library_directories", "open_apt", "unpack"]
