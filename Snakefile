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

from softshare.data.image_stream import adopted
from softshare.paths import runs_root
from softshare.records.provenance import command
from softshare.recipe import for_profile
from softshare.reproduction.plan import TARGETS, Plan

PROFILE = config.get("profile", "paper")
SEEDS = range(int(config.get("seeds", 5)))
RUNS = os.path.relpath(runs_root())
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])


def recipes(target):
    """Every network of a table or figure on every data set of it, a recipe a seed."""
    return [
        for_profile(r.model, config.get(r.data, r.data), PROFILE, **r.own() | {"seed": seed})
        for r in Plan(target).own()
        for seed in SEEDS
    ]


PAGES = {name: recipes(name) for name in TARGETS}
PAGES["figure3"] += PAGES["table1"] + PAGES["table2"]
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
