"""Slides 4-11: matrix factorisation as a shallow network, and the same network made deeper."""
