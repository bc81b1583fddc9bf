"""Fixtures of the tests in this folder."""

from __future__ import annotations

from tests.flows.kit import store

__all__ = ["store"]
