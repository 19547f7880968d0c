"""What is offered is true: with the setting, and with no other change, the run fits."""

import pytest

from recsys_cli import config, preparation
from recsys_cli.planning.advice import MOST_OFFERED, advise
from recsys_cli.progress import Silent

SMALL = ["data=demo", "data.events=2000", "tracking=none", "device=cpu", "device.threads=1"]
LARGE = {
    "mf": ["model.rank=2048", "trainer.engine=torch", "trainer.optimiser=adam"],
    "ials": ["model.rank=4096", "model.solver=cholesky"],
    "deep": ["model.dim=4096"],
    "seq": ["model.hidden=2048"],
}


def sketched(*said: str):
    settings = config.load([*SMALL, *said])
    return preparation.sketch(settings, progress=Silent()), settings


@pytest.mark.parametrize("name", LARGE)
def test_each_setting_that_is_offered_makes_it_fit(name):
    said = [f"model={name}", *LARGE[name]]
    draft, settings = sketched(*said)
    room = draft.footprint().peak * 2 // 3
    offered = advise(draft, settings, room=room)
    assert 0 < len(offered) <= MOST_OFFERED
    for advice in offered:
        key = advice.override.split("=")[0]
        others = [text for text in said if not text.startswith(f"{key}=")]
        assert sketched(*others, advice.override)[0].footprint().peak == advice.peak <= room


def test_nothing_is_offered_where_nothing_helps():
    draft, settings = sketched("model=ease")
    assert advise(draft, settings, room=1_000) == []
