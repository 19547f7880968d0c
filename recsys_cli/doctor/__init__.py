"""Looks at all that a run depends on, and changes nothing."""
