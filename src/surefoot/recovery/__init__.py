"""Surviving failures: what they are, when to try again, when to ask somebody else, when to stop."""
