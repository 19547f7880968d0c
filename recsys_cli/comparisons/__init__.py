"""Several models, devices or runs set side by side."""
