"""How a slug build speaks: a profile turns its moments into the lines of one tool of the family.

Log lines are an interface here: platforms follow a build by looking for the steps' lines in its output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from lifecycle.slug.moments import Journal
from lifecycle.slug.profiles.lines import Write

Profile = Literal["pylife", "slugbuilder", "slug-pilot", "herokuish"]
PROFILES: tuple[Profile, ...] = get_args(Profile)


def open_journal(profile: Profile, write: Write) -> Journal:
    """The journal of that profile; ``write(stream, line)`` gets each line without its newline."""
    return _journals()[profile](write)


def open_json_journal(write: Write) -> Journal:
    """A journal that writes a JSON object a moment, all to stdout."""
    from lifecycle.slug.profiles.records import JsonJournal

    return JsonJournal(write)


def _journals() -> dict[Profile, Callable[[Write], Journal]]:
    from lifecycle.slug.profiles import herokuish, pylife, slug_pilot, slugbuilder

    return {
        "pylife": pylife.PylifeJournal,
        "slugbuilder": slugbuilder.SlugbuilderJournal,
        "slug-pilot": slug_pilot.SlugPilotJournal,
        "herokuish": herokuish.HerokuishJournal,
    }
