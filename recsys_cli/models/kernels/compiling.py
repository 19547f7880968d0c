"""How kernels are compiled, and where the result is kept so that each machine compiles once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Timer
from typing import Any, TypeVar

import numba

from recsys_cli.data.cache import cache_root
from recsys_cli.progress import Progress

Function = TypeVar("Function", bound=Callable[..., Any])
COMPILING = "loading kernels; the first time on a machine they are compiled, which takes seconds"
NOTED_AFTER_SECONDS = 0.5  # to load a kernel takes a fifth of it
# Sums in any order and fused multiply-adds, but NaN and infinity stay what they are: training looks for them.
OPTIONS: dict[str, Any] = {
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
    "error_model": "numpy",
    "boundscheck": False,
}


def kept_at() -> Path | None:
    """The folder of compiled kernels, this user's alone since code is loaded from it; None where none can be had."""
    folder = cache_root() / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            return None
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


KEPT_AT = kept_at()
if KEPT_AT is not None:
    numba.config.CACHE_DIR = str(KEPT_AT)  # type: ignore[attr-defined]


def kernel(function: Function) -> Function:
    """Compile a function when it is first called with new types, or load it where that was done before."""
    compiled: Function = numba.njit(cache=KEPT_AT is not None, nogil=True, **OPTIONS)(function)
    return compiled


def part(function: Function) -> Function:
    """A part of a kernel, compiled into it: a call with a dozen arrays costs more than what is done with them."""
    compiled: Function = numba.njit(forceinline=True, **OPTIONS)(function)
    return compiled


def warm(progress: Progress, *calls: Callable[[], object]) -> None:
    """Compile or load kernels by calling them on no data, and say so where that takes its time.

    A kept one that cannot be read is compiled anew.
    """
    note = Timer(NOTED_AFTER_SECONDS, progress.note, [COMPILING])
    note.daemon = True
    note.start()
    try:
        _call(calls)
    except Exception:
        if KEPT_AT is None:
            raise
        shutil.rmtree(KEPT_AT, ignore_errors=True)
        _call(calls)
    finally:
        note.cancel()


def _call(calls: Iterable[Callable[[], object]]) -> None:
    for call in calls:
        call()
