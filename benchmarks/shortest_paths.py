"""Drawing the shortest-path task of Section 4.4: networkx, grid by grid, against softshare.

Both make whole examples: obstacles, queries, reachability, path cells. The plain way is timed on
fewer grids, for it costs the same for each. Medians are seconds an example.
"""

from __future__ import annotations

import random

import networkx as nx
import torch
from timing import arguments, median, report

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
    options = parser.parse_args()
    window, rng = WINDOWS[-1], random.Random(0)
    generator = torch.Generator(options.device).manual_seed(0)
    plain = median(
        lambda: [with_networkx(window, rng) for _ in range(options.grids)], options.repeats
    )
    ours = median(lambda: examples(options.n, window, generator=generator), options.repeats)
    report(
        "shortest-paths",
        plain / options.grids,
        ours / options.n,
        options,
        unit="seconds an example",
        least=20,
    )


if __name__ == "__main__":
    main()
