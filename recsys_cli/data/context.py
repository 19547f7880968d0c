"""What the data tells of an event beside who, what and when, and what of it is known when a question is asked.

Each column of context is known of past events. Of the event that is asked for it is known too, such as the weather or
the weekday of the request, unless its name begins with `event_`: such a column comes into being with the event, as its
type or its price does, and would tell the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from recsys_cli.data.interactions import Interactions

OF_EVENT = "event_"
READS = "context."  # before a column's name, in what a model reads


@dataclass(frozen=True)
class ContextFacts:
    """What a model must know of the context before it is built.

    Attributes:
        sizes: Column -> how many codes it has.
        span: First and last second of training; None where the data has no clock.
    """

    sizes: dict[str, int]
    span: tuple[int, int] | None


def is_asked(column: str) -> bool:
    """Whether a column of the event that is asked for is known by then."""
    return not column.startswith(OF_EVENT)


def context_facts(interactions: Interactions, train: Interactions) -> ContextFacts:
    """The facts, with the codes of the whole data set: one that training never saw is a code too.

    Args:
        interactions: All events.
        train: Those that are learnt from, with the columns that may be read.
    """
    times = train.times
    span = None if times is None or not len(times) else (int(times.min()), int(times.max()))
    return ContextFacts(
        {name: int(interactions.context[name].max()) + 1 for name in sorted(train.context)}, span
    )
