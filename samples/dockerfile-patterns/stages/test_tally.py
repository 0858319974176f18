import unittest

from tally import tally


class Tally(unittest.TestCase):
    def test_counts_each_word(self) -> None:
        self.assertEqual(tally(["a", "b", "a"]), {"a": 2, "b": 1})
