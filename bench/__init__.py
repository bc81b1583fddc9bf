"""Benchmarks, run by hand: ``python -m bench [NAME …] [--record]``. Each prints figures beside the goal they are held to."""
