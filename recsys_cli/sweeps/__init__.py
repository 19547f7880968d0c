"""Chooses values: search spaces, the studies that remember what was tried, and the runs of their trials."""
