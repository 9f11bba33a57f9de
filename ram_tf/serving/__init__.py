"""A run as a SavedModel, and image files for it."""
