import sys
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
import yaml

from recsys_cli.errors import ConfigError
from recsys_cli.evaluation.protocol import RankingProtocol

FOLDER = Path(__file__).parents[2] / "configs" / "evaluation"
CONFIGS = [p for p in sorted(FOLDER.glob("*.yaml")) if "RankingProtocol" in p.read_text()]
GOOD: dict[str, Any] = {
    "cutoffs": [5, 10],
    "metrics": ["ndcg", "gini", "user_auc"],
    "primary": "ndcg_at_10",
    "exclude_seen": True,
    "dialect": "recsys",
}


def test_keys_are_metric_by_metric():
    rules = RankingProtocol(**GOOD)
    assert rules.keys == ["ndcg_at_5", "ndcg_at_10", "gini_at_5", "gini_at_10", "user_auc"]
    assert rules.longest == 10


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"metrics": ["ndgc"]}, "evaluation.metrics: 'ndgc' .*did you mean 'ndcg'"),
        ({"metrics": ["ndcg", "rmse"]}, "'rmse' .*judges values"),
        ({"metrics": ["ndcg", "ndcg"]}, "'ndcg' stands twice"),
        ({"metrics": []}, "evaluation.metrics is empty"),
        ({"cutoffs": [0]}, r"evaluation.cutoffs=\[0\]: 0 is not"),
        ({"cutoffs": [10, 1001]}, "1001 is not"),
        ({"cutoffs": [10, 10]}, "10 is not .*once"),
        ({"cutoffs": []}, "evaluation.cutoffs is empty"),
        ({"primary": "ndcg_at_20"}, "evaluation.primary='ndcg_at_20' .*did you mean 'ndcg_at_"),
        ({"primary": "ndcg"}, "evaluation.primary='ndcg' is not among"),
        ({"dialect": "lenskit "}, "evaluation.dialect='lenskit ' .*did you mean 'lenskit'"),
        ({"primary": "gini_at_10"}, "'gini_at_10' is not better when higher"),
    ],
)
def test_refuses(changed, message):
    import re

    with pytest.raises(ConfigError) as caught:
        RankingProtocol(**GOOD | changed)
    assert re.search(message, caught.value.line), caught.value.line


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_has_exactly_the_settings(path):
    settings = yaml.safe_load(path.read_text())
    assert settings.pop("_target_") == "recsys_cli.evaluation.protocol.RankingProtocol"
    assert RankingProtocol(**settings).primary == settings["primary"]
    assert path.read_text().startswith("# ")


def test_settings_are_checked_without_loading_torch():
    code = "import sys, recsys_cli.evaluation.protocol; print('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
