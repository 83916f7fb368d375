"""Soft parameter sharing: layers of a network mix their weights from common templates."""

from softshare.collection import parameters, reproduce
from softshare.counting import count
from softshare.explorer import Explorer
from softshare.folded_model import FoldedModel
from softshare.models import build
from softshare.network_folding import fold
from softshare.optimisation import param_groups
from softshare.paper import compare
from softshare.records import Run, load_runs
from softshare.sharing import groups, share, unshare
from softshare.similarity import chance_level, lsm, recurrence_penalty
from softshare.training import train

__version__ = "0.1.0"
__all__ = [
    "Explorer",
    "FoldedModel",
    "Run",
    "build",
    "chance_level",
    "compare",
    "count",
    "fold",
    "groups",
    "load_runs",
    "lsm",
    "param_groups",
    "parameters",
    "recurrence_penalty",
    "reproduce",
    "share",
    "train",
    "unshare",
]
