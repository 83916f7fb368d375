"""Images a second in training WRN 28-w, eager and compiled, and the share of the matrix rate.

The plain way is softshare's own step run operation by operation. On a CPU, where compiling WRN 28
takes minutes, a WRN 10-1.
"""

from __future__ import annotations

from benchmark import Benchmark, arguments
from engine import Epochs, image_recipe, title
from work import step_work


def compare(bench: Benchmark, model: str, batch: int, steps: int) -> None:
    recipe = image_recipe(model, batch_size=batch)
    eager = Epochs(recipe, bench.device, steps)
    compiled = Epochs(recipe, bench.device, steps, compiled=True)
    seconds = bench.time({"eager": eager, "compiled": compiled}, eager.precision)
    images = steps * batch
    bench.record(
        model,
        seconds["eager"],
        seconds["compiled"],
        ways=(f"{eager.about}, eager", f"{compiled.about}, compiled"),
        settings={"net": title(model), "batch": batch},
        **step_work(eager, batch),
        per="image",
        items=(images, images),
    )


def main() -> None:
    bench = Benchmark(__file__, arguments(__doc__, repeats=5))
    cuda = bench.device.type == "cuda"
    models = [f"wrn-28-{width}" for width in (10, 2, 4)] if cuda else ["wrn-10-1"]
    for model in bench.cases(models):
        compare(bench, model, 8 if bench.quick else 128, 30 if cuda else 1)


if __name__ == "__main__":
    main()
