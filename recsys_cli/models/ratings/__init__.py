"""Models of the rating itself: what a person would give an item, in the unit of the data's values."""
