"""Fixtures shared by all tests."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from recsys_cli.data.interactions import Interactions, from_columns

REPOSITORY = Path(__file__).resolve().parent.parent

# Examples a property: HYPOTHESIS_PROFILE=ci tries more, nightly tries many and other ones each time.
EVERYDAY = 50
for profile, tried in {"everyday": EVERYDAY, "ci": 200, "nightly": 5_000}.items():
    settings.register_profile(
        profile,
        max_examples=tried,
        deadline=None,
        derandomize=profile != "nightly",
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
# For changed code it is enough that a test fails: to look for the smallest failing example takes seconds each time.
settings.register_profile(
    "mutation", settings.get_profile("everyday"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "everyday"))


def examples(everyday: int) -> settings:
    """So many examples of a property that is cheaper or dearer than most; as much more where the profile tries more."""
    return settings(max_examples=everyday * settings.default.max_examples // EVERYDAY)


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder of a published data set; the test is skipped where it is absent."""
    root = Path(os.environ.get("RECSYS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

    def folder(name: str) -> Path:
        if not (root / name).exists():
            pytest.skip(f"{name} is not at {root}; set RECSYS_TEST_DATA")
        return root / name

    return folder


@pytest.fixture
def checkerboard() -> Interactions:
    """40 users x 20 items: even users like even items, odd users odd ones; 8 of the 10 each, in random order.

    The two items that a user has not met yet are exactly what a sensible model must rank first.
    """
    generator = np.random.default_rng(0)
    users, items = [], []
    for user in range(40):
        liked = generator.permutation(np.arange(user % 2, 20, 2))[:8]
        users += [user] * len(liked)
        items += liked.tolist()
    times = 1_000_000_000 + np.arange(len(users)) * 3_600
    return from_columns(users=np.array(users), items=np.array(items), times=times)
