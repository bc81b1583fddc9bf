"""The loop: read, decide, act, append. It knows no store, no provider and no exporter."""
