"""Slides 22-27: the same data asked otherwise: in order, in context, in time."""
