"""The work of `scripts/bench` by RecBole: BPR with its defaults (Adam, batches of 2,048)."""

import logging
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import shared
import torch

warnings.filterwarnings("ignore")
EPOCHS = {"mf-epoch": 2, "mf-quality": 10, "mf-command": 10}


def settings(row: str, data: str) -> dict:
    """What is said to it beside its defaults."""
    return {
        "data_path": str(Path(data).parent / "recbole"),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "eval_args": {"mode": "full", "order": "RO"},
        "metrics": ["NDCG", "Recall", "MRR", "Hit", "Precision"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "embedding_size": 64,
        "epochs": EPOCHS[row],
        "eval_step": 10,
        "use_gpu": False,
        "gpu_id": "",
        "seed": 0,
        "show_progress": False,
        "nproc": 1,
        "state": "ERROR",
    }


def whole(data: str) -> None:
    """The whole command."""
    from recbole.quick_start import run_recbole

    clock = shared.Clock()
    with clock.running():
        found = run_recbole("BPR", "ml-1m", config_dict=settings("mf-command", data), saved=True)
    shared.tell(
        version("recbole"), clock.cpu, clock.wall, ndcg_at_10=float(found["test_result"]["ndcg@10"])
    )


def training(row: str, data: str) -> None:
    """Epochs alone: data is loaded before the clock starts."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    config = Config("BPR", "ml-1m", config_dict=settings(row, data))
    init_seed(0, True)
    dataset = create_dataset(config)
    batches, _, _ = data_preparation(config, dataset)
    model = get_model("BPR")(config, batches.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
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


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    if sys.argv[1] == "mf-command":
        whole(sys.argv[2])
    else:
        training(sys.argv[1], sys.argv[2])
