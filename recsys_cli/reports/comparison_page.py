"""The page of a comparison of tuned models."""

from __future__ import annotations

from recsys_cli.comparisons.standings import Comparison
from recsys_cli.reports import comparison_plots as plots
from recsys_cli.reports.page import Block, Drawing, Section, Table, page

QUALITY = ("model", "mean", "95 % interval", "seeds ±", "to", "difference", "95 % interval", "d_z", "p (Holm)")  # fmt: skip
COSTS = ("model", "valid", "trials", "search s", "train s", "parameters", "beware")


def comparison_page(found: Comparison) -> str:
    """The whole comparison as one HTML file."""
    names = ", ".join(each.model for each in found.standings if each.kind == "tuned")
    lead = ". ".join(
        [*found.verdicts, "Tuned on validation with the same budget, measured on test once"]
    )
    return page(
        f"{names}: {found.metric}",
        f"{lead}.",
        [
            Section("Quality", _quality(found)),
            Section("Differences", _differences(found)),
            Section("Cost", [_costs(found)]),
            Section("How they learnt", _learning(found)),
            Section("How they were tuned", _searches(found)),
            Section("Protocol", _protocol(found)),
            Section("To repeat it", [_commands(found)]),
            Section("Machine", [Table(("what", "value"), list(found.environment.items()), 2)]),
        ],
    )


def _quality(found: Comparison) -> list[Block]:
    rows = []
    for each in found.standings:
        row, spread = found.row(each.model), "" if each.spread is None else f"{each.spread:.4f}"
        rows.append([each.model, *row.cells(), spread, row.against, *row.difference_cells()])
    caption = (
        f"{found.metric} of the test users. Bars: 95 % bootstrap intervals over users. Small dots: seeds. Hollow: models "
        "with nothing to tune."
    )
    return [Drawing(plots.means(found), caption), Table(QUALITY, rows)]


def _differences(found: Comparison) -> list[Block]:
    caption = (
        f"Mean difference to {found.references} over the same users, with its 95 % interval; where it crosses the line, "
        "chance alone may have made it."
    )
    said = [row.sentence for row in found.rows if row.difference and row.metric == found.metric]
    named = [row.name for row in found.rows if row.difference and row.metric == found.metric]
    sentences = [f"{name} {text}" for name, text in zip(named, said, strict=True)]
    return [Drawing(plots.differences(found), caption), *(f"{text}." for text in sentences)]


def _costs(found: Comparison) -> Table:
    rows = [
        [
            each.model,
            f"{each.valid:.4f}",
            str(each.trials or ""),
            f"{each.search_seconds:.1f}" if each.trials else "",
            f"{each.train_seconds:.2f}",
            f"{each.parameters:,}",
            each.mark,
        ]
        for each in found.standings
    ]
    return Table(COSTS, rows)


def _learning(found: Comparison) -> list[Block]:
    if not any(len(each.curve) > 1 for each in found.standings):
        return []
    return [Drawing(plots.curves(found), f"Validation {found.metric} by epoch, of the first seed.")]


def _searches(found: Comparison) -> list[Block]:
    tuned = [each for each in found.standings if each.trial_values]
    if not tuned:
        return []
    rows = [
        [
            each.model,
            " ".join(f"{key}={value}" for key, value in each.setting.items()),
            each.search_page or "none",
        ]
        for each in tuned
    ]
    caption = (
        "Dots: validation value of each trial. Lines: the best so far. All trials of a search, what mattered in it and "
        "the learning curves are on its own page, on the machine where it was run."
    )
    return [
        Drawing(plots.searches(found), caption),
        Table(("model", "best setting", "page of its search"), rows, 3),
    ]


def _protocol(found: Comparison) -> list[Block]:
    facts = [
        ["split", found.split["name"]],
        ["split hash", found.split["hash"]],
        ["leaks", found.split["leaks"] or "none known"],
        ["reference", found.reference],
        *([f"not {model}", why] for model, why in found.left_out.items()),
    ]
    return [Table(("what", "value"), facts, 2)]


def _commands(found: Comparison) -> Table:
    rows = [[each.model, each.command] for each in found.standings]
    return Table(("model", "command"), rows, 2)
