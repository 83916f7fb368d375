"""From a trained network to one that loops: layers that became alike run one weight."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from softshare.folding import Folding, folding
from softshare.folding.folded_model import FoldedModel, check_names, finish, unwrapped
from softshare.folding.folded_weights import fold_group
from softshare.folding.output_gap import gaps, outputs_of_loops, refuse_unchecked
from softshare.folding.outputs import measured, outputs_of
from softshare.folding.report import GroupReport, Report
from softshare.model_file import serialised_size
from softshare.sharing import banks, unshare
from softshare.sharing.grouping import Member, find_groups, resolve_groups
from softshare.sharing.mixing import mix
from softshare.sharing.refusals import refuse_folded
from softshare.sharing.shared_groups import layer_names
from softshare.sharing.written_weights import refuse_written, stamps


def fold(
    net: nn.Module,
    threshold: float = 0.95,
    inputs: Any = "normal",
    loops: bool = True,
) -> FoldedModel:
    r"""Folds layers that became alike into one weight, and blocks that repeat into loops.

    Layers of a group are tied where all pairs have a similarity of t or more (Section 3.2).
    Layer i of a tie then runs :math:`s_i R`, with R the leading direction of the tie's weights and
    a signed scale of its own; each layer keeps its own batch normalisation. Where consecutive
    children of an ``nn.Sequential`` repeat, they become a `softshare.folding.looping.Loop`.

    Of a shared model its groups are folded, by the LSM of their coefficients. Of a model that
    shares nothing the groups are those that `share` would find, alike where the weights
    themselves are parallel.

    Args:
        net: a model, usually one that `share` was applied to; it stays as it is. Of one in
            DistributedDataParallel or torch.compile, what is inside.
        threshold: t, from 0 to 1. Default 0.95. At 1 only what is tied exactly becomes one.
        inputs: what the report's output gaps are measured on, in eval mode: a tensor, a tuple of
            positional arguments, or None to measure none. Default: two examples of normal noise
            for a model with an ``input_shape``, which those of the paper have.
        loops: False leaves all layers where they are, tied: for a model whose own code takes
            blocks of an ``nn.Sequential`` by number, or steps through them. With loops it would
            find one block where there were several, which only measuring on `inputs` notices.
            Also for blocks that checkpoint themselves in training.

    Returns:
        A new model of the class of `net` and of `FoldedModel`; see its ``report``.

    Raises:
        ValueError: a threshold out of range; a model folded already, one without two weights of
            equal shape, one that has lost layers of a group, one that uses a name of `FoldedModel`
            for something of its own; on `inputs`, layers that write their own weights, loops that
            change what the model returns, or nothing returned to tell that by.

    Example:
        >>> import softshare as ss
        >>> net = ss.share(nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)]), templates=1)
        >>> folded = fold(net, inputs=torch.randn(2, 4))
        >>> print(folded.report.groups[0].program, *folded.report.loops)
        3×1 0_to_2 runs 3×(0)
        >>> folded.report.parameters_before, folded.report.parameters_after   # 16 + 3 + 3 x 4
        (31, 31)
        >>> folded.report.gap < 1e-5
        True
    """
    net = unwrapped(net)
    refuse_folded(net)
    check_names(net)
    sources = _shared_sources(net) if banks(net) else _plain_sources(net)
    if not sources:
        raise ValueError(
            "Folding needs two or more weights of equal shape; this model has none that are free. "
            "share() it first, with groups=[[...]] to name them."
        )
    parts = {source.label: source.folding(threshold) for source in sources}
    plain = unshare(net) if banks(net) else copy.deepcopy(net)
    members = resolve_groups(plain, {source.label: source.layers for source in sources})
    held = [member for group in members.values() for member in group]
    unwritten = stamps(member.parameter for member in held)
    arguments, before, why = measured(plain, inputs)
    written = stamps(member.parameter for member in held)
    refuse_written([member.label for member in held], unwritten, written)
    if arguments is not None:  # what the tied network returns is wanted for the gaps alone
        for source in sources:
            source.tie(members[source.label], parts[source.label])
    tied = outputs_of(plain, arguments)
    for source in sources:
        fold_group(members[source.label], parts[source.label], source.templates)
    groups = tuple(source.report(parts[source.label]) for source in sources)
    after = outputs_of(plain, arguments)
    folded = finish(plain, Report(threshold, groups), None if loops else ())
    if folded.report.loops:
        refuse_unchecked(net, inputs, why)
        after = outputs_of_loops(folded, arguments, after)
    report = replace(
        folded.report,
        bytes_before=serialised_size(net),
        parameters_before=sum(p.numel() for p in net.parameters()),
        parameters_after=sum(p.numel() for p in folded.parameters()),
        **{"not_measured": why, **gaps(before, tied, after)},
    )
    folded.__dict__["report"] = report
    size = serialised_size(folded, FoldedModel.metadata(folded))
    folded.__dict__["report"] = replace(report, bytes_after=size)
    return folded


@dataclass(frozen=True)
class _Source:
    """A group of a model as Eq. 1 has it."""

    label: str
    layers: list[str]
    coefficients: Tensor  # (L, k)
    templates: Tensor  # (k·o, ...)
    shared: bool

    def folding(self, threshold: float) -> Folding:
        G = _gram(self.templates, self.coefficients.shape[1])
        S = None
        if not self.shared:
            size = G.diag().clamp(min=torch.finfo(G.dtype).tiny).rsqrt()
            S = (size[:, None] * G * size).abs().clamp(max=1)  # |cos| of the weights, (L, L)
        return folding(self.coefficients, threshold, self.layers, self.label, G, S)

    def tie(self, members: list[Member], folded: Folding) -> None:
        """Writes the tied weights into the layers of a plain model."""
        tied = [layer for tie in folded.ties if len(tie) > 1 for layer in tie]
        if tied:
            weights = mix(self.templates, folded.coefficients[tied])
            for layer, weight in zip(tied, weights, strict=True):
                members[layer].parameter.data.copy_(weight)

    def report(self, folded: Folding) -> GroupReport:
        k = self.coefficients.shape[1]
        size = self.templates.numel() // k
        return GroupReport(self.label, tuple(self.layers), k, size, folded.schedule)


def _shared_sources(net: nn.Module) -> list[_Source]:
    names = layer_names(net)
    return [
        _Source(label, names[label], bank.coefficients.detach(), bank.templates.detach(), True)
        for label, bank in banks(net).items()
    ]


def _plain_sources(net: nn.Module) -> list[_Source]:
    found = []
    for label, members in find_groups(net).items():
        weights = [member.parameter.detach() for member in members]
        eye = torch.eye(len(members), dtype=weights[0].dtype, device=weights[0].device)
        layers = [member.label for member in members]
        found.append(_Source(label, layers, eye, torch.cat(weights), False))
    return found


def _gram(templates: Tensor, k: int) -> Tensor:
    """Inner products of the templates, ``(k, k)``, summed in double precision by parts."""
    flat = templates.reshape(k, -1)  # (k, n)
    G = torch.zeros(k, k, dtype=torch.float64)
    for part in flat.split(2**18, dim=1):
        exact = part.cpu().double()  # not every device has double precision
        G += exact @ exact.T
    return G
