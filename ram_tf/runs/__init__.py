"""What a run is on disk. Imports nothing here: some modules need no TensorFlow."""
