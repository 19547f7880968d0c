"""What a training will need in time, memory and disk, told without training."""
