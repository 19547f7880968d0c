import re

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.evaluation.beyond import coverage, gini
from recsys_cli.evaluation.catalogue import METRICS, find_metric
from recsys_cli.evaluation.category_metrics import NAMES as CATEGORY_NAMES
from recsys_cli.evaluation.metrics import BY_GAINS, BY_HITS, BY_LENGTH
from recsys_cli.evaluation.scoring import NEEDS_SCORES
from recsys_cli.evaluation.values import BY_VALUES
from tests.evaluation.cases import protocol, random_case

RANKING = [name for name, metric in METRICS.items() if metric.of == "ranking"]


def test_every_description_has_code_and_the_other_way_round():
    assert {name for name, metric in METRICS.items() if metric.of == "values"} == set(BY_VALUES)
    of_lists = {coverage.__name__, gini.__name__, "novelty", "popularity", *CATEGORY_NAMES}
    assert set(RANKING) == {*BY_HITS, *BY_LENGTH, *BY_GAINS, *NEEDS_SCORES, *of_lists}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_descriptions_are_one_line_and_names_are_keys(metric):
    assert METRICS[metric.name] is metric
    assert re.fullmatch(r"[a-z_]+", metric.name)
    assert metric.formula
    assert "\n" not in metric.formula + metric.meaning
    assert metric.meaning.endswith(".")
    assert metric.low < metric.high


@pytest.mark.parametrize("ties", [False, True])
def test_values_stay_in_the_described_range(ties):
    result = random_case(5, 20, ties=ties, n_users=60).evaluate(protocol(RANKING, [2, 4, 30]))
    assert len(result.metrics) == sum(len(METRICS[name].keys([2, 4, 30])) for name in RANKING)
    for key, value in result.metrics.items():
        metric = find_metric(key.split("_at_")[0])
        assert metric.low <= value <= metric.high, key


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        find_metric("ncdg")
    assert "did you mean 'ndcg'" in caught.value.line
