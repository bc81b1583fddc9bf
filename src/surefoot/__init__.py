"""Durable AI agents: they remember, ask before what can't be undone, show their work, and recover from every failure."""

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.errors import InvalidArguments, Retry, RunConflict, SurefootError, ToolFailed
from surefoot.core.memory import Memory
from surefoot.core.messages import File, Image, Message, Text
from surefoot.core.model import ModelSettings
from surefoot.core.ports import Tool
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.core.values import Limits
from surefoot.settings import Settings
from surefoot.tools.function import tool

__all__ = [
    "Agent",
    "App",
    "File",
    "Image",
    "InvalidArguments",
    "Limits",
    "Memory",
    "Message",
    "ModelSettings",
    "Request",
    "Retry",
    "Run",
    "RunConflict",
    "Settings",
    "SurefootError",
    "Text",
    "Tool",
    "ToolContext",
    "ToolFailed",
    "tool",
]
