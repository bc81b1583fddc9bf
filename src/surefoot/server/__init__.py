"""Agents as a service: an HTTP API and a web console on one application; needs the extra ``server``."""
