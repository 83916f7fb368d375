"""The paper's numbers against one another: the text, the tables, the figures, the architecture."""

import itertools
import json
import math
import re

import pytest

from softshare import paper, paths
from softshare.paper import compare, fact, facts, load, rows, value

TABLES = ("table1", "table2", "table3", "table4")


def row(table, name):
    return next(row for row in rows(table) if row["row"] == name)


def between(printed, digits, low, high):
    """Whether a printed number can be the rounding of something between two bounds."""
    half = 0.5 * 10**-digits
    return low <= printed + half and printed - half <= high


# --- Tables against the text -------------------------------------------------------------------


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
def test_relative_reductions_follow_from_table_1(data):
    base, shared = value(f"table1/WRN 28-10/{data}"), value(f"table1/SWRN 28-10/{data}")
    bounds = [100 * (1 - (shared + e) / (base - e)) for e in (0.005, -0.005)]
    assert between(value(f"text/relative_reduction_{data}"), 1, *bounds)


def test_one_template_has_a_third_of_the_parameters():
    counts = row("table1", "SWRN 28-10-1")["parameters"], row("table1", "WRN 28-10")["parameters"]
    for data in ("cifar10", "cifar100"):
        ratio = counts[0][data] / counts[1][data]
        assert ratio == pytest.approx(value("text/parameter_ratio_one_template"), abs=0.01)


def test_best_model_without_cutout():
    ours = [row for row in rows("table1") + rows("table2") if row["model"]]
    best = min(ours, key=lambda row: row["values"]["cifar10"])
    assert best["model"] == value("text/best_cifar10_model")
    assert best["values"]["cifar10"] == value("text/best_cifar10_error")
    assert best["printed_parameters"] == f"{value('text/best_cifar10_parameters')}M"
    rival = row("table2", "ResNeXt-29 16x64")
    assert rival["printed_parameters"] == f"{value('text/resnext_parameters')}M"
    assert best["values"]["cifar10"] < rival["values"]["cifar10"]


def test_search_comparison_in_the_text_is_a_row_of_table_4():
    ours = row("table4", "SWRN 28-10-2")["values"]
    assert ours["cifar10"] == value("text/search_comparison_error")
    assert 24 * ours["gpu_days"] < value("text/search_comparison_hours")
    for other in rows("table4"):
        if other["model"] is None and other["values"]["cifar10"] < ours["cifar10"]:
            assert other["values"]["gpu_days"] > 1000 * ours["gpu_days"]
    for name in ("DARTS", "SNAS", "ENAS"):
        assert row("table4", name)["values"]["cifar10"] > ours["cifar10"]


def test_table_3_bears_out_section_4_2():
    shared = row("table3", "SWRN 50-2")["values"]
    for name in ("WRN 50-2", "DenseNet-264"):
        other = row("table3", name)["values"]
        assert shared["top1"] < other["top1"] and shared["top5"] < other["top5"]
    assert 50 * value("text/resnet200_depth_ratio") == 200
    groups = value("settings/imagenet/stages") * value("settings/imagenet/groups_per_stage")
    assert groups == value("settings/imagenet/groups")


def test_the_unclear_cell_agrees_with_the_caption_of_table_2():
    """It says that two templates lower the error on CIFAR-10."""
    unclear = {(t, r["row"], c) for t in TABLES for r in rows(t) for c in r["unclear"]}
    assert unclear == {("table2", "SWRN 28-10-2*", "cifar10")}
    assert fact("table2/SWRN 28-10-2*/cifar10").confidence == "medium"
    assert fact("table2/SWRN 28-10-2*/cifar100").confidence == "high"
    assert value("table2/SWRN 28-10-2*/cifar10") < value("table2/SWRN 28-10*/cifar10")


def test_a_row_printed_twice_is_one():
    assert row("table1", "SWRN 28-10*") == row("table2", "SWRN 28-10*")


