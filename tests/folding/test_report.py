"""The report of a folding."""

from __future__ import annotations

import pytest

import softshare as ss


def test_the_report_says_what_was_measured(model):
    net, x = model("wrn")
    made = ss.fold(net, 0.999, inputs=x)
    report = made.report
    expected = (net.eval()(x) - made.eval()(x)).abs().max().item()
    assert report.gap == pytest.approx(expected, abs=1e-6)
    save = pytest.importorskip("safetensors.torch").save
    assert report.bytes_before == len(save(net.state_dict()))
    assert report.bytes_after == len(made.to_bytes()) < report.bytes_before
    text = str(report).splitlines()
    assert text[0] == "Folded at similarity 0.999: 18 of 18 layers tied into 6."
    assert f"{report.parameters_after:,}".replace(",", " ") in text[1]
    assert "stage2: 6 layers, 2 weights" in text
    assert "  3×(1 2): whole blocks, runs as a loop" in text
    assert "  stage2.1_to_3 runs 3×(stage2.1)" in text
    silent = ss.fold(net, 0.999, inputs=None).report
    assert silent.gap is silent.rounding is None and "not measured" in str(silent)


def test_reports_travel_as_text(folded):
    made, _ = folded("mixed")
    assert type(made.report).from_json(made.report.to_json()) == made.report
    for text in ("", "{}", "[]", '{"groups": [{}], "loops": []}'):
        with pytest.raises(ValueError, match="no report of a folding"):
            type(made.report).from_json(text)
