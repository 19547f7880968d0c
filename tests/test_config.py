"""Composition, refusal and building."""

from pathlib import Path

import pytest

from recsys_cli import config
from recsys_cli.errors import ConfigError

ACCEPTED = [
    (["model=deep", "model.widths=[8,4]"], ("model", "widths"), [8, 4]),
    (["trainer={epochs: 3}"], ("trainer", "epochs"), 3),
    (["trainer.lr=1e-3"], ("trainer", "lr"), 0.001),
    (["model=seq", "model.context=[]"], ("model", "context"), []),
    (["++model.rank=7"], ("model", "rank"), 7),
]

# what is typed, what the one line must name
REFUSED = [
    ("model=sqe", ["no model called 'sqe'", "did you mean 'seq'"]),
    ("data=ml100k", ["no data called 'ml100k'", "did you mean 'ml-100k'"]),
    ("device=gpu", ["no device called 'gpu'", "cpu"]),
    ("split=random", ["no split called 'random'", "per_user_ratio"]),
    ("modle=mf", ["'modle'", "did you mean 'model'"]),
    ("model.rnak=3", ["'model.rnak'", "did you mean 'model.rank'"]),
    ("lr=0.1", ["'lr'", "did you mean 'trainer.lr'"]),
    ("trainer.momentum=1", ["'trainer.momentum'"]),
    ("+model.rnak=3", ["model.rnak is not a setting of MF", "did you mean 'rank'"]),
    ("~trainer.lr", ["no value for trainer.lr"]),
    ("~model", ["no model is chosen"]),
    ("model=null", ["no model called"]),
    ("model", ["'model'", "key=value"]),
    ("model.rank=[1", ["cannot read"]),
    ("model.rank=16,32", ["several values", "recsys sweep"]),
    ("model=../../evil", ["no model called '../../evil'"]),
    ("model@other=mf", ["model@other"]),
    ("hydra.run.dir=out", ["hydra.run.dir"]),
    ("hydra/launcher=basic", ["hydra/launcher"]),
    ("+x._target_=os.system", ["underscore"]),
    ("model._target_=os.system", ["underscore"]),
    ("trainer.lr=${oc.env:HOME}", ["trainer.lr", "resolver"]),
    ("trainer.lr=${nowhere}", ["nowhere"]),
]
ABSURD = [
    *(
        f"model.rank={value}"
        for value in ("0", "-1", "1.5", "'8'", "1e9", "true", "null", "nan", "[1]")
    ),
    *(
        f"trainer.lr={value}"
        for value in ("0", "-1", "nan", "inf", "1e400", "abc", "null", "false")
    ),
    *(f"model.l2={value}" for value in ("-1", "inf", "nan")),
    *(f"trainer.batch_size={value}" for value in ("0", "-1", "1.5", "10000001")),
    *(f"trainer.epochs={value}" for value in ("0", "-1", "1e9", "1.5")),
    *(f"trainer.patience={value}" for value in ("0", "-1")),
    *(f"model.negatives={value}" for value in ("0", "-3", "100000")),
    *(f"device.threads={value}" for value in ("0", "-1", "1000000")),
    *(f"seed={value}" for value in ("-1", "18446744073709551616", "1.5", "x", "null")),
    "model.loss=hinge",
    "trainer.optimiser=adagrad",
    "model.biases=maybe",
]


def test_the_composed_settings_are_complete_and_plain():
    composed = config.load([])
    assert composed.choices["model"] == "mf"
    assert composed.choices["data"] == "ml-100k"
    assert set(config.REQUIRED_GROUPS) <= set(composed.tree)
    assert composed.flat()["model.rank"] == 64
    assert "rank: 64" in composed.yaml()


def test_a_data_set_names_its_split_and_the_user_overrides_it():
    assert config.load(["data=ml-100k"]).choices["split"] == "leave_last_out"
    assert config.load(["data=demo"]).choices["split"] == "global_time"
    assert config.load(["data=ml-100k", "split=global_time"]).choices["split"] == "global_time"


def test_a_model_names_its_trainer():
    assert config.load(["model=seq"]).choices["trainer"] == "sequence"
    assert config.load(["model=ease"]).choices["trainer"] == "closed_form"


def test_a_setting_that_the_model_does_not_read_is_refused():
    with pytest.raises(ConfigError, match=r"trainer\.lr"):
        config.load(["model=ease", "trainer.lr=0.1"])


