"""Where runs are written down, and how progress is shown."""
