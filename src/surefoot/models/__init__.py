"""Adapters to model providers, one file each, and the lookup of ``provider:name``."""

from __future__ import annotations

from surefoot.models.lookup import Models, default_model, model_from
from surefoot.models.pricing import has_price, price
from surefoot.models.real import forbid_real_models

__all__ = ["Models", "default_model", "forbid_real_models", "has_price", "model_from", "price"]
