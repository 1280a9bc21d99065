"""The recipes that come with autoseg: JSON files, read as resources of this package."""
