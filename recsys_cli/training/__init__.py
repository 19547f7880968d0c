"""From training events to a model's parameters."""
