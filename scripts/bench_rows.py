"""What `scripts/bench` compares, and the table of what it found."""

from dataclasses import dataclass

OURS = "recsys"


@dataclass(frozen=True)
class Row:
    """One piece of work.

    Attributes:
        title: For people.
        per: What the seconds are divided by, for people.
        sides: Who does it beside this program, with what differs; `PROGRAM:VARIANT` is told the variant's name.
        long: Takes many minutes, so is done only when it is named.
    """

    title: str
    per: str
    sides: dict[str, str]
    long: bool = False


ROWS = {
    "mf-epoch": Row(
        "matrix factorisation, BPR, 64 factors, 1 negative",
        "epoch, ML-1M",
        {
            "recsys:sgd": "plain SGD, a step an event",
            "recsys:torch": "row-wise Adagrad by torch, batches of 2,048",
            "recsys:torch-sgd": "plain SGD by torch, batches of 2,048",
            "implicit": "plain SGD, item biases",
            "recbole": "dense Adam, batches of 2,048",
        },
    ),
    "mf-epoch-20m": Row(
        "the same, 16 M events drawn for 138 k users and 27 k items",
        "epoch",
        {"recsys:sgd": "plain SGD, a step an event", "implicit": "plain SGD, item biases"},
    ),
    "ials-iteration": Row(
        "iALS, 64 factors, 3 steps of conjugate gradients",
        "iteration, ML-1M",
        {"implicit": "", "irspack": ""},
    ),
    "seq-epoch": Row(
        "GRU 64/128, the next item of every event, softmax over all items",
        "epoch, ML-1M, from a sample of steps",
        {
            "recsys:sampled": "softmax over 512 drawn items",
            "recbole": "each prefix a sample of 50 padded steps, batches of 2,048",
        },
    ),
    "softmax": Row(
        "softmax over 26,744 items, loss and gradients, vectors of 64",
        "4,096 positions",
        {"recsys:sampled": "512 drawn items", "recsys:autograd": "torch's own, by autograd"},
    ),
    "seq-quality": Row(
        "the GRU until test NDCG@10 is .145, each user's last event ranked, training only",
        "training, ML-1M",
        {"recsys:sampled": "softmax over 512 drawn items"},
        long=True,
    ),
    "mf-evaluation": Row(
        "full ranking of matrix factorisation, top 10, five metrics",
        "6,040 users, ML-1M",
        {
            "recbole": "defaults: a user a batch",
            "recbole:tuned": "eval_batch_size=2000000",
            "implicit": "lists alone, no metrics",
        },
    ),
    "deep-scoring": Row(
        "deep net [64, 32, 16, 8], all 3,706 items scored",
        "256 users",
        {"recsys:concatenated": "each pair concatenated and sent through all layers"},
    ),
    "data": Row(
        "file to training-ready, events split by chance, for matrix factorisation",
        "ML-1M",
        {"recsys:cached": "parsed before", "recbole": "its own file format"},
    ),
    "data-20m": Row(
        "the same, 16 M events of 138 k users and 27 k items, drawn",
        "file",
        {"recsys:cached": "parsed before", "recbole": "its own file format"},
        long=True,
    ),
    "mf-quality": Row(
        "matrix factorisation until test NDCG@10 is .24, training only",
        "training, ML-1M",
        {"recbole": "10 epochs of BPR, whatever they reach"},
    ),
    "mf-command": Row(
        "command to metrics, 10 epochs of BPR, validation and test ranked",
        "process, ML-1M",
        {"recbole": "run_recbole, eval_step=10"},
    ),
    "mf-command-100k": Row(
        "the same", "process, ML-100K", {"recbole": "run_recbole, eval_step=10"}
    ),
}


def table(result: dict) -> str:
    """The rows in Markdown, with what differs said."""
    lines = [
        "| work | per | program | CPU s | wall s | peak MB | test NDCG@10 | times ours | differs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, sides in result["rows"].items():
        row, ours = ROWS[name], sides[OURS]["cpu_seconds"]
        for side, found in sides.items():
            quality = f"{found['ndcg_at_10']:.3f}" if "ndcg_at_10" in found else ""
            lines.append(
                f"| {row.title} | {row.per} | {side.split(':')[0]} {found['version']} | {found['cpu_seconds']:.3f} "
                f"| {found['wall_seconds']:.3f} | {found['peak_bytes'] / 2**20:.0f} | {quality} "
                f"| {found['cpu_seconds'] / ours:.2f} | {row.sides.get(side, '') or found.get('note', '')} |"
            )
    return "\n".join(lines)
