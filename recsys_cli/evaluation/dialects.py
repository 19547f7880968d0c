"""What other libraries mean by the names of metrics that we use too.

The same name stands for different numbers: one library's NDCG compares with k targets in a row, another's with as
many as there are. A dialect says which of our variants a library computes under a name with its defaults; each
variant has a name and a formula of its own in the catalogue. Only definitions are taken over. Who is averaged over,
what is ranked and how ties are broken stay ours, and where the library does otherwise `differs` says so.

A library is given each target with its value: the rating or count, 1 where the data has none. Names that a dialect
does not have mean what they mean without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DialectName = Literal["recsys", "recbole", "elliot", "ranx", "ir_measures", "rectools", "lenskit"]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The definitions of one library.

    Attributes:
        library: Its name and the version that was looked at.
        variants: Our name of a metric -> the name of the variant in the catalogue.
        checked: How it is known.
        differs: What the library does otherwise than we do and is not reproduced; empty where nothing is known.
    """

    library: str
    variants: Mapping[str, str]
    checked: str
    differs: str

    def variant(self, name: str) -> str:
        """The metric that is computed under this name."""
        return self.variants.get(name, name)


def _variants(**other: str) -> dict[str, str]:
    """Our own definitions but for these."""
    return {name: name for name in ("ndcg", "recall", "precision", "hit", "mrr", "map")} | other


RUN = "the library was run: equal on random users, and tested"
RECORDED = "the library was run on cases made by hand, and its values are tested against"
DIALECTS: dict[str, Dialect] = {
    "recsys": Dialect(
        library="this program",
        variants=_variants(),
        checked="brute force and other libraries, in the tests",
        differs="",
    ),
    "recbole": Dialect(
        library="RecBole 1.2.1",
        variants=_variants(),
        checked=RECORDED,
        differs="it rounds to 4 decimals, and ranks equal scores in the order that torch.topk gives",
    ),
    "elliot": Dialect(
        library="Elliot 0.3.1",
        variants=_variants(ndcg="ndcg_graded", map="mean_precision"),
        checked="read in its source, not run; with its relevance_threshold at 1",
        differs="it averages over users with a list only, and a target valued below the threshold is none",
    ),
    "ranx": Dialect(
        library="ranx 0.3.21",
        variants=_variants(ndcg="ndcg_graded_linear", map="map_all_relevant"),
        checked=RUN,
        differs="equal scores are in the order of its sort, and a target valued below 1 is none",
    ),
    "ir_measures": Dialect(
        library="ir_measures 0.4.3 (pytrec_eval)",
        variants=_variants(ndcg="ndcg_graded_linear", map="map_all_relevant"),
        checked=RUN,
        differs=(
            "values are whole numbers and a target valued below 1 is none; of equal scores the larger id comes "
            "first; pytrec_eval by itself averages over users with a list only"
        ),
    ),
    "rectools": Dialect(
        library="RecTools 0.19.0",
        variants=_variants(ndcg="ndcg_over_k", map="map_all_relevant"),
        checked=RECORDED,
        differs="lists are in the order that the caller gives: ties are the caller's",
    ),
    "lenskit": Dialect(
        library="LensKit 2025.8.1",
        variants=_variants(
            ndcg="ndcg_first_two_equal",
            recall="recall_capped",
            precision="precision_listed",
            map="map_listed",
        ),
        checked=RECORDED,
        differs="lists are in the order that the caller gives: ties are the caller's",
    ),
}
