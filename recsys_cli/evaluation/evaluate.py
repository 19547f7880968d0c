"""The one call that measures a model: by its rankings or by its predicted values, as the protocol says."""

from __future__ import annotations

import torch

from recsys_cli.data.split import Holdout
from recsys_cli.evaluation import ranking
from recsys_cli.evaluation.prediction import Predictions, evaluate_values
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.values_protocol import ValuesProtocol
from recsys_cli.models.contract import Model
from recsys_cli.progress import Progress

Result = ranking.Result | Predictions


def evaluate(
    model: Model,
    holdout: Holdout,
    protocol: RankingProtocol | ValuesProtocol,
    *,
    device: torch.device,
    progress: Progress = ranking.SILENT,
    what: str = "test",
) -> Result:
    """Measure a model on a holdout; arguments and errors as `ranking.evaluate` and `evaluate_values`."""
    if isinstance(protocol, ValuesProtocol):
        return evaluate_values(
            model, holdout, protocol, device=device, progress=progress, what=what
        )
    return ranking.evaluate(model, holdout, protocol, device=device, progress=progress, what=what)
