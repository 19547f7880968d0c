"""`recsys metrics`: what each number means, to the letter, here and in other libraries."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys_cli.cli import output
from recsys_cli.evaluation.dialects import DialectName


def metrics(
    name: Annotated[
        str | None,
        typer.Argument(metavar="METRIC", help="Show this one alone.", show_default=False),
    ] = None,
    dialect: Annotated[
        DialectName | None,
        typer.Option(
            help="Show what this library computes under our names, as evaluation.dialect does.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the metrics, or show the formula, range and meaning of one.

    `recsys metrics ndcg` says what stands behind `ndcg_at_10`.
    """
    from recsys_cli.evaluation.catalogue import METRICS

    if name is not None:
        _show(name.split("_at_")[0], dialect or "recsys")
    elif dialect is not None:
        _show_dialect(dialect)
    else:
        rows = [(metric.name, metric.of, metric.formula) for metric in METRICS.values()]
        output.table(("metric", "of", "formula"), rows)


def _show(name: str, dialect: DialectName) -> None:
    """One metric, as this dialect computes it."""
    from recsys_cli.evaluation.catalogue import find_metric
    from recsys_cli.evaluation.dialects import DIALECTS

    computed = DIALECTS[dialect].variant(find_metric(name).name)
    metric = find_metric(computed)
    output.facts(
        [
            ("metric", name),
            (
                "computed as",
                "" if computed == name else f"{computed} ({DIALECTS[dialect].library})",
            ),
            ("judges", "a ranked list" if metric.of == "ranking" else "predicted values"),
            ("formula", metric.formula),
            ("range", f"[{metric.low:g}, {metric.high:g}], {_better(metric.better)}"),
            ("at", "each of evaluation.cutoffs" if metric.at_cutoffs else "no cut-off"),
            ("meaning", metric.meaning),
            ("elsewhere", "; ".join(_elsewhere(name, metric.name))),
        ],
        wrap=True,
    )


def _elsewhere(name: str, computed: str) -> list[str]:
    """Which dialects compute something else under this name."""
    from recsys_cli.evaluation.dialects import DIALECTS

    others: dict[str, list[str]] = {}
    for dialect, definitions in DIALECTS.items():
        if (variant := definitions.variant(name)) != computed:
            others.setdefault(variant, []).append(dialect)
    return [f"{variant} in {', '.join(dialects)}" for variant, dialects in others.items()]


def _better(which: str) -> str:
    return "neither end is better" if which == "neither" else f"{which} is better"


def _show_dialect(name: DialectName) -> None:
    """What a library computes under the names that we have too."""
    from recsys_cli.evaluation.catalogue import METRICS
    from recsys_cli.evaluation.dialects import DIALECTS

    dialect = DIALECTS[name]
    rows = [(ours, v, METRICS[v].formula) for ours, v in dialect.variants.items()]
    output.table(("metric", "computed as", "formula"), rows)
    output.facts(
        [
            ("library", dialect.library),
            ("known from", dialect.checked),
            ("not reproduced", dialect.differs),
            ("others", "metrics not named here mean the same in each dialect"),
            ("use", f"evaluation.dialect={name}"),
        ],
        wrap=True,
    )
