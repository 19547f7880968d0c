"""The work of `scripts/bench` by RecBole with its defaults (Adam, batches of 2,048)."""

import logging
import sys
import warnings
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import shared
import torch

warnings.filterwarnings("ignore")
EPOCHS = {"mf-epoch": 2, "mf-quality": 10}
GIVEN = {
    "benchmark_filename": ["train", "valid", "test"],
    "load_col": {"inter": ["user_id", "item_id"]},
    "eval_args": {"mode": "full", "order": "RO"},
}
BY_CHANCE = {
    "load_col": {"inter": ["user_id", "item_id"]},
    "eval_args": {"mode": "full", "order": "RO", "split": {"RS": [0.8, 0.1, 0.1]}},
}
LAST_OUT = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "eval_args": {"mode": "full", "order": "TO", "split": {"LS": "valid_and_test"}},
    "hidden_size": 128,
    "num_layers": 1,
    "loss_type": "CE",
    "train_neg_sample_args": None,
}
STEPS_TIMED = 2


def settings(data: str, more: dict) -> dict:
    """What is said to it beside its defaults."""
    return {
        "data_path": str(Path(data) / "recbole"),
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "metrics": ["NDCG", "Recall", "MRR", "Hit", "Precision"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "embedding_size": 64,
        "epochs": 10,
        "eval_step": 10,
        "use_gpu": False,
        "gpu_id": "",
        "seed": 0,
        "show_progress": False,
        "nproc": 1,
        "state": "ERROR",
    } | more


def command(name: str, data: str) -> None:
    """The whole command."""
    from recbole.quick_start import run_recbole

    clock = shared.Clock()
    with clock.running():
        found = run_recbole("BPR", name, config_dict=settings(data, GIVEN), saved=True)
    shared.tell(
        version("recbole"), clock.cpu, clock.wall, ndcg_at_10=float(found["test_result"]["ndcg@10"])
    )


def prepare(data: str, more: dict, model: str = "BPR", name: str = "ml-1m-cut"):
    """Settings, data set and the batches of training, validation and test."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    config = Config(model, name, config_dict=settings(data, more))
    init_seed(0, True)
    dataset = create_dataset(config)
    return config, dataset, data_preparation(config, dataset)


def trainer_of(config, batches, name: str = "BPR"):
    """A model with weights by chance, and its trainer."""
    from recbole.utils import get_model, get_trainer

    model = get_model(name)(config, batches.dataset)
    return model, get_trainer(config["MODEL_TYPE"], name)(config, model)


def training(row: str, data: str) -> None:
    """Epochs alone: data is loaded before the clock starts."""
    config, dataset, (batches, _, _) = prepare(data, GIVEN)
    model, trainer = trainer_of(config, batches)
    clock = shared.Clock()
    with clock.running():
        for epoch in range(EPOCHS[row]):
            trainer._train_epoch(batches, epoch)
    share = EPOCHS[row] if row == "mf-epoch" else 1
    more = {}
    if row == "mf-quality":
        arrays = shared.load(data)
        tokens = [
            dataset.field2id_token[field][1:].astype(np.int64) for field in ("user_id", "item_id")
        ]
        tables = (model.user_embedding.weight, model.item_embedding.weight)
        users, items = (
            table.detach().numpy()[1:][np.argsort(t)]
            for table, t in zip(tables, tokens, strict=True)
        )
        more = {"ndcg_at_10": shared.ndcg(users, items, arrays)}
    shared.tell(version("recbole"), clock.cpu / share, clock.wall / share, **more)


def evaluation(variant: str, data: str) -> None:
    """The ranking of all users of the test."""
    more = GIVEN | ({"eval_batch_size": 2_000_000} if variant == "tuned" else {})
    config, _, (batches, _, test) = prepare(data, more)
    _, trainer = trainer_of(config, batches)
    cpu, wall = shared.median(
        lambda: trainer.evaluate(test, load_best_model=False, show_progress=False)
    )
    shared.tell(version("recbole"), cpu, wall)


def data_alone(data: str, name: str) -> None:
    """File to batches, all imports done."""
    import recbole.quick_start  # noqa: F401

    clock = shared.Clock()
    with clock.running():
        prepare(data, BY_CHANCE, name=name)
    shared.tell(version("recbole"), clock.cpu, clock.wall)


def sequence_epoch(data: str) -> None:
    """An epoch of GRU4Rec from some of its steps, which all cost the same; the first is not counted."""
    config, _, (batches, _, _) = prepare(data, LAST_OUT, "GRU4Rec")
    model, trainer = trainer_of(config, batches, "GRU4Rec")
    clock = shared.Clock()
    model.train()
    for number, batch in enumerate(islice(batches, 1 + STEPS_TIMED)):
        timed = clock if number else shared.Clock()
        with timed.running():
            trainer.optimizer.zero_grad()
            model.calculate_loss(batch).backward()
            trainer.optimizer.step()
    scale = len(batches) / STEPS_TIMED
    shared.tell(version("recbole"), clock.cpu * scale, clock.wall * scale, steps=len(batches))


def main(row: str, variant: str, data: str) -> None:
    """Do one row."""
    if row == "mf-command":
        command("ml-1m-cut", data)
    elif row == "mf-command-100k":
        command("ml-100k-cut", data)
    elif row == "mf-evaluation":
        evaluation(variant, data)
    elif row.startswith("data"):
        data_alone(data, "ml-20m-drawn" if row == "data-20m" else "ml-1m-cut")
    elif row == "seq-epoch":
        sequence_epoch(data)
    else:
        training(row, data)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    main(*sys.argv[1:4])