@pytest.mark.parametrize(("overrides", "path", "value"), ACCEPTED)
def test_good_overrides(overrides, path, value):
    assert config.load(overrides).tree[path[0]][path[1]] == value


def test_a_note_of_the_users_own_is_kept():
    assert config.load(["+tag=try 7"]).tree["tag"] == "try 7"


@pytest.mark.parametrize(("override", "named"), REFUSED)
def test_bad_overrides_are_named(override, named):
    with pytest.raises(ConfigError) as caught:
        config.load([override])
    for part in named:
        assert part in caught.value.line


@pytest.mark.parametrize("override", ABSURD)
def test_absurd_values_are_refused_with_their_key(override):
    with pytest.raises(ConfigError) as caught:
        config.load([override])
    assert override.split("=")[0] in caught.value.line


def test_one_key_twice_is_an_error_and_not_a_race():
    with pytest.raises(ConfigError, match="twice"):
        config.load(["model=mf", "model=deep"])


def test_the_hash_covers_what_moves_a_metric_and_nothing_else():
    base = config.load([]).hash
    assert config.load(["tracking=none"]).hash == base
    assert config.load(["device=cpu"]).hash == base
    assert config.load(["root=elsewhere"]).hash == base
    assert config.load(["trainer.checkpoint_seconds=5"]).hash == base
    assert config.load(["model.rank=32"]).hash != base
    assert config.load(["seed=1"]).hash != base


@pytest.fixture
def own_folder(tmp_path):
    (tmp_path / "model").mkdir()

    def write(text: str) -> Path:
        (tmp_path / "model" / "mine.yaml").write_text(text)
        return tmp_path

    return write


def test_a_users_folder_adds_a_model_and_wins_over_ours(own_folder):
    folder = own_folder(
        "# mine\n_target_: recsys_cli.models.first_try.mf.MF\nrank: 3\nbiases: true\n"
        "loss: bpr\nnegatives: 1\nl2: 0\ninit_sd: 0.1\n"
    )
    (folder / "model" / "mf.yaml").write_text((folder / "model" / "mine.yaml").read_text())
    assert config.load(["model=mine"], [folder]).tree["model"]["rank"] == 3
    assert config.load(["model=mf"], [folder]).tree["model"]["rank"] == 3
    assert config.load(["model=mf"]).tree["model"]["rank"] == 64


@pytest.mark.parametrize(
    "target",
    ["os.system", "builtins.eval", "pandas.read_pickle", "recsys_cli.config.importlib.import_module",
     "recsys_cli.errors.os", "recsys_cli_evil.Model", "recsys_cli.models.first_try.mf.nn.Linear",
     "recsys_cli.config.Path", "recsys_cli.nowhere.Model"],
)  # fmt: skip
def test_a_target_outside_our_packages_is_refused(own_folder, target):
    folder = own_folder(f"# evil\n_target_: {target}\n")
    with pytest.raises(ConfigError, match="_target_"):
        config.load(["model=mine"], [folder])


def test_a_package_that_the_user_named_is_allowed(own_folder, tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(
        "class Mine:\n    def __init__(self, *, n_items: int) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = own_folder("# mine\n_target_: own_models.Mine\n")
    with pytest.raises(ConfigError) as caught:
        config.load(["model=mine"], [folder])
    assert "--allow-package" in caught.value.line
    config.allow(["own_models"])
    try:
        built = config.build(
            config.load(["model=mine"], [folder]).tree["model"], key="model", n_items=3
        )
    finally:
        config.allow([])
    assert type(built).__name__ == "Mine"


def test_a_nested_target_is_refused(own_folder):
    folder = own_folder(
        "# nested\n_target_: recsys_cli.models.baselines.popularity.Popularity\nextra:\n  _target_: os.system\n"
    )
    with pytest.raises(ConfigError):
        config.load(["model=mine"], [folder])


def test_building_gives_settings_and_runtime_arguments():
    node = config.load(["model.rank=5"]).tree["model"]
    model = config.build(node, key="model", n_users=4, n_items=6, seed=1)
    assert model.users.shape == (4, 5)
    assert model.items.shape == (6, 5)
    with pytest.raises(ConfigError, match=r"model\.n_items"):
        config.build(node, key="model", n_users=4)