def test_size_and_order_of_magnitude_of_the_tables():
    assert [len(rows(table)) for table in TABLES] == [5, 9, 4, 16]
    ranges = {"table1/cifar10": (3.5, 4.5), "table2/cifar10": (3.4, 4), "table4/cifar10": (2, 3.5)}
    ranges |= {"table1/cifar100": (18, 20), "table2/cifar100": (17, 20)}
    ranges |= {"table3/top1": (21, 23), "table3/top5": (5, 7), "table4/gpu_days": (0.1, 3150)}
    for table in TABLES:
        for line in rows(table):
            for column, number in line["values"].items():
                low, high = ranges[f"{table}/{column}"]
                assert low <= number <= high, (table, line["row"], column)
            assert line["quoted"] or line["model"]


def test_names_models_and_options_say_the_same():
    for table in TABLES:
        for line in rows(table):
            assert line["options"].get("cutout", 0) == (16 if table == "table4" else 0)
            assert ("dropout" in line["options"]) == line["row"].endswith("*")
            if line["model"]:
                assert line["model"] == line["row"].rstrip("*").lower().replace(" ", "-")


def test_quoted_rows():
    quoted = {(table, line["row"]) for table in TABLES for line in rows(table) if line["quoted"]}
    assert {("table1", "WRN 28-10"), ("table1", "WRN 28-10*"), ("table4", "WRN 28-10")} <= quoted
    assert not [name for _, name in quoted if name.startswith("SWRN")]
    assert all(row(table, name)["note"] for table, name in quoted)


# --- Parameter counts --------------------------------------------------------------------------


def parameters(model, classes):
    """Of a pre-activation WRN, layer by layer, from its name alone."""
    depth, width, *rest = map(int, re.findall(r"\d+", model))
    convs = (depth - 4) // 3
    shared, channels = convs - 2, (16, 16 * width, 32 * width, 64 * width)
    templates = (rest or [shared])[0] if model.startswith("swrn") else shared
    total = 3 * 16 * 9 + 2 * channels[3] + channels[3] * classes + classes
    for c_in, c in itertools.pairwise(channels):
        total += 9 * c_in * c + 9 * c * c  # the first block, never shared
        total += c_in * c if c_in != c else 0  # its shortcut
        total += templates * 9 * c * c
        total += 2 * c_in + (convs - 1) * 2 * c  # a batch norm before each convolution
        total += shared * templates if model.startswith("swrn") else 0
    return total


@pytest.mark.parametrize("model", [m for m in load()["counts"]["models"] if m != "wrn-50-2"])
def test_counts_follow_from_the_architecture(model):
    assert value(f"counts/{model}/cifar10") == parameters(model, 10)
    assert value(f"counts/{model}/cifar100") == parameters(model, 100)


def test_bottleneck_count_follows_from_the_architecture():
    total, c_in = 3 * 64 * 49 + 2 * 64 + 2048 * 1000 + 1000, 64
    for units, c in ((3, 128), (4, 256), (6, 512), (3, 1024)):
        for unit in range(units):
            total += c_in * c + 9 * c * c + c * 2 * c + 2 * (c + c + 2 * c)
            total += c_in * 2 * c + 2 * 2 * c if unit == 0 else 0
            c_in = 2 * c
    assert value("counts/wrn-50-2/imagenet") == total


def test_printed_millions_are_truncated_on_cifar_and_rounded_on_imagenet():
    roundings_differ = 0
    for table in ("table1", "table2", "table4"):
        for line in rows(table):
            if line["model"]:
                digits = 1 if table == "table4" else 0
                millions = line["parameters"]["cifar10"] / 1e6
                printed = line["printed_parameters"]
                assert printed == f"{math.floor(millions * 10**digits) / 10**digits:.{digits}f}M"
                roundings_differ += printed != f"{millions:.{digits}f}M"
    assert roundings_differ >= 5
    assert row("table3", "WRN 50-2")["printed_parameters"] == "69M"
    assert round(value("counts/wrn-50-2/imagenet") / 1e6) == 69


