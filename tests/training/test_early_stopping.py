"""The best epoch is kept."""

import torch

from recsys_cli.training.early_stopping import EarlyStopping


def test_it_stops_after_patience_and_restores_the_best():
    model = torch.nn.Linear(1, 1, bias=False)
    stopping = EarlyStopping(patience=2)
    stops = []
    for epoch, value in enumerate([0.1, 0.3, 0.3, 0.2], start=1):
        torch.nn.init.constant_(model.weight, float(epoch))
        stops.append(stopping.update(epoch, value, model))
    assert stops == [False, False, False, True]
    assert (stopping.best_epoch, stopping.best_value) == (2, 0.3)
    stopping.restore(model)
    assert model.weight.item() == 2.0


def test_an_error_is_better_when_lower():
    model = torch.nn.Linear(1, 1)
    stopping = EarlyStopping(patience=2, better="lower")
    stops = [stopping.update(epoch, value, model) for epoch, value in enumerate([3, 1, 1, 2], 1)]
    assert stops == [False, False, False, True]
    assert (stopping.best_epoch, stopping.best_value) == (2, 1)
