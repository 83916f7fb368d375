"""The task of Section 4.4 against graph libraries, closed forms and exact probabilities."""

import hashlib
from itertools import product

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.stats import chisquare
from sklearn.metrics import f1_score

from softshare.shortest_paths import WINDOWS, examples, f1, phase

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def distances(blocked: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Moves from each of the cells (as flat indices) to every cell, by scipy's Dijkstra."""
    free, index = blocked == 0, np.arange(blocked.size).reshape(blocked.shape)
    across, down = free[:, :-1] & free[:, 1:], free[:-1] & free[1:]
    tails = np.concatenate((index[:, :-1][across], index[:-1][down]))
    heads = np.concatenate((index[:, 1:][across], index[1:][down]))
    graph = coo_array((np.ones(len(tails)), (tails, heads)), shape=(blocked.size,) * 2).tocsr()
    return dijkstra(graph, directed=False, unweighted=True, indices=cells)


def query_pairs(inputs: torch.Tensor) -> torch.Tensor:
    """Rows and columns of both queries, first in reading order first, as (n, 2, 2)."""
    return inputs[:, 0].nonzero()[:, 1:].view(-1, 2, 2)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("window", "size", "obstacles"),
    [
        *((window, 32, 0.1) for window in WINDOWS),
        (21, 32, 0.4),
        (63, 32, 0.3),
        (17, 31, 0.35),
        (9, 33, 0.2),
        (127, 64, 0.35),
        (15, 8, 0.5),
        (5, 3, 0.3),
        (3, 2, 0.6),
    ],
)
def test_target_is_where_the_distances_add_up(window, size, obstacles, device):
    generator = torch.Generator(device).manual_seed(window)
    drawn = examples(200, window, size=size, obstacles=obstacles, generator=generator)
    inputs, targets = (tensor.cpu().numpy() for tensor in drawn)
    for (queries, blocked), target in zip(inputs, targets[:, 0], strict=True):
        ends = np.flatnonzero(queries)
        assert len(ends) == 2
        assert not blocked.flat[ends].any()
        from_a, from_b = distances(blocked, ends)
        assert np.isfinite(from_a[ends[1]])
        assert np.array_equal(target.flatten(), from_a + from_b == from_a[ends[1]])


def test_target_is_the_union_of_all_shortest_paths():
    detours = 0
    for (queries, blocked), target in zip(
        *examples(100, 19, size=10, obstacles=0.35, seed=5), strict=True
    ):
        grid = nx.grid_2d_graph(10, 10)
        grid.remove_nodes_from([tuple(cell) for cell in blocked.nonzero().tolist()])
        a, b = (tuple(cell) for cell in queries.nonzero().tolist())
        paths = list(nx.all_shortest_paths(grid, a, b))
        detours += len(paths[0]) - 1 > abs(a[0] - b[0]) + abs(a[1] - b[1])
        assert {tuple(cell) for cell in target[0].nonzero().tolist()} == set().union(*paths)
    assert detours > 10


def test_without_obstacles_the_target_is_the_rectangle_between_the_queries():
    inputs, targets = examples(1000, 41, obstacles=0.0)
    pairs = query_pairs(inputs)
    low, high = pairs.amin(1), pairs.amax(1)
    line = torch.arange(32)
    rows = (line >= low[:, :1]) & (line <= high[:, :1])
    columns = (line >= low[:, 1:]) & (line <= high[:, 1:])
    assert torch.equal(targets[:, 0], (rows[:, :, None] & columns[:, None]).to(torch.uint8))
    assert not inputs[:, 1].any()


@pytest.mark.parametrize("window", WINDOWS)
def test_every_offset_inside_the_window_occurs_and_none_outside(window):
    pairs = query_pairs(examples(20_000, window)[0])
    offsets = {tuple(offset) for offset in (pairs[:, 1] - pairs[:, 0]).tolist()}
    reach = window // 2
    rows = product(range(reach + 1), range(-reach, reach + 1))
    assert offsets == {(y, x) for y, x in rows if (y, x) > (0, 0)}  # in reading order


def test_second_query_is_uniform_over_the_clipped_window():
    inputs, _ = examples(20_000, 3, size=3, obstacles=0.0)
    cells = list(product(range(3), repeat=2))
    near = {
        a: [b for b in cells if b != a and abs(a[0] - b[0]) < 2 > abs(a[1] - b[1])] for a in cells
    }
    expected = {(a, b): (1 / len(near[a]) + 1 / len(near[b])) / 9 for a in cells for b in near[a]}
    pairs = [(tuple(a), tuple(b)) for a, b in query_pairs(inputs).tolist()]
    keys = [key for key in expected if key[0] < key[1]]
    assert set(pairs) == set(keys)
    counts = [pairs.count(key) for key in keys]
    assert chisquare(counts, [expected[key] * len(pairs) for key in keys]).pvalue > 1e-3


