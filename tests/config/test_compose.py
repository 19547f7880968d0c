"""What is composed, and what is refused with its key, its range and the nearest name."""

import pytest

from recsys_cli import config
from recsys_cli.config.compose import LONGEST
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
    ("~trainer.lrr", ["'trainer.lrr'", "did you mean 'trainer.lr'"]),
    ("~modle", ["'modle'", "did you mean 'model'"]),
    ("~seed", ["seed=None", "a whole number"]),
    ("~model", ["no model is chosen"]),
    ("model=null", ["no model called"]),
    ("model", ["'model'", "key=value"]),
    ("model.rank=[1", ["cannot read"]),
    ("model.rank=16,32", ["several values", "recsys sweep"]),
    ("model=../../evil", ["no model called '../../evil'"]),
    ("model@other=mf", ["model@other"]),
    ("hydra.run.dir=out", ["hydra.run.dir", "Hydra's own"]),
    ("hydra/launcher=basic", ["hydra/launcher", "Hydra's own"]),
    ("+x._target_=os.system", ["underscore"]),
    ("model._target_=os.system", ["underscore"]),
    ("trainer.lr=${oc.env:HOME}", ["trainer.lr", "resolver"]),
    ("trainer.lr=${nowhere}", ["trainer.lr: ", "'nowhere'"]),
    ("+tag=['${oc.env:HOME}']", ["tag", "resolver"]),
    ("+tag=${a.${oc.env:HOME}}", ["tag", "cannot read"]),
    ("+tag=${oc.decode:1}", ["tag", "resolver"]),
    ("+tag=${hydra:runtime.cwd}", ["tag", "resolver"]),
    ("+tag=${hydra.runtime.cwd}", ["hydra.runtime.cwd"]),
    ("model=/etc/evil", ["no model called '/etc/evil'"]),
    ("model=..", ["no model called '..'"]),
    ("+model@x=mf", ["one place"]),
    ("+data/evil=x", ["subgroups"]),
    ("~hydra", ["Hydra's own"]),
    ("+hydra@x=y", ["Hydra's own"]),
    ("hydra.searchpath=[file:///tmp]", ["Hydra's own"]),
    ("+x={_target_: os.system}", ["x._target_"]),
    ("+x.y=[{_target_: os.system}]", ["x.y.0._target_"]),
    ("+x={_partial_: true}", ["x._partial_"]),
    ("+x._args_=[a]", ["underscore"]),
    ("+x={_convert_: all}", ["_convert_"]),
    ("+x={_recursive_: false}", ["_recursive_"]),
    ("+password=hunter2", ["password", "secret"]),
    ("+login={api_key: hunter2}", ["login.api_key", "secret"]),
    ("+tag=" + "[" * 3000 + "]" * 3000, ["cannot read"]),
    ("+tag=a\0b", ["cannot read"]),
    ("+tag=\x1b[31m", ["cannot read"]),
    ("seeed=1", ["'seeed'", "did you mean 'seed'"]),
    ("rot=x", ["'rot'", "did you mean 'root'"]),
    ("spilt=global_time", ["'spilt'", "did you mean 'split'"]),
    ("trainer.bach_size=1", ["trainer.bach_size", "did you mean 'trainer.batch_size'"]),
    ("trainer.epoch=1", ["trainer.epoch", "did you mean 'trainer.epochs'"]),
    ("trainer.optimizer=sgd", ["trainer.optimizer", "did you mean 'trainer.optimiser'"]),
    ("device.thread=1", ["device.thread", "did you mean 'device.threads'"]),
    ("tracking.url=http://h", ["tracking.url", "did you mean 'tracking.uri'"]),
    ("evaluation.cutofs=[5]", ["evaluation.cutofs", "did you mean 'evaluation.cutoffs'"]),
    ("split.min_event=3", ["split.min_event", "did you mean 'split.min_events'"]),
    ("data.sorce=x", ["data.sorce", "did you mean 'data.source'"]),
    ("model.negative=3", ["model.negative", "did you mean 'model.negatives'"]),
    ("rank=3", ["'rank'", "did you mean 'model.rank'"]),
    ("mdoel.rank=3", ["'mdoel.rank'", "did you mean 'model.rank'"]),
    ("trainer_lr=1", ["'trainer_lr'", "there are: data, ", " root, seed, "]),
    ("model.rank.x=3", ["model.rank"]),
    ("trainer=adm", ["no trainer called 'adm'", "did you mean 'adam'"]),
    ("tracking=mlfow", ["no tracking called 'mlfow'", "did you mean 'mlflow'"]),
    ("evaluation=full", ["no evaluation called 'full'", "full_ranking"]),
    ("preset=quik", ["no preset called 'quik'", "did you mean 'quick'"]),
    ("filter=stepz", ["no filter called 'stepz'", "did you mean 'steps'"]),
]
SECRETS = ("hunter2",)
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
    *(f"evaluation.cutoffs={value}" for value in ("[0]", "[-1]", "[1001]", "[1.5]", "[]", "5")),
    *(f"trainer.validate_every={value}" for value in ("0", "100001")),
    *(f"model.init_sd={value}" for value in ("-0.1", "11", "nan")),
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
    assert len(caught.value.line) < 1000
    assert caught.value.hint or "\0" in override
    for part in named:
        assert part in caught.value.line
    for secret in SECRETS:
        assert secret not in caught.value.line


@pytest.mark.parametrize("override", ABSURD)
def test_absurd_values_are_refused_with_their_key(override):
    with pytest.raises(ConfigError) as caught:
        config.load([override])
    assert override.split("=")[0] in caught.value.line
    assert "it takes " in caught.value.line


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["model=deep", "model.widht=3"], "did you mean 'model.widths'"),
        (["~trainer", "model=deep", "modle.dim=3"], "did you mean 'model.dim'"),
        (
            ["model=deep", "model.rank=3"],
            "'model.rank' here; did you mean 'model.l2'? (there are: model.activation, ",
        ),
        (["~trainer", "trainer.lr=1"], "'trainer.lr' here; did you mean 'trainer'"),
    ],
)
def test_the_right_key_is_one_of_what_was_chosen(overrides, named):
    with pytest.raises(ConfigError) as caught:
        config.load(overrides)
    assert named in caught.value.line


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1])
def test_of_a_very_long_text_the_beginning_is_repeated(length):
    with pytest.raises(ConfigError) as caught:
        config.load(["x" * length])
    assert ("x" * length in caught.value.line) == (length <= LONGEST)
    assert "x" * LONGEST in caught.value.line


def test_one_key_twice_is_an_error_and_not_a_race():
    with pytest.raises(ConfigError, match="model is given twice: 'model=mf' and 'model=deep'"):
        config.load(["model=mf", "model=deep"])


def test_the_hash_covers_what_moves_a_metric_and_nothing_else():
    base = config.load([]).hash
    assert config.load(["tracking=none"]).hash == base
    assert config.load(["device=cpu"]).hash == base
    assert config.load(["root=elsewhere"]).hash == base
    assert config.load(["trainer.checkpoint_seconds=5"]).hash == base
    assert config.load(["model.rank=32"]).hash != base
    assert config.load(["seed=1"]).hash != base