# --- Figures and settings ----------------------------------------------------------------------


def test_fold_of_figure_4():
    loop, layers = value("text/fold_stage2_loop"), value("text/fold_stage2_layers")
    assert loop * value("figures/figure4/stage2_iterations") == layers
    assert layers == value("figures/figure4/shared_layers") == (28 - 4) // 3 - 2
    assert value("figures/figure4/model").endswith(f"-{value('figures/figure4/templates')}")
    assert value("text/fold_stage2_error_increase") == 0.02


def test_schedule_of_figure_6_follows_from_its_ties():
    layer = list(range(1, 11))
    for later, earlier in value("figures/figure6/ties"):
        layer[later - 1] = layer[earlier - 1]
    assert layer == value("figures/figure6/stage2_schedule")


def test_layers_of_figure_6_add_up():
    about = {path.split("/")[-1]: f.value for path, f in facts().items() if "/figure6/" in path}
    stages = value("figures/figure7/stages")
    assert about["layers"] == 1 + stages * about["stage_layers"] + about["skip_convolutions"]
    assert about["stage_layers"] == (40 - 4) // 3 == about["shared_layers"] + 2
    drawn, rest = about["folded_layers_drawn"], about["folded_layers_not_drawn"]
    assert (about["folded_layers"], rest) == (drawn + rest, 1 + about["skip_convolutions"])
    assert (about["similarity"], about["error_increase"]) == (0.8, 0.3)


def test_figures_6_to_8_show_one_model():
    for name in ("model", "templates", "shared_layers", "data"):
        assert len({value(f"figures/figure{n}/{name}") for n in (6, 7, 8)}) == 1


def test_epochs_of_figure_8():
    epochs = value("figures/figure8/epochs")
    assert epochs[-1] == value("settings/cifar/epochs")
    named = {"figures/figure8/most_patterns_epoch", "figures/figure8/settled_epoch"}
    assert {value(path) for path in named | {"text/patterns_visible_epoch"}} == set(epochs[1:4])


def test_windows_grow_by_two_on_each_side():
    windows = value("settings/shortest_paths/windows")
    assert len(windows) == value("settings/shortest_paths/phases")
    steps = {b - a for a, b in itertools.pairwise(windows)}
    assert steps == {2 * value("settings/shortest_paths/window_growth")}
    assert (windows[0], windows[-1]) == (5, 21)


def test_figure_5_repeats_the_settings_of_section_4_4():
    for name in ("epochs", "recurrence"):
        assert value(f"figures/figure5/{name}") == value(f"settings/shortest_paths/{name}")


def test_cifar_settings():
    cifar = {path.split("/")[-1]: f for path, f in facts().items() if "settings/cifar/" in path}
    assert cifar["images"].value == cifar["train_images"].value + cifar["test_images"].value
    assert [m / cifar["epochs"].value for m in cifar["milestones"].value] == [0.3, 0.6, 0.8]
    assert cifar["decay"].value == 1 / 5
    assert {line["seeds"] for line in rows("table1")} == {cifar["seeds"].value}
    dropouts = {line["options"].get("dropout", cifar["dropout"].value) for line in rows("table2")}
    assert dropouts == {cifar["dropout"].value}


def test_illustration_loops_span_their_layers():
    for loop in value("text/illustration_loops"):
        assert loop["layers"] * loop["times"] == loop["last"] - loop["first"]
        assert loop["last"] <= value("text/illustration_depth")


# --- Look-up and the file ----------------------------------------------------------------------


def test_every_fact_says_where_it_stands():
    place = re.compile(
        r"(Table \d( caption)?|Section \d(\.\d)?|Figure \d( caption)?|Appendix [AB]"
        r"|[A-Z].*\(\d{4}\), whom Section \d\.\d (follows|cites)"
        r"|Computed from the architecture; the paper prints truncated millions)"
    )
    unprinted = [path for path, entry in facts().items() if not place.fullmatch(entry.source)]
    assert unprinted == []
    units = {path for path, entry in facts().items() if not entry.unit}
    assert not [path for path in units if path.startswith(("table", "counts"))]


