"""Settings of an evaluation of values are refused before any data is read."""

import pytest

from recsys_cli import config
from recsys_cli.errors import ConfigError
from recsys_cli.evaluation.values_protocol import ValuesProtocol

GIVEN = {"metrics": ["rmse", "mae"], "primary": "rmse", "low": 1.0, "high": 5.0}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metrics": ["rmse", "ndcg"]}, "'ndcg' is not a metric of values"),
        ({"metrics": ["rmse", "rmes"]}, "'rmes' is not a metric of values"),
        ({"metrics": ["rmse", "rmse"]}, "stands twice"),
        ({"primary": "auc"}, "primary='auc' is not among"),
        ({"low": 5.0}, "low=5 is not below"),
    ],
)
def test_what_is_refused(changed, said):
    with pytest.raises(ConfigError, match=said):
        ValuesProtocol(**(GIVEN | changed))


def test_the_direction_is_that_of_the_primary_metric():
    assert ValuesProtocol(**GIVEN).better == "lower"
    assert ValuesProtocol(**(GIVEN | {"metrics": ["auc"], "primary": "auc"})).better == "higher"


def test_its_file_is_complete():
    tree = config.load(["evaluation=ratings", "model=svd"]).tree
    assert config.build(tree["evaluation"], key="evaluation") == ValuesProtocol(**GIVEN)