@pytest.mark.parametrize(("size", "obstacles"), [(32, 0.1), (32, 0.02), (20, 0.1), (64, 0.05)])
def test_obstacles_are_independent_and_as_frequent_as_asked(size, obstacles):
    inputs, _ = examples(5000, 5, size=size, obstacles=obstacles, seed=2)
    blocked, open_to_them = inputs[:, 1].double(), 1.0 - inputs[:, 0].double()

    def deviations(dims):
        trials = open_to_them.sum(dims)
        sigma = (trials * obstacles * (1 - obstacles)).sqrt()
        return ((blocked.sum(dims) - obstacles * trials) / sigma).abs().max()

    assert deviations((0, 1, 2)) < 4
    assert deviations(0) < 6  # the greatest over all cells
    centred = (blocked - obstacles) * open_to_them / (obstacles * (1 - obstacles)) ** 0.5
    for product_ in (
        centred[:, :, 1:] * centred[:, :, :-1],
        centred[:, 1:] * centred[:, :-1],
        centred[1:] * centred[:-1],
    ):
        assert product_.mean().abs() < 5 / product_.numel() ** 0.5


def test_examples_depend_on_the_seed_alone():
    before = torch.get_num_threads()
    inputs, targets = examples(3000, 9, seed=4)
    try:
        torch.set_num_threads(2)
        on_two_threads = examples(3000, 9, seed=4)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(inputs, on_two_threads[0])
    assert torch.equal(targets, on_two_threads[1])
    generator = torch.Generator().manual_seed(4)
    first, second = (examples(7, 9, generator=generator)[0] for _ in range(2))
    assert torch.equal(inputs[:7], first)
    assert not torch.equal(first, second)


def test_records_of_a_seed_keep_their_examples():
    digest = hashlib.sha256()
    for tensor in phase(5, n=256, seed=1):
        digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest()[:16] == "4d23fbee66aff933"


def test_no_two_sets_of_phases_and_seeds_are_drawn_alike():
    choices = list(product(range(1, 6), range(4), (False, True)))
    sets = [phase(p, n=20, seed=seed, held_out=held) for p, seed, held in choices]
    assert len({inputs.numpy().tobytes() for inputs, _ in sets}) == len(choices)
    for (p, _, _), (inputs, targets) in zip(choices, sets, strict=True):
        assert inputs.shape == (20, 2, 32, 32)
        assert targets.shape == (20, 1, 32, 32)
        pairs = query_pairs(inputs)
        assert (pairs[:, 1] - pairs[:, 0]).abs().max() <= WINDOWS[p - 1] // 2


@pytest.mark.parametrize("balance", [0.02, 0.5, 0.98])
def test_f1_is_that_of_scikit_learn(balance):
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 1, 32, 32, generator=rng)
    targets = (torch.rand(5, 1, 32, 32, generator=rng) < balance).to(torch.uint8)
    expected = f1_score(targets.flatten(), logits.flatten() > 0)
    assert f1(logits, targets).item() == pytest.approx(expected, rel=1e-6)
    assert f1(logits > 0, targets.bool()).item() == pytest.approx(expected, rel=1e-6)


def test_f1_at_its_ends():
    none, all_ = torch.zeros(2, 3), torch.ones(2, 3)
    assert f1(none, none) == 1
    assert f1(all_, all_) == 1
    assert f1(all_, none) == 0
    assert f1(none, all_) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n": 0}, "n=0"),
        ({"window": 4}, "odd.*window=4"),
        ({"window": 1}, "odd.*window=1"),
        ({"window": 9, "size": 4}, "to 2 \\* size - 1 = 7.*window=9"),
        ({"size": 1}, "size=1"),
        ({"size": 65}, "2 to 64.*size=65"),
        ({"obstacles": 1.0}, r"\[0, 1\).*obstacles=1.0"),
        ({"obstacles": -0.1}, "obstacles=-0.1"),
        ({"obstacles": float("nan")}, "obstacles=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**32}, "4294967295; got seed=4294967296"),
    ],
)
def test_arguments_out_of_range_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        examples(**{"n": 2, "window": 5} | settings)


def test_phases_and_shapes_out_of_range_are_named():
    with pytest.raises(ValueError, match="1 to 5; got p=0"):
        phase(0)
    with pytest.raises(ValueError, match="seed=268435456"):
        phase(1, seed=2**28)
    with pytest.raises(ValueError, match=r"\(2, 1\) and \(2,\)"):
        f1(torch.zeros(2, 1), torch.zeros(2))
