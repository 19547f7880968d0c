"""How well a ranking or a prediction meets the truth: the metrics, and the one full-ranking evaluation."""
