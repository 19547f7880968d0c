"""Popularity."""

from recsys_cli.models.baselines.popularity import Popularity
from tests.models.baselines.examples import QUERIES, some_events


def test_everybody_gets_the_counts_of_events():
    events = some_events()
    model = Popularity(n_items=12)
    model.fit(events)
    scores = model.score(QUERIES)
    assert scores.tolist() == [[events.items.tolist().count(item) for item in range(12)]] * 5
