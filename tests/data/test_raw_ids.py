"""Ids as people write them: found in their one spelling, or said to be missing with what there is."""

import numpy as np

from recsys_cli.data.interactions import Vocabulary
from recsys_cli.data.raw_ids import encode_text, unknown_id

NUMBERS, WORDS = Vocabulary(np.array([-3, 7, 12])), Vocabulary(np.array(["07", "7", "x y"]))


def test_a_number_is_known_in_one_spelling():
    assert encode_text(["7", "-3", "07", "7.0", " 7", "", "x"], NUMBERS).tolist() == [
        1,
        0,
        *[-1] * 5,
    ]


def test_text_is_known_to_the_letter():
    assert encode_text(["7", "07", "X y", "x y"], WORDS).tolist() == [1, 0, -1, 2]
    assert encode_text([], WORDS).tolist() == []


def test_the_error_says_what_there_is():
    assert unknown_id("8", "user", NUMBERS).line == (
        "no user '8' in the data; user ids of this data are whole numbers from -3 to 12"
    )
    assert unknown_id("8", "item", WORDS, where="f.csv:3").line == (
        "f.csv:3: no item '8' in the data; item ids of this data are like '07', '7', 'x y'"
    )
