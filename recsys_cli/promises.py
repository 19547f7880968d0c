"""How exactly a run repeats, and what that hangs on.

The same settings, data and conditions give the same bits on a CPU. An accelerator adds numbers up in no fixed order,
and under other conditions a CPU does it in another order too: there numbers repeat within a tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

BIT_FOR_BIT, STATISTICAL = "bit-for-bit", "statistical"
CONDITIONS = ("version", "torch", "numpy", "scipy", "device", "device_hardware", "threads", "cpu_capability", "engine")  # fmt: skip
TOLERANCE = 1e-3  # of the primary metric, where bits are not promised


def conditions(environment: Mapping[str, str]) -> dict[str, str]:
    """What the bits of a run hang on beside its settings and its data.

    Args:
        environment: As `devices.environment` gives it; what it does not have is left out.
    """
    found = {name: environment[name] for name in CONDITIONS if name in environment}
    return found | {"device": environment["device"].partition(":")[0]}  # threads are told apart


def promise(environment: Mapping[str, str], mismatches: Sequence[str] = ()) -> dict[str, str]:
    """The class of promise of a run, and why it is that one.

    Args:
        environment: Where it ran.
        mismatches: What changed when it was gone on with somewhere else; empty where it never was.

    Returns:
        `class`, one of `bit-for-bit` and `statistical`, and `why`.
    """
    if mismatches:
        told = "; then ".join(mismatches)
        return {"class": STATISTICAL, "why": f"training went on under other conditions: {told}"}
    if not environment["device"].startswith("cpu"):
        why = f"{environment['device']} adds numbers up in no fixed order"
        return {"class": STATISTICAL, "why": why}
    threads = environment["threads"]
    given = [
        environment["device_hardware"],
        f"{threads} thread" if threads == "1" else f"{threads} threads",
        environment["cpu_capability"],
        f"recsys-cli {environment['version']}",
        *(f"{name} {environment[name]}" for name in ("torch", "numpy", "scipy")),
    ]
    return {"class": BIT_FOR_BIT, "why": f"on {', '.join(given)}"}
