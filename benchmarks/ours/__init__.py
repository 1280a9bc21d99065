"""Scripts that run in autoseg's environment and print one JSON line."""
