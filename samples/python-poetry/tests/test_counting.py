"""poetry run pytest"""

from reading.counting import count


def test_words_and_sentences_are_counted() -> None:
    counted = count("It's late. Let us go home!")
    assert (counted.words, counted.sentences) == (6, 2)
