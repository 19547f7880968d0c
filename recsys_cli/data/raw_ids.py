"""Ids that a person or another program wrote down, found in a data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.interactions import Vocabulary
from recsys_cli.errors import DataError

SHOWN = 3


def encode_text(texts: Sequence[str], vocabulary: Vocabulary) -> NDArray[np.int32]:
    """Codes of ids given as text; -1 for one that is not known.

    A whole number is known in its one spelling only: "007" is not user 7.
    """
    codes = {text: code for code, text in enumerate(map(str, vocabulary.ids.tolist()))}
    return np.fromiter((codes.get(text, -1) for text in texts), np.int32, len(texts))


def unknown_id(text: str, what: str, vocabulary: Vocabulary, *, where: str = "") -> DataError:
    """The error that names an id which the data does not have.

    Args:
        text: The id as it was given.
        what: "user" or "item".
        vocabulary: The ids that there are.
        where: The place in a file.
    """
    ids = vocabulary.ids
    if ids.dtype.kind in "iu":
        known = f"{what} ids of this data are whole numbers from {ids.min()} to {ids.max()}"
    else:
        known = f"{what} ids of this data are like {', '.join(map(repr, ids[:SHOWN].tolist()))}"
    return DataError(f"{where}{': ' if where else ''}no {what} {text!r} in the data", known)
