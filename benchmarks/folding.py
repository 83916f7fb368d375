"""Layer similarity and folding of SWRN 40-8-8, from coefficients, against loops over pairs.

The plain way to the similarity matrices (Section 3.2) compares every pair of layers in a Python
loop, by their coefficients, or by their full weights, as one must who has no coefficients.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from benchmark import Benchmark, arguments
from torch import Tensor

import softshare as ss
from softshare.folding import Folding, foldings
from softshare.folding.ties import TOLERANCE
from softshare.sharing import banks

THRESHOLD = 0.3  # at which layers that nobody has trained already have ties


def by_pairs(vectors: list[Tensor]) -> Tensor:
    """|cos| of every pair, one pair after the other."""
    S = torch.eye(len(vectors))
    for i, j in itertools.combinations(range(len(vectors)), 2):
        S[i, j] = S[j, i] = F.cosine_similarity(vectors[i], vectors[j], dim=0).abs()
    return S


def similarity(bench: Benchmark, net: torch.nn.Module) -> None:
    """All layer similarity matrices of a network."""
    own = banks(net)
    rows = {group: list(bank.coefficients.detach()) for group, bank in own.items()}
    flat = {group: [W.detach().flatten() for W in b.weights()] for group, b in own.items()}
    seconds = bench.time(
        {
            "coefficients": lambda: {g: by_pairs(vectors) for g, vectors in rows.items()},
            "weights": lambda: {g: by_pairs(vectors) for g, vectors in flat.items()},
            "ours": lambda: ss.lsm(net),
        }
    )
    for group, S in ss.lsm(net).items():
        torch.testing.assert_close(by_pairs(rows[group]), S.cpu(), atol=1e-4, rtol=1e-4)
    L, k = next(iter(own.values())).coefficients.shape
    for way in ("coefficients", "weights"):
        bench.record(
            f"lsm-{way}",
            seconds[way],
            seconds["ours"],
            ways=(f"a loop over pairs of {way}", "one product A Aᵀ a group"),
            settings={"what": "LSM", "layers a group": L, "k": k},
            moved=4 * len(own) * (L * k + L * L),
        )


def plain_ties(S: Tensor, threshold: float) -> list[list[int]]:
    """Complete linkage by trying all pairs of ties again after every join."""
    found = [[i] for i in range(len(S))]
    while len(found) > 1:
        pairs = itertools.combinations(found, 2)
        likeness, a, b = max((min(S[i, j].item() for i in a for j in b), a, b) for a, b in pairs)
        if likeness < threshold - TOLERANCE:
            break
        found = [tie for tie in found if tie not in (a, b)] + [a + b]
    return sorted(sorted(tie) for tie in found)


def plain_foldings(weights: list[Tensor]) -> list[list[list[int]]]:
    """All foldings of a group from its weights, each tie with its weight and its scales."""
    S = by_pairs(weights)
    found: list[list[list[int]]] = []
    for threshold in sorted({1.0, *S.flatten().tolist()}, reverse=True):
        if (ties := plain_ties(S, threshold)) in found:
            continue
        found.append(ties)
        for tie in ties:
            unit = [weights[i] / weights[i].norm() for i in tie]
            mean = sum(u * torch.sign(u @ unit[0]) for u in unit) / len(unit)
            [(weights[i] @ mean / (mean @ mean)).item() for i in tie]
    return found


def all_foldings(bench: Benchmark, net: torch.nn.Module) -> None:
    """Every distinct folding of every group: ties, what stands for them, scales, and programs."""
    own = banks(net)
    flat = {g: [W.detach().flatten() for W in b.weights()] for g, b in own.items()}

    def ours() -> list[list[Folding]]:
        grams = [similar_by(bank.templates, bank.coefficients.shape[1]) for bank in own.values()]
        each = zip(own.items(), grams, strict=True)
        return [foldings(b.coefficients, b.layers, g, gram) for (g, b), gram in each]

    seconds = bench.time(
        {"plain": lambda: {g: plain_foldings(vectors) for g, vectors in flat.items()}, "ours": ours}
    )
    L, k = next(iter(own.values())).coefficients.shape
    bench.record(
        "foldings",
        **seconds,
        ways=("pairs of weights, ties and scales in Python loops", "coefficients alone"),
        settings={"what": "all foldings", "layers a group": L, "k": k},
    )


def plain_fold(net: torch.nn.Module, threshold: float) -> torch.nn.Module:
    """A plain copy of a network in which the weights of each tie are multiples of their mean."""
    plain = ss.unshare(net)
    for names in ss.groups(net).values():
        layers = [plain.get_submodule(name) for name in names]
        weights = [layer.weight.detach().flatten() for layer in layers]
        for tie in plain_ties(by_pairs(weights), threshold):
            R = sum(weights[i] / weights[i].norm() for i in tie)
            for i in tie:
                layers[i].weight.data.copy_(
                    (weights[i] @ R / (R @ R) * R).view_as(layers[i].weight)
                )
    return plain


def network(bench: Benchmark, net: torch.nn.Module) -> None:
    """A folded network: ours also finds its loops, drops what is tied, and writes its report."""
    seconds = bench.time(
        {
            "plain": lambda: plain_fold(net, THRESHOLD),
            "ours": lambda: ss.fold(net, THRESHOLD, inputs=None),
        }
    )
    size = sum(4 * p.numel() for p in net.parameters())
    bench.record(
        "fold",
        **seconds,
        ways=("pairs of weights, tied but not looped", "fold(), with loops and report"),
        settings={"what": "a folded network", "threshold": THRESHOLD},
        moved=2 * size,
    )


def similar_by(templates: Tensor, k: int) -> Tensor:
    """Inner products of the templates, (k, k)."""
    flat = templates.detach().reshape(k, -1)
    return flat @ flat.T


def main() -> None:
    bench = Benchmark(__file__, arguments(__doc__, repeats=3))
    torch.manual_seed(0)
    net = ss.build("swrn-40-1-8" if bench.quick else "swrn-40-8-8").to(bench.device)
    for case in bench.cases((similarity, all_foldings, network)):
        case(bench, net)


if __name__ == "__main__":
    main()