def test_value_and_fact():
    assert fact("table1/SWRN 28-10-1/cifar100") == paper.Fact(19.73, "%", "Table 1")
    assert value("table4/SWRN 28-4-2/gpu_days") == 0.12
    assert fact("table4/SWRN 28-4-2/gpu_days").unit == "GPU days"
    assert value("table1/SWRN 28-10-1/printed_parameters") == "12M"


def test_unknown_path_names_its_neighbours():
    with pytest.raises(ValueError, match=r"table1/SWRN 28-10-1/cifar10'"):
        value("table1/SWRN 28-10-1/cifra10")


@pytest.mark.parametrize("call", [rows, lambda name: compare([], name)])
def test_unknown_table_names_the_known_ones(call):
    with pytest.raises(ValueError, match="table1, table2, table3, table4; there is no 'table5'"):
        call("table5")


def test_answers_are_copies():
    load()["tables"].clear()
    rows("table1")[0]["values"]["cifar10"] = 0.0
    value("figures/figure8/epochs").clear()
    facts().clear()
    assert value("table1/WRN 28-10/cifar10") == 4.00
    assert len(value("figures/figure8/epochs")) == 5


@pytest.fixture
def other_file(monkeypatch, tmp_path):
    """A data root whose paper.json is a changed copy of the real one."""
    text = paths.paper_json().read_text()
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))

    def write(change=lambda document: None, cut=None):
        document = json.loads(text)
        change(document)
        (tmp_path / "paper.json").write_text(json.dumps(document)[:cut])

    return write


def test_a_changed_file_is_read_again(other_file):
    other_file()
    assert value("settings/cifar/epochs") == 200
    other_file(lambda d: d["settings"]["cifar"]["epochs"].update(value=201))
    assert value("settings/cifar/epochs") == 201


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.pop("text"), "sections must be"),
        (lambda d: d["tables"]["table1"]["rows"][2].pop("model"), r"table1/SWRN 28-10 lacks model"),
        (lambda d: d["tables"]["table1"]["rows"][0]["values"].pop("cifar10"), "must have values"),
        (lambda d: d["tables"]["table1"]["rows"][0]["values"].update(cifar10="4"), "finite number"),
        (lambda d: d["tables"]["table1"]["rows"][0]["values"].update(cifar10=math.nan), "finite"),
        (lambda d: d["tables"]["table1"]["rows"][1].update(row="WRN 28-10"), "occurs twice"),
        (lambda d: d["tables"]["table1"].update(settings="mnist"), "unknown settings 'mnist'"),
        (lambda d: d["tables"]["table1"].pop("columns"), "no 'columns'"),
        (lambda d: d["settings"]["cifar"]["lr"].pop("unit"), "settings/cifar/lr lacks unit"),
        (lambda d: d["settings"]["cifar"].update(lr=0.1), "settings/cifar/lr must have value"),
        (lambda d: d["settings"]["cifar"]["lr"].update(confidence="sure"), "confidence 'sure'"),
        (lambda d: d["settings"]["cifar"]["lr"].update(page=6), "page"),
    ],
)
def test_a_damaged_file_is_named_with_the_damage(other_file, change, reason):
    other_file(change)
    with pytest.raises(ValueError, match=rf"paper\.json is damaged \(.*{reason}"):
        load()


def test_a_truncated_or_missing_file(other_file, tmp_path, monkeypatch):
    other_file(cut=2000)
    with pytest.raises(ValueError, match=r"paper\.json is damaged"):
        value("settings/cifar/epochs")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "nowhere" / "softshare")
    (tmp_path / "paper.json").unlink()
    with pytest.raises(FileNotFoundError, match="SOFTSHARE_DATA"):
        load()
