"""Durable AI agents: they remember, ask before what can't be undone, show their work, and recover from every failure."""
