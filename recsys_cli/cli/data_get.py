"""`recsys data get`: fetch a published data set now, so that later runs need no network."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli import catalogue, plain_yaml
from recsys_cli.cli import options, output
from recsys_cli.cli.completion import of_group
from recsys_cli.errors import ConfigError

if TYPE_CHECKING:
    from recsys_cli.data.download import Archive
    from recsys_cli.progress import Progress

IN_DATA_FOLDER = "there already, in RECSYS_DATA; read as it is, not checked"
KEPT = "there already"
FETCHED = "fetched"


def get(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="The data set.",
            autocompletion=of_group("data"),
            show_default=False,
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|ZIP",
            help="Take the publisher's zip from this https address or file instead; "
            "it must have the published hash all the same.",
            show_default=False,
        ),
    ] = None,
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """Fetch a published data set into the cache; say where it is, its hash and its terms.

    `recsys train` does the same where the data is not there yet.
    """
    from recsys_cli.tracking.console import Console

    options.allow(allow_package)
    archive = _archive(data, config_dir or ())
    status, place = _bring(archive, source, Console(bars=progress))
    checksum = archive.checksum
    if place.is_dir() and archive.second is not None:
        checksum = f"{archive.second.checksum} of {archive.second.requirement}, its second source"
    told = {
        "data": data,
        "status": status,
        "place": str(place),
        "checked": "" if status == IN_DATA_FOLDER else checksum,
        "publisher": archive.address,
        "terms": archive.terms,
    }
    if as_json:
        output.write(json.dumps(told))
    else:
        output.facts(list(told.items()))


def _archive(data: str, config_dirs: Sequence[Path]) -> Archive:
    """What the module that loads the data set says about where it is published, in its `ARCHIVES`."""
    from recsys_cli import config

    text = plain_yaml.read_text(catalogue.find("data", data, config_dirs).path)
    named = re.search(r"^_target_:\s*(\S+)", text, re.MULTILINE)
    if named is not None:
        module = sys.modules[config.locate(named[1], key="data").__module__]
        archive: Archive | None = getattr(module, "ARCHIVES", {}).get(data)
        if archive is not None:
            return archive
    raise ConfigError(
        f"data={data} is not fetched from a publisher",
        f"it is made here, or its files are yours to bring: see recsys data settings {data}",
    )


def _bring(archive: Archive, source: str | None, progress: Progress) -> tuple[str, Path]:
    """What was done, and where the data is."""
    from recsys_cli.data.download import check, kept, obtain, take
    from recsys_cli.data.sources import in_data_folder, typed

    if (place := in_data_folder(archive.name)) is not None:
        return IN_DATA_FOLDER, place
    if (place := kept(archive)) is not None:
        if place.is_file():
            check(archive, place)
        return KEPT, place
    if source is None:
        return FETCHED, obtain(archive, progress)
    if "://" in source:
        return FETCHED, obtain(replace(archive, address=source, second=None), progress)
    return FETCHED, take(archive, typed(source), progress)
