"""Makes this folder importable for its tests: `from samples import write_photos`."""
