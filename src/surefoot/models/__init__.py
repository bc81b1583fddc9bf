"""Adapters to model providers, one file each, and the lookup of ``provider:name``."""
