"""What kinds of thing the items are: genres of films, say. An item may be of several kinds, or of none that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Categories:
    """The categories of each item of a catalogue.

    Attributes:
        names: Of the categories.
        of_items: (items, categories): whether the item with this code is of this category.
    """

    names: tuple[str, ...]
    of_items: NDArray[np.bool_]

    def take(self, items: NDArray[Any]) -> Categories:
        """The categories of a smaller catalogue, whose codes are the positions of these items."""
        return Categories(self.names, self.of_items[items])
