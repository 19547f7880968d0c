"""What is known of an event, and when."""

import numpy as np

from recsys_cli.data.context import ContextFacts, context_facts, is_asked
from recsys_cli.data.interactions import from_columns


def test_what_comes_with_the_event_is_not_known_before_it():
    assert is_asked("weather")
    assert not is_asked("event_type")


def test_sizes_are_those_of_all_events_and_the_span_that_of_training():
    context = {"weather": np.array([1, 0, 4]), "roles": np.array([0, 0, 1])}
    x = from_columns(
        users=np.zeros(3, int), items=np.zeros(3, int), times=np.array([5, 7, 9]), context=context
    )
    train = x.take([0, 1])
    del train.context["roles"]  # what a split reads, no model does
    assert context_facts(x, train) == ContextFacts({"weather": 5}, (5, 7))
    timeless = from_columns(users=np.zeros(1, int), items=np.zeros(1, int))
    assert context_facts(timeless, timeless) == ContextFacts({}, None)
