"""The command line: each command's file parses, calls and prints; heavy imports stand inside its function."""

import os


def main() -> None:
    """Run the program on the arguments it was started with."""
    # Spinning OpenMP threads on a busy machine cost more than they give; read once, when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from recsys_cli.cli.program import run

    run()
