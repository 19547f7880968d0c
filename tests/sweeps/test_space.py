"""The override grammar as a search space, and what is refused before anything runs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from recsys_cli import config
from recsys_cli.errors import ConfigError
from recsys_cli.sweeps import space
from tests.conftest import examples

BASE = ["model=mf", "data=demo"]


@pytest.mark.parametrize(
    ("override", "distribution", "values"),
    [
        ("model.rank=16,32,64", CategoricalDistribution(("16", "32", "64")), ("16", "32", "64")),
        ("model.rank=choice(16,32)", CategoricalDistribution(("16", "32")), ("16", "32")),
        ("model.rank=sort(32,16)", CategoricalDistribution(("16", "32")), ("16", "32")),
        ("model.biases=true,false", CategoricalDistribution(("true", "false")), ("true", "false")),
        (
            "model.loss='bpr',squared",
            CategoricalDistribution(("'bpr'", "squared")),
            ("'bpr'", "squared"),
        ),
        (
            "model.widths=[64,32],[8]",
            CategoricalDistribution(("[64,32]", "[8]")),
            ("[64,32]", "[8]"),
        ),
        ("model=glob([mf*,d*])", CategoricalDistribution(("deep", "mf")), ("deep", "mf")),
        ("model=glob([mf*,d*],exclude=mf)", CategoricalDistribution(("deep",)), ("deep",)),
        ("model.rank=range(8,32,8)", IntDistribution(8, 24, step=8), ("8", "16", "24")),
        ("model.rank=range(5,1,-2)", IntDistribution(3, 5, step=2), ("5", "3")),
        (
            "model.l2=range(0,0.4,0.1)",
            FloatDistribution(0, 0.3, step=0.1),
            ("0.0", "0.1", "0.2", "0.3"),
        ),
        ("model.l2=range(0,0.9,0.3)", FloatDistribution(0, 0.6, step=0.3), ("0.0", "0.3", "0.6")),
        ("model.l2=interval(1,5)", FloatDistribution(1, 5), None),
        ("model.rank=int(interval(1,512))", IntDistribution(1, 512), None),
        ("trainer.lr=tag(log, interval(1e-4, 1e-1))", FloatDistribution(1e-4, 0.1, log=True), None),
        ("model.rank=tag(log,int(interval(1,512)))", IntDistribution(1, 512, log=True), None),
        ("+trainer.note=1,2", CategoricalDistribution(("1", "2")), ("1", "2")),
    ],
)
def test_grammar_becomes_a_distribution(override, distribution, values):
    read = space.read([*BASE[1:], override])

    (axis,) = read.axes
    assert axis.key == override.split("=")[0]
    assert axis.distribution == distribution
    assert axis.values == values
    assert read.size == (None if values is None else len(values))
    assert read.fixed == ("data=demo",)


def test_shuffle_is_honoured_and_always_the_same():
    first, again = (space.read(["model.rank=shuffle(range(1,9))"]).axes[0].values for _ in "ab")

    assert first == again
    assert first != tuple("12345678")
    assert sorted(first) == list("12345678")


def test_grid_holds_every_combination_once_last_axis_fastest():
    read = space.read([*BASE, "model.rank=16,32", "model.l2=range(0,0.3,0.1)", "model.loss=bpr"])

    points = [read.texts(point) for point in read.grid()]

    assert read.size == 6
    assert [tuple(point.values()) for point in points] == [
        (rank, l2) for rank in ("16", "32") for l2 in ("0.0", "0.1", "0.2")
    ]


def test_a_trial_is_overrides_that_compose_to_the_values_meant():
    read = space.read(
        ["data=demo", "model=mf", "model.l2=range(0,1,0.3)", "trainer.lr=interval(0.01, 0.1)"]
    )

    said = read.overrides({"model.l2": 0.1 + 0.2, "trainer.lr": 1e-5})
    tree = config.load(said).tree

    assert said == ["data=demo", "model=mf", "model.l2=0.3", "trainer.lr=1e-05"]
    assert tree["model"]["l2"] == 0.3
    assert tree["trainer"]["lr"] == 1e-5


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.rank=16", "nothing to search"),
        ("model.rank=range(5,1)", "a range holds"),
        ("model.rank=range(0,inf)", "finite"),
        ("model.rank=range(0,10,0)", "not 0"),
        ("model.rank=range(0,1000000)", "a range holds"),
        ("model.l2=interval(0,inf)", "both finite"),
        ("model.l2=interval(nan,1)", "both finite"),
        ("model.l2=interval(5,1)", "to a higher one"),
        ("model.rank=int(interval(0.1,0.2))", "to a higher one"),
        ("trainer.lr=tag(log, interval(0,1))", "above 0"),
        ("trainer.lr=tag(lgo, interval(0.1,1))", "lgo"),
        ("model.rank=tag(log, range(1,5))", "log goes with an interval"),
        ("model=glob(zzz*)", "no model is called so"),
        ("model.rank=16,,32", "cannot read"),
        ("hydra.verbose=true,false", "Hydra's own"),
    ],
)
def test_what_is_no_search_space_is_refused(override, words):
    with pytest.raises(ConfigError) as caught:
        space.read([override])

    assert words in caught.value.line


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.rnk=16,32"], "did you mean 'model.rank'"),
        (["model.rank=16,many"], "model.rank='many'"),
        (["model.rank=16,0"], "model.rank=0"),
        (["model.rank=int(interval(1,1000000))"], "model.rank=1000000"),
        (["model.rank=range(-8,64,8)"], "model.rank=-8"),
        (["model=mf,depp"], "did you mean 'deep'"),
        (["model=mf,../../evil"], "no model called '../../evil'"),
        (["model=mf,deep", "model.rank=16,32"], "no setting called 'model.rank'"),
        (["model.rank=16,32,16"], "same experiment"),
        (["+note=1,2"], "same experiment"),
        (["device=cpu,auto"], "same experiment"),
        (["split=global_time,leave_last_out"], "split is not the same in all trials"),
        (["data.seed=1,2"], "data is not the same in all trials"),
        (["evaluation.exclude_seen=true,false"], "evaluation is not the same in all trials"),
    ],
)
def test_a_value_that_no_trial_can_have_is_refused(overrides, words):
    read = space.read(["data=demo", *overrides])

    with pytest.raises(ConfigError) as caught:
        space.check(read)

    assert words in caught.value.line


def test_check_gives_the_settings_of_the_first_point():
    settings = space.check(space.read(["data=demo", "model=deep,mf", "trainer.lr=0.1,0.2"]))

    assert settings.choices["model"] == "deep"
    assert settings.tree["trainer"]["lr"] == 0.1


def test_a_folder_of_the_users_own_is_searched_too(tmp_path: Path):
    (tmp_path / "model").mkdir()
    text = (Path(__file__).parents[2] / "configs" / "model" / "mf.yaml").read_text()
    (tmp_path / "model" / "mine.yaml").write_text(text)

    read = space.read(["data=demo", "model=glob(mi*)", "model.rank=3,4"], [tmp_path])

    assert space.check(read, [tmp_path]).choices["model"] == "mine"


RANKS = st.lists(st.integers(1, 4096), min_size=2, max_size=5, unique=True)


@examples(15)
@given(ranks=RANKS, rates=st.lists(st.floats(1e-9, 99), min_size=2, max_size=4, unique=True))
def test_a_grid_is_what_was_typed_and_each_point_says_it_again(ranks, rates):
    typed = [f"model.rank={','.join(map(str, ranks))}", f"trainer.lr={','.join(map(repr, rates))}"]
    read = space.read(typed)
    points = list(read.grid())
    assert len(points) == read.size == len(ranks) * len(rates)
    for point, (rank, rate) in zip(points, ((r, x) for r in ranks for x in rates), strict=True):
        parsed = [override.value() for override in config.parse(read.overrides(point))]
        assert parsed == [rank, rate]
        texts = read.texts(point)
        assert {axis.key: axis.drawn(texts[axis.key]) for axis in read.axes} == point


@examples(15)
@given(start=st.integers(-50, 50), step=st.integers(-9, 9).filter(bool), count=st.integers(1, 20))
def test_a_range_of_whole_numbers_is_that_of_python(start, step, count):
    stop = start + step * count
    (axis,) = space.read([f"model.rank=range({start},{stop},{step})"]).axes
    assert axis.values == tuple(map(str, range(start, stop, step)))
    assert {axis.drawn(text) for text in axis.values} == set(range(start, stop, step))
    assert set(axis.ends) == {str(min(start, stop - step)), str(max(start, stop - step))}


@given(st.floats(-1e300, 1e300))
def test_a_number_is_typed_with_twelve_digits_and_typing_it_again_changes_nothing(number):
    (axis,) = space.read(["model.l2=interval(0.1,1)"]).axes
    text = axis.text(number)
    assert axis.text(axis.drawn(text)) == text
    assert axis.drawn(text) == pytest.approx(number, rel=1e-11)
