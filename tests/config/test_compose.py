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

# what is typed, and the one line that answers it; where that ends in ..., names follow
REFUSED = [
    ("model=sqe", "no model called 'sqe'; did you mean 'seq'? (there are: baseline, crnn, ..."),
    ("data=ml100k", "no data called 'ml100k'; did you mean 'ml-100k'? (there are: beauty, beauty-gts, ..."),
    ("device=gpu", "no device called 'gpu'; did you mean 'cpu'? (there are: auto, cpu, cuda, mps)"),
    ("split=random", "no split called 'random'; there are: global_date, global_time, ..."),
    ("modle=mf", "no setting called 'modle' here; did you mean 'model'? (there are: data, device, evaluation, filter, model, preset, root, seed, split, tracking, trainer)"),
    ("model.rnak=3", "no setting called 'model.rnak' here; did you mean 'model.rank'? (there are: model.biases, model.init_sd, model.l2, model.loss, model.negatives, model.rank)"),
    ("lr=0.1", "no setting called 'lr' here; did you mean 'trainer.lr'? (+lr=... adds a note of your own)"),
    ("trainer.momentum=1", "no setting called 'trainer.momentum' here; did you mean 'trainer.compile'? (there are: trainer.batch_size, trainer.checkpoint_every_steps, ..."),
    ("+model.rnak=3", "model.rnak is not a setting of MF; did you mean 'rank'? (there are: biases, init_sd, l2, loss, negatives, rank)"),
    ("~trainer.lr", "no value for trainer.lr; give it: trainer.lr=..."),
    ("~trainer.lrr", "no setting called 'trainer.lrr' here; did you mean 'trainer.lr'? (there are: trainer.batch_size, trainer.checkpoint_every_steps, ..."),
    ("~modle", "no setting called 'modle' here; did you mean 'model'? (there are: data, device, ..."),
    ("~seed", "seed=None: input should be a valid integer; it takes a whole number in [0, 9223372036854775807]"),
    ("~model", "no model is chosen; give model=NAME: baseline, crnn, ..."),
    ("model=null", "no model called 'None'; there are: baseline, crnn, ..."),
    ("model", "'model' is neither an option nor key=value; see recsys train --help"),
    ("model.rank=[1", "cannot read 'model.rank=[1': no viable alternative at input '[1'; quote it: 'key=value'"),
    ("model.rank=16,32", "'model.rank=16,32' holds several values and this command takes one; try them all with 'recsys sweep', or give one list: model.rank=[1,2]"),
    ("model=../../evil", "no model called '../../evil'; there are: baseline, crnn, ..."),
    ("model@other=mf", "'model@other=mf': a group has one place and no subgroups; give it as GROUP=NAME"),
    ("hydra.run.dir=out", "'hydra.run.dir=out': Hydra's own settings are not ours to take; leave it out"),
    ("hydra/launcher=basic", "'hydra/launcher=basic': Hydra's own settings are not ours to take; leave it out"),
    ("+x._target_=os.system", "'+x._target_=os.system': keys with a leading underscore stand in files only; leave it out"),
    ("model._target_=os.system", "'model._target_=os.system': keys with a leading underscore stand in files only; leave it out"),
    ("trainer.lr=${oc.env:HOME}", "trainer.lr: 'trainer.lr=${oc.env:HOME}' calls a resolver; write the value itself"),
    ("trainer.lr=${nowhere}", "trainer.lr: Interpolation key 'nowhere' not found; write the value itself"),
    ("+tag=['${oc.env:HOME}']", "tag: \"+tag=['${oc.env:HOME}']\" calls a resolver; write the value itself"),
    ("+tag=${a.${oc.env:HOME}}", "cannot read '+tag=${a.${oc.env:HOME}}': extraneous input '}' expecting <EOF>; quote it: 'key=value'"),
    ("+tag=${oc.decode:1}", "tag: '+tag=${oc.decode:1}' calls a resolver; write the value itself"),
    ("+tag=${hydra:runtime.cwd}", "tag: '+tag=${hydra:runtime.cwd}' calls a resolver; write the value itself"),
    ("+tag=${hydra.runtime.cwd}", "tag: Interpolation key 'hydra.runtime.cwd' not found; write the value itself"),
    ("model=/etc/evil", "no model called '/etc/evil'; there are: baseline, crnn, ..."),
    ("model=..", "no model called '..'; there are: baseline, crnn, ..."),
    ("+model@x=mf", "'+model@x=mf': a group has one place and no subgroups; give it as GROUP=NAME"),
    ("+data/evil=x", "'+data/evil=x': a group has one place and no subgroups; give it as GROUP=NAME"),
    ("~hydra", "'~hydra': Hydra's own settings are not ours to take; leave it out"),
    ("+hydra@x=y", "'+hydra@x=y': Hydra's own settings are not ours to take; leave it out"),
    ("hydra.searchpath=[file:///tmp]", "'hydra.searchpath=[file:///tmp]': Hydra's own settings are not ours to take; leave it out"),
    ("+x={_target_: os.system}", "x._target_: _target_ is not a setting; _target_ stands at the root of a file, and no other key begins with an underscore"),
    ("+x.y=[{_target_: os.system}]", "x.y.0._target_: _target_ is not a setting; _target_ stands at the root of a file, and no other key begins with an underscore"),
    ("+x={_partial_: true}", "x._partial_: _partial_ is not a setting; _target_ stands at the root of a file, and no other key begins with an underscore"),
    ("+x._args_=[a]", "'+x._args_=[a]': keys with a leading underscore stand in files only; leave it out"),
    ("+x={_convert_: all}", "x._convert_: _convert_ is not a setting; _target_ stands at the root of a file, and no other key begins with an underscore"),
    ("+x={_recursive_: false}", "x._recursive_: _recursive_ is not a setting; _target_ stands at the root of a file, and no other key begins with an underscore"),
    ("+password=hunter2", "password: settings are written down with the run, and this looks like a secret; leave it out; programs read secrets from the environment"),
    ("+login={api_key: hunter2}", "login.api_key: settings are written down with the run, and this looks like a secret; leave it out; programs read secrets from the environment"),
    ("+tag=" + "[" * 3000 + "]" * 3000, "cannot read '+tag=[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[..."),
    ("+tag=a\0b", "cannot read '+tag=a\\x00b': token recognition error at: '\x00'; quote it: 'key=value'"),
    ("+tag=\x1b[31m", "cannot read '+tag=\\x1b[31m': token recognition error at: '\x1b'; quote it: 'key=value'"),
    ("seeed=1", "no setting called 'seeed' here; did you mean 'seed'? (there are: data, device, ..."),
    ("rot=x", "no setting called 'rot' here; did you mean 'root'? (there are: data, device, ..."),
    ("spilt=global_time", "no setting called 'spilt' here; did you mean 'split'? (there are: data, device, ..."),
    ("trainer.bach_size=1", "no setting called 'trainer.bach_size' here; did you mean 'trainer.batch_size'? (there are: trainer.batch_size, trainer.checkpoint_every_steps, ..."),
    ("trainer.epoch=1", "no setting called 'trainer.epoch' here; did you mean 'trainer.epochs'? (there are: trainer.batch_size, trainer.checkpoint_every_steps, ..."),
    ("trainer.optimizer=sgd", "no setting called 'trainer.optimizer' here; did you mean 'trainer.optimiser'? (there are: trainer.batch_size, trainer.checkpoint_every_steps, ..."),
    ("device.thread=1", "no setting called 'device.thread' here; did you mean 'device.threads'? (there are: device.name, device.threads)"),
    ("tracking.url=http://h", "no setting called 'tracking.url' here; did you mean 'tracking.uri'? (there are: tracking.experiment, tracking.flush_seconds, tracking.root, tracking.uri)"),
    ("evaluation.cutofs=[5]", "no setting called 'evaluation.cutofs' here; did you mean 'evaluation.cutoffs'? (there are: evaluation.cutoffs, evaluation.dialect, evaluation.exclude_seen, evaluation.metrics, evaluation.primary)"),
    ("split.min_event=3", "no setting called 'split.min_event' here; did you mean 'split.min_events'? (there are: split.min_events)"),
    ("data.sorce=x", "no setting called 'data.sorce' here; did you mean 'data.source'? (there are: data.min_rating, data.source)"),
    ("model.negative=3", "no setting called 'model.negative' here; did you mean 'model.negatives'? (there are: model.biases, model.init_sd, model.l2, model.loss, model.negatives, model.rank)"),
    ("rank=3", "no setting called 'rank' here; did you mean 'model.rank'? (+rank=... adds a note of your own)"),
    ("mdoel.rank=3", "no setting called 'mdoel.rank' here; did you mean 'model.rank'? (+mdoel.rank=... adds a note of your own)"),
    ("trainer_lr=1", "no setting called 'trainer_lr' here; did you mean 'trainer'? (there are: data, device, ..."),
    ("model.rank.x=3", "no setting called 'model.rank.x' here; did you mean 'model.rank'? (there are: model.biases, model.init_sd, model.l2, model.loss, model.negatives, model.rank)"),
    ("trainer=adm", "no trainer called 'adm'; did you mean 'adam'? (there are: adam, attention, closed_form, gradient, sequence, sessions)"),
    ("tracking=mlfow", "no tracking called 'mlfow'; did you mean 'mlflow'? (there are: mlflow, none)"),
    ("evaluation=full", "no evaluation called 'full'; did you mean 'full_ranking'? (there are: beyond_accuracy, categories, full_ranking, long_lists, ratings, repeats)"),
    ("preset=quik", "no preset called 'quik'; did you mean 'quick'? (there are: quick)"),
    ("filter=stepz", "no filter called 'stepz'; did you mean 'steps'? (there are: none, positives, recbole, sessions, steps)"),
]  # fmt: skip
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


@pytest.mark.parametrize(("override", "answer"), REFUSED)
def test_bad_overrides_are_named(override, answer):
    with pytest.raises(ConfigError) as caught:
        config.load([override])
    line = caught.value.line
    assert line.startswith(answer[:-3]) if answer.endswith("...") else line == answer
    assert len(line) < 1000
    for secret in SECRETS:
        assert secret not in line


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
