"""The command line: each command's file parses, calls and prints; heavy imports stand inside its function."""

import os

# Threads that spin while they wait cost more than they give on a machine that has other work. OpenMP and OpenBLAS read
# this once, when torch and NumPy are loaded; what the user has set stays.
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}


def main() -> None:
    """Run the program on the arguments it was started with."""
    from recsys_cli.cli.stopping import Stop

    with Stop().obeyed():
        for name, value in PATIENT.items():
            os.environ.setdefault(name, value)
        from recsys_cli.cli.program import run

        run()
