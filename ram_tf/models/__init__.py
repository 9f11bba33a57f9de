"""The models: the recurrent attention model and the whole-image classifiers."""
