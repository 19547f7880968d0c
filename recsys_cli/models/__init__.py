"""The systems: one file each, in folders named after the chapters of the talk."""
