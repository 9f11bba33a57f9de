"""What a model gets right on a split, by one protocol."""
