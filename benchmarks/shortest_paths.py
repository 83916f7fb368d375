"""Drawing the shortest-path task of Section 4.4: networkx, grid by grid, against softshare.

Both make whole examples: obstacles, queries, reachability, path cells, as the first and the last
phase of the curriculum need them. The plain way is timed on fewer grids, for it costs the same for
each. The floor counts the example's bytes alone, one a cell and channel.
"""

from __future__ import annotations

import random

import networkx as nx
import torch
from benchmark import Benchmark, arguments

from softshare.shortest_paths import WINDOWS, examples


def with_networkx(window: int, rng: random.Random, size: int = 32) -> torch.Tensor:
    """One example, channels (queries, obstacles, target), as networkx users would draw it."""
    while True:
        a = rng.randrange(size), rng.randrange(size)
        near = [range(max(0, c - window // 2), min(size, c + window // 2 + 1)) for c in a]
        b = rng.choice([(y, x) for y in near[0] for x in near[1] if (y, x) != a])
        grid = nx.grid_2d_graph(size, size)
        blocked = [cell for cell in grid if rng.random() < 0.1 and cell not in (a, b)]
        grid.remove_nodes_from(blocked)
        from_a = nx.single_source_shortest_path_length(grid, a)
        if b in from_a:
            break
    from_b = nx.single_source_shortest_path_length(grid, b)
    on_path = [cell for cell in from_a if from_a[cell] + from_b[cell] == from_a[b]]
    example = torch.zeros(3, size, size, dtype=torch.uint8)
    for channel, cells in enumerate(([a, b], blocked, on_path)):
        if cells:
            example[channel, *torch.tensor(cells).t()] = 1
    return example


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--n", type=int, default=5000, help="examples drawn by softshare at once")
    parser.add_argument("--grids", type=int, default=50, help="examples drawn with networkx")
    bench = Benchmark(__file__, parser)
    n, grids = (64, 2) if bench.quick else (bench.options.n, bench.options.grids)
    rng, generator = random.Random(0), torch.Generator(bench.device).manual_seed(0)
    for window in bench.cases((WINDOWS[0], WINDOWS[-1])):
        seconds = bench.time(
            {
                "plain": lambda window=window: [with_networkx(window, rng) for _ in range(grids)],
                "ours": lambda window=window: examples(n, window, generator=generator),
            }
        )
        bench.record(
            f"window{window}",
            **seconds,
            ways=("networkx, grid by grid", "bit-parallel search of many grids"),
            settings={"window": window},
            moved=3 * 32 * 32,
            per="grid",
            items=(grids, n),
            expected=20,
        )


if __name__ == "__main__":
    main()
