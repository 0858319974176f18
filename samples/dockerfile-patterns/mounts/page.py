"""Prints a line of HTML, escaped by the library that the image brought along."""

from markupsafe import escape

print(escape("<pylife> & friends"))
