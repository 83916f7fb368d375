"""Soft parameter sharing: layers of a network mix their weights from common templates."""

from softshare.bank import TemplateBank
from softshare.counting import Count, count
from softshare.models import build
from softshare.optimisation import param_groups
from softshare.sharing import groups, share, unshare
from softshare.similarity import chance_level, lsm, recurrence_penalty

__version__ = "0.1.0"
__all__ = [
    "Count",
    "TemplateBank",
    "build",
    "chance_level",
    "count",
    "groups",
    "lsm",
    "param_groups",
    "recurrence_penalty",
    "share",
    "unshare",
]
