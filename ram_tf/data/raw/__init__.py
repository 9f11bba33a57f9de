"""Archives as people have them: read, checked, unpacked."""
