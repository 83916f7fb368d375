"""The paper as jobs: a run is a record, a page is an executed notebook.

snakemake --cores 1 table1                          one page and the runs it is made of
snakemake --cores 1 --config profile=fast all       everything, on the short schedule
snakemake --executor slurm --jobs 20 all            the same on a cluster, a GPU a run
snakemake --config seeds=1 cifar10=cifar10-jpeg ... fewer seeds; another set in place of one

Table 3 is made by its name, and by all where ImageNet has been shown to the library.
A record that is there is never trained again, and a job that was cut off resumes.
"""

import os
import sys

from softshare import paper
from softshare.data.image_stream import adopted
from softshare.results import variants
from softshare.paths import runs_root
from softshare.records.provenance import command
from softshare.recipe import for_profile

PROFILE = config.get("profile", "paper")
SEEDS = range(int(config.get("seeds", 5)))
RUNS = os.path.relpath(runs_root())
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])


def recipes(model, data, options):
    """One model on one data set, a recipe a seed."""
    instead = config.get(data, data)
    return [for_profile(model, instead, PROFILE, seed=seed, **options) for seed in SEEDS]


def table(name):
    """Every row that this library builds, on every data set of the table."""
    columns = paper.load()["tables"][name]["columns"].values()
    own = [row for row in paper.rows(name) if row["model"]]
    return [
        recipe
        for row in own
        for data in dict.fromkeys(column["data"] for column in columns)
        for recipe in recipes(row["model"], data, row["options"])
    ]


def figure(name):
    """The network or networks that a figure shows, on each of its data sets."""
    return [
        recipe
        for data in paper.sets(name) or [None]
        for model in paper.models(name)
        for recipe in recipes(model, data, {})
    ]


PAGES = {name: table(name) for name in ("table1", "table2", "table3", "table4")}
PAGES |= {name: figure(name) for name in ("figure4", "figure5", "figure6", "figure7", "figure8")}
PAGES["folding"] = PAGES["figure4"] + PAGES["figure6"]
PAGES["appendix_b"] = [
    r for row in variants.rows() for r in recipes(row["model"], "cifar10", row["options"])
]
PAGES["figure3"] = figure("figure3") + PAGES["table1"] + PAGES["table2"]
RECIPES = {recipe.path: recipe for page in PAGES.values() for recipe in page}


def records(page):
    return [f"{RUNS}/{recipe.path}" for recipe in PAGES[page]]


def executed(page):
    """The page itself, where it has been written; some results wait for theirs."""
    return [f"executed/{page}.ipynb"] if os.path.isfile(f"notebooks/{page}.ipynb") else []


def part_of_all(page):
    """Whether `all` makes a page: Table 3 only where ImageNet has been shown to the library."""
    return page != "table3" or adopted()


rule all:
    input:
        [records(page) + executed(page) for page in PAGES if part_of_all(page)],


for page in PAGES:

    rule:
        name:
            page
        input:
            records(page) + executed(page),


rule notebook:
    input:
        source="notebooks/{page}.ipynb",
        records=lambda wildcards: records(wildcards.page),
    output:
        "executed/{page}.ipynb",
    resources:
        mem_mb=8000,
        runtime=30,
    shell:
        "papermill {input.source} {output} -k python3"


rule train:
    output:
        update(RUNS + "/{record}.json"),  # softshare replaces a record whole; do not delete it first
    params:
        command=lambda wildcards: command(RECIPES[f"{wildcards.record}.json"]),
    threads: 4
    retries: 3
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=lambda wildcards: 1440 if wildcards.record.startswith("imagenet/") else 240,
    shell:
        "{params.command}"
