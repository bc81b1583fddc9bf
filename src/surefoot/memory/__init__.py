"""Long-term memory: what stays from one conversation to the next, kept beside the journal and found again by words and vectors.

`Recollection` is the port's implementation, over `Table`, the projection that keeps entries in step with the journal;
`offers` are the tools a model may be given.
"""

from __future__ import annotations

from surefoot.memory.follower import Derive
from surefoot.memory.recollection import Connect, Recollection
from surefoot.memory.search import Weights
from surefoot.memory.table import Table
from surefoot.memory.tools import offers

__all__ = ["Connect", "Derive", "Recollection", "Table", "Weights", "offers"]
