"""Trials of the program from outside: killed, starved and crowded, does it lose or break anything?"""

import sys
from pathlib import Path

# What is tried is the program beside these files, whatever may be installed.
REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))
