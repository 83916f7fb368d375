"""Soft parameter sharing: layers of a network mix their weights from common templates.

The rooms of the library, each of which uses none but those above it::

    sharing         templates, coefficients, the weights mixed from them; similarity of layers
    models          the paper's networks by name
    folding         ties, schedules, loops; folded models, their report, file and export
    data            image sets as tensors, and what is done to a batch of them
    shortest_paths  the synthetic task of Section 4.4
    recipe          what is to be trained
    records         what came of it, where that came from, and how it travels
    paper           the paper's numbers, and which row a run belongs to
    training        from a recipe to a record
    explorer        the folding slider
    results         what records come to, in numbers and sentences
    plots           values in, axes out
    reproduction    a table or figure: its records, found or trained, and the ways to show it
    queue           the plan of all runs, worked off
    commands        the command line
"""

from softshare.counting import count
from softshare.explorer import Explorer
from softshare.folding.folded_model import FoldedModel
from softshare.folding.network import fold
from softshare.models import build
from softshare.paper import compare
from softshare.records import Run, load_runs
from softshare.reproduction.collection import parameters, reproduce
from softshare.sharing import groups, share, unshare
from softshare.sharing.similarity import chance_level, lsm, recurrence_penalty
from softshare.training import train
from softshare.training.optimisation import param_groups

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
