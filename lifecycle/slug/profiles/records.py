"""A slug build's moments as JSON, for programs: one object a line, in their order."""

from __future__ import annotations

import dataclasses
import json
import re

from lifecycle.slug.moments import Moment
from lifecycle.slug.profiles.lines import Write


class JsonJournal:
    """Writes ``{"moment": "slug-made", …}`` a line, with the moment's fields under their names."""

    def __init__(self, write: Write) -> None:
        self.write = write

    def tell(self, moment: Moment) -> None:
        name = re.sub(r"(?<!^)([A-Z])", r"-\1", type(moment).__name__).lower()
        self.write("stdout", json.dumps({"moment": name, **dataclasses.asdict(moment)}, ensure_ascii=False))
