"""`recsys data audit`: what a split of a data set lets a model know that it could not have known."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from recsys_cli.cli import options, output

if TYPE_CHECKING:
    from recsys_cli.data.audit import Finding
    from recsys_cli.data.split import Split


def audit(
    data: options.Data = None,
    split: options.Split = None,
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    overrides: options.Overrides = None,
) -> None:
    """Look for leaks in a split: what of the future training knows, and what the split is worth.

    Example: recsys data audit --data=ml-100k --split=global_time
    """
    from recsys_cli import config

    options.allow(allow_package)
    settings = config.load(options.collect(overrides, data=data, split=split), config_dir or ())

    from recsys_cli import preparation
    from recsys_cli.data.audit import KINDS
    from recsys_cli.data.audit import audit as findings_of
    from recsys_cli.tracking.console import Console

    _, made = preparation.load_and_split(settings, progress=Console(bars=None))
    findings = findings_of(made)
    if as_json:
        output.write(json.dumps(_facts(made) | {"findings": [_values(f) for f in findings]}))
        return
    output.table(("finding", "part", "count", "of", "share", "verdict"), [*map(_row, findings)])
    found = {finding.name for finding in findings if finding.count}
    facts = _facts(made)
    output.facts(
        [
            *(
                (name, f"{what}; {meaning}")
                for name, (what, meaning) in KINDS.items()
                if name in found
            ),
            *((name, _text(value)) for name, value in facts.items()),
        ]
    )


def _values(finding: Finding) -> dict[str, object]:
    from recsys_cli.data.audit import KINDS

    what, meaning = KINDS[finding.name]
    return asdict(finding) | {"share": finding.share, "what": what, "meaning": meaning}


def _row(finding: Finding) -> tuple[str, ...]:
    verdict = "leak" if finding.leak else "note" if finding.count else "clean"
    share = f"{100 * finding.share:.1f} %"
    return (finding.name, finding.part, f"{finding.count:,}", f"{finding.of:,}", share, verdict)


def _facts(split: Split) -> dict[str, object]:
    return {
        "split": split.name,
        "hash": split.hash,
        "declared": split.leaks or "this rule lets nothing of the future into training",
        "caution": split.caution(),
        "clock": ""
        if split.train.times is not None
        else "this data has no times: nothing about time is looked at",
        "counts": split.counts(),
    }


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return str(value)
