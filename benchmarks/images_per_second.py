"""Images a second in training WRN 28-w, by engine, and the share of the matrix rate.

The plain way is softshare's own step run operation by operation; the others compile it, or replay
it as a CUDA graph. On a CPU, where compiling WRN 28 takes minutes, a WRN 10-1.
"""

from __future__ import annotations

from benchmark import Benchmark, arguments
from epochs import Epochs, image_recipe, title
from work import step_work

ENGINES = ("eager", "graphs", "compiled graphs")
ON_A_GPU = dict.fromkeys(("wrn-28-10", "wrn-28-2", "wrn-28-4"), ENGINES)


def compare(bench: Benchmark, model: str, engines: tuple[str, ...], batch: int, steps: int) -> None:
    recipe = image_recipe(model, batch_size=batch)
    ways = {engine: Epochs(recipe, bench.device, steps, engine) for engine in engines}
    seconds = bench.time(ways, ways["eager"].precision)
    images = steps * batch
    for engine in engines[1:]:
        if ways[engine].step.engine != engine:
            print(f"{model} is not {engine}: that failed, as the warning says")
            continue
        bench.record(
            f"{model}-{engine.replace(' ', '-')}",
            seconds["eager"],
            seconds[engine],
            ways=("the same step, eager", ways[engine].about),
            settings={"net": title(model), "batch": batch, "engine": engine},
            **step_work(ways["eager"], batch),
            per="image",
            items=(images, images),
        )


def main() -> None:
    bench = Benchmark(__file__, arguments(__doc__, repeats=5))
    cuda = bench.device.type == "cuda"
    models = ON_A_GPU if cuda else {"wrn-10-1": ("eager", "compiled")}
    for model, engines in bench.cases(models.items()):
        compare(bench, model, engines, 8 if bench.quick else 128, 30 if cuda else 1)


if __name__ == "__main__":
    main()
