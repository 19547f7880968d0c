"""The protocol decides what is measured."""

import numpy as np
import torch

from recsys_cli.data.split import Holdout
from recsys_cli.evaluation.evaluate import evaluate
from recsys_cli.evaluation.prediction import Predictions
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import Result
from recsys_cli.evaluation.values_protocol import ValuesProtocol
from tests.contracts.fits import fit
from tests.models.ratings.examples import ratings


def test_a_rating_model_can_be_judged_by_its_values_and_by_its_ranking():
    events = ratings()
    held = np.arange(len(events)) % 4 == 0
    train, test = events.take(~held), events.take(held)
    holdout = Holdout(train, test, np.diff(train.offsets) > 0, train.item_counts > 0)
    model = fit("baseline", train)
    ranking = RankingProtocol(
        cutoffs=[3], metrics=["ndcg"], primary="ndcg_at_3", exclude_seen=True, dialect="recsys"
    )
    values = ValuesProtocol(metrics=["rmse"], primary="rmse", low=1.0, high=5.0)
    ranked, predicted = (
        evaluate(model, holdout, protocol, device=torch.device("cpu"))
        for protocol in (ranking, values)
    )
    assert isinstance(ranked, Result)
    assert isinstance(predicted, Predictions)
    assert next(iter(ranked.metrics)) == "ndcg_at_3"
    assert next(iter(predicted.metrics)) == "rmse"
