"""Counts the words of its arguments."""

import collections
import sys


def tally(words: list[str]) -> dict[str, int]:
    """How often each word occurs, the most frequent first."""
    return dict(collections.Counter(words).most_common())


def main() -> None:
    words = sys.argv[1:]
    if words in ([], ["--help"]):
        print("usage: tally WORD...")
        return
    for word, count in tally(words).items():
        print(count, word)
