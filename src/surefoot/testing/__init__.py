"""What tests of agents need, shipped: scripted models, a clock a test moves, faults, and the contract every port keeps."""

from surefoot.models.real import forbid_real_models
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import CallEveryTool, FunctionModel, ScriptedModel

__all__ = ["CallEveryTool", "FunctionModel", "ManualClock", "ScriptedModel", "forbid_real_models"]
