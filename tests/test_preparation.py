"""What is checked before anything is trained: that model, data and split go together."""

import pytest

from recsys_cli import config
from recsys_cli.errors import ConfigError, ModelError
from recsys_cli.preparation import prepare
from recsys_cli.progress import Silent


@pytest.mark.parametrize(
    ("model", "way"),
    [
        ("seq", "name its time column, or set model.context=[]"),
        ("hstu", "name its time column, or set model.time_bias=none"),
        ("popularity_by_hour", "choose another model"),
    ],
)
def test_a_model_that_reads_a_clock_says_how_to_do_without_one(model, way, tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("user,item\n" + "".join(f"{n // 20},{n % 20}\n" for n in range(200)))
    said = ["data=csv", f"data.path={path}", "data.time_column=null", "split=per_user_ratio"]
    with pytest.raises(ModelError, match="this data has no times") as refused:
        prepare(config.load([*said, f"model={model}", "device=cpu"]), progress=Silent())
    assert refused.value.hint == way


def test_lanes_and_steps_of_another_size_are_refused_before_a_run_begins():
    said = ["model=gru4rec", "model.lanes=16", "data=demo", "data.events=2000", "device=cpu"]
    with pytest.raises(ConfigError, match="a step is one event of each lane"):
        prepare(config.load(said), progress=Silent())
    ready = prepare(config.load([*said, "trainer.batch_size=16"]), progress=Silent())
    assert ready.engine == "torch, a step each 16"
