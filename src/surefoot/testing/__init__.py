"""What tests of agents need, shipped: scripted models, a clock a test moves, faults, and the contract every port keeps."""

from surefoot.models.real import forbid_real_models
from surefoot.testing.clock import ManualClock
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import CallEveryTool, FunctionModel, ScriptedModel

__all__ = ["CallEveryTool", "Faults", "FaultyStore", "FunctionModel", "ManualClock", "ScriptedModel", "forbid_real_models"]
