"""The phase of the moon, from the mean length of a lunation; good to half a day."""

from datetime import UTC, datetime
from math import cos, pi

NEW_MOON = datetime(2000, 1, 6, 18, 14, tzinfo=UTC)
DAYS = 29.530588
NAMES = ("new", "waxing crescent", "first quarter", "waxing gibbous", "full", "waning gibbous", "last quarter")
NAMES += ("waning crescent",)


def age(moment: datetime) -> float:
    """Days since the last new moon."""
    return (moment - NEW_MOON).total_seconds() / 86400 % DAYS


def lit(moment: datetime) -> float:
    """The lit part of the disc, 0 to 1."""
    return (1 - cos(2 * pi * age(moment) / DAYS)) / 2


def name(moment: datetime) -> str:
    """The name of the phase."""
    return NAMES[round(age(moment) / DAYS * len(NAMES)) % len(NAMES)]
