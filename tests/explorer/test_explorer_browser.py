"""The explorer in a browser without a network: what a reader sees is what Python computed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import softshare as ss
from softshare.explorer import Explorer
from softshare.explorer.page import PARTS

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="chromedriver is not installed"),
]

SWITCHES = (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
    *("hide-scrollbars", "host-resolver-rules=MAP * ~NOTFOUND"),
)
STRANGE = "{group} <b>&{number}"
LOOK = """
const [root, expected] = arguments, wrong = [];
for (const [part, html] of Object.entries(expected)) {
  const twin = document.createElement("div");
  twin.innerHTML = html;
  const shown = root.querySelector(`[data-part=${part}]`).innerHTML;
  if (shown.trim() !== twin.innerHTML.trim()) wrong.push([part, shown, twin.innerHTML]);
}
const range = root.querySelector("input[type=range]");
return {
  wrong, position: +range.value, read: range.getAttribute("aria-valuetext"),
  written: root.querySelector("output").textContent,
  live: root.querySelector("[aria-live=polite]").textContent,
  t: +getComputedStyle(root.querySelector(".panel")).getPropertyValue("--t"),
};
"""


@pytest.fixture(scope="module")
def explorers(soft_run: Callable[..., Any]) -> list[Explorer]:
    groups = {"stage1": (6, 4, 2), "stage2": (6, 4, 3), "stage3": (6, 4, 1)}
    net = ss.share(torch.nn.Sequential(*[torch.nn.Linear(4, 4) for _ in range(4)]), 2)
    return [Explorer(soft_run("swrn-28-1-4", groups, (0, 3), names=STRANGE)), Explorer(net)]


@pytest.fixture(scope="module")
def page(explorers: list[Explorer], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = explorers[0].save(tmp_path_factory.mktemp("page") / "page.html")
    first, end, rest = path.read_text(encoding="utf-8").partition("</body>")
    path.write_text(first + explorers[1].html() + end + rest, encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for switch in SWITCHES:
        options.add_argument(f"--{switch}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as browser:
        yield browser


@pytest.fixture
def shown(browser: Any, page: str) -> Iterator[list[Any]]:
    """The explorers of the page, freshly opened at 1000 x 900."""
    size(browser, 1000)
    browser.get(page)
    roots = browser.find_elements(By.CLASS_NAME, "softshare-explorer")
    WebDriverWait(browser, 30).until(lambda _: all(slider(root).is_displayed() for root in roots))
    yield roots
    assert not browser.get_log("browser")


def size(browser: Any, width: int, height: int = 900, touch: bool = False) -> None:
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def slider(root: Any) -> Any:
    return root.find_element(By.CSS_SELECTOR, "input[type=range]")


def choose(root: Any, of: str, number: int) -> None:
    Select(root.find_element(By.CSS_SELECTOR, f"[data-of={of}]")).select_by_index(number)


def check(browser: Any, root: Any, explorer: Explorer, state: tuple[int, int, int]) -> None:
    """The page shows a state: every piece, the number above the slider, and what is read out."""
    epoch, _, position = state
    moment = explorer.page.network.moments[epoch]
    seen = browser.execute_script(LOOK, root, explorer.page.frame(*state))
    name = moment.thresholds[position]
    assert f"threshold {name}:" in seen.pop("live")
    assert seen == {
        "wrong": [],
        "position": position,
        "read": name,
        "written": name,
        "t": moment.states[position].threshold,
    }


def test_every_state_by_keyboard(browser: Any, shown: list[Any], explorers: list[Explorer]) -> None:
    for root, explorer in zip(shown, explorers, strict=True):
        check(browser, root, explorer, explorer.opening)
        network = explorer.page.network
        for epoch in range(len(network.moments)):
            choose(root, "epoch", epoch)
            for stage in range(len(network.groups)):
                choose(root, "stage", stage)
                slider(root).send_keys(Keys.HOME)
                knob = slider(root)
                for position in range(len(network.moments[epoch].states)):
                    check(browser, root, explorer, (epoch, stage, position))
                    knob.send_keys(Keys.ARROW_RIGHT)
                knob.send_keys(Keys.ARROW_LEFT)
                check(browser, root, explorer, (epoch, stage, max(0, position - 1)))


def test_every_threshold_by_pointer_and_by_touch(
    browser: Any, shown: list[Any], explorers: list[Explorer]
) -> None:
    root, explorer = shown[0], explorers[0]
    epoch, stage, _ = explorer.opening
    last = len(explorer.page.network.moments[epoch].states) - 1
    place = slider(root)
    wide = place.size["width"] - 16  # the knob stays inside
    for position in [*range(last, -1, -2), *range(1, last + 1, 2)]:
        offset = round(wide * (position / last - 0.5))
        ActionChains(browser).move_to_element_with_offset(place, offset, 0).click().perform()
        check(browser, root, explorer, (epoch, stage, position))
    box = place.rect
    for position in (0, last, last // 2):
        x = box["x"] + 8 + wide * position / last
        tap = {"x": x, "y": box["y"] + box["height"] / 2, "gestureSourceType": "touch"}
        browser.execute_cdp_cmd("Input.synthesizeTapGesture", tap)
        check(browser, root, explorer, (epoch, stage, position))


def test_another_epoch_takes_the_nearest_threshold(
    browser: Any, shown: list[Any], explorers: list[Explorer]
) -> None:
    root, explorer = shown[0], explorers[0]
    network, (before, stage, position) = explorer.page.network, explorer.opening
    for epoch in (0, 1, 0):
        old = network.moments[before].states[position].threshold
        choose(root, "epoch", epoch)
        gaps = [abs(state.threshold - old) for state in network.moments[epoch].states]
        before, position = epoch, gaps.index(min(gaps))
        check(browser, root, explorer, (epoch, stage, position))


def test_explorers_on_one_page_mind_their_own(
    browser: Any, shown: list[Any], explorers: list[Explorer]
) -> None:
    slider(shown[0]).send_keys(Keys.END)
    check(browser, shown[1], explorers[1], explorers[1].opening)
    slider(shown[1]).send_keys(Keys.END)
    epoch, stage, _ = explorers[0].opening
    end = len(explorers[0].page.network.moments[epoch].states) - 1
    check(browser, shown[0], explorers[0], (epoch, stage, end))


def test_nothing_is_fetched_and_no_name_became_an_element(browser: Any, shown: list[Any]) -> None:
    count = "return performance.getEntriesByType('resource').length"
    assert browser.execute_script(count) == 0
    root = shown[0]
    assert root.find_elements(By.CSS_SELECTOR, "svg title")
    inside = "return arguments[0].querySelectorAll('svg b, svg title *').length"
    assert browser.execute_script(inside, root) == 0
    titles = "return arguments[0].querySelector('svg title').textContent"
    assert "<b>&0" in browser.execute_script(titles, root)


@pytest.mark.parametrize("missing", ["scripts", "DecompressionStream"])
def test_without_scripts_a_picture_and_a_table_stand(
    browser: Any, page: str, explorers: list[Explorer], missing: str
) -> None:
    none = {"value": missing == "scripts"}
    old = {"source": "" if missing == "scripts" else f"delete window.{missing}"}
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", old)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", none)
    try:
        browser.get(page)
        for root, explorer in zip(
            browser.find_elements(By.CLASS_NAME, "softshare-explorer"), explorers, strict=True
        ):
            assert root.get_attribute("data-ready") is None
            assert not slider(root).is_displayed()
            pictures = root.find_elements(By.TAG_NAME, "svg")
            assert len(pictures) == 4 and all(p.is_displayed() for p in pictures)
            check(browser, root, explorer, explorer.opening)
            rows = [r for r in root.find_elements(By.CSS_SELECTOR, "tbody tr") if r.is_displayed()]
            assert len(rows) == sum(len(m.states) for m in explorer.page.network.moments)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_it_fits_the_width(browser: Any, shown: list[Any], width: int) -> None:
    size(browser, width, touch=True)
    for details in browser.find_elements(By.TAG_NAME, "summary"):
        details.click()
    root = "return [document.documentElement.scrollWidth, innerWidth]"
    scroll, inner = browser.execute_script(root)
    assert scroll <= inner == width
    outside = """
    const wide = [...document.querySelectorAll(".softshare-explorer :not(.wide *)")];
    return wide.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).length"""
    assert browser.execute_script(outside) == 0
    assert slider(shown[0]).size["height"] >= 38, "room for a finger"
    narrow = """
    return [...document.querySelectorAll(".softshare-explorer figure")].map(
      (e) => e.getBoundingClientRect().width / e.closest(".panel").getBoundingClientRect().width)"""
    shares = browser.execute_script(narrow)
    assert min(shares) > (0.95 if width < 500 else 0.3), "pictures below each other on a phone"


CONTRAST = """
const lum = (c) => {
  const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map((v) => {
    v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => (Math.max(lum(a), lum(b)) + .05) / (Math.min(lum(a), lum(b)) + .05);
const root = arguments[0], canvas = arguments[1], look = (q, p) => {
  const found = root.querySelector(q); return found && getComputedStyle(found)[p]; };
const results = {};
const words = "header b,header span,figcaption,.counts,.live,dt,dd b,output".split(",");
for (const q of words)
  results[q] = ratio(look(q, "color"), canvas);
results.caption = ratio(look("svg .caption", "fill"), canvas);
for (let i = 0; i <= 10; i++) {
  const box = root.querySelector(`rect.b${i}`), text = root.querySelector(`text.o${i}`);
  if (!box || !text) continue;
  results[`box ${i}`] = ratio(getComputedStyle(box).fill, getComputedStyle(text).fill);
  results[`line ${i}`] = 1.5 * ratio(getComputedStyle(root.querySelector(`.l${i}`)).stroke, canvas);
}
return results;
"""


@pytest.mark.parametrize(
    ("prefers", "mark", "canvas"),
    [
        ("light", "", "rgb(255, 255, 255)"),
        ("dark", "", "rgb(18, 18, 18)"),
        ("light", "document.documentElement.dataset.theme = 'dark'", "rgb(20, 24, 30)"),
        ("dark", "document.documentElement.dataset.theme = 'light'", "rgb(255, 255, 255)"),
        ("light", "document.body.dataset.jpThemeLight = 'false'", "rgb(17, 17, 17)"),
        ("dark", "document.body.dataset.jpThemeLight = 'true'", "rgb(255, 255, 255)"),
    ],
)
def test_it_is_legible_in_light_and_dark(
    browser: Any, shown: list[Any], explorers: list[Explorer], prefers: str, mark: str, canvas: str
) -> None:
    feature = [{"name": "prefers-color-scheme", "value": prefers}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    try:
        if mark:  # the host decides, and paints its page
            dark = canvas != "rgb(255, 255, 255)"
            ink = "#ddd" if dark else "#222"
            browser.execute_script(f"{mark}; document.body.style.color = '{ink}'")
        slider(shown[0]).send_keys(Keys.HOME)
        seen: dict[str, float] = {}
        for _ in explorers[0].page.network.moments[-1].states:
            seen |= browser.execute_script(CONTRAST, shown[0], canvas)
            slider(shown[0]).send_keys(Keys.ARROW_RIGHT)
        assert {"box 0", "box 1", "box 2"} <= set(seen)
        assert {name: ratio for name, ratio in seen.items() if ratio < 4.5} == {}
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_each_control_has_a_name_for_those_who_do_not_see_it(
    browser: Any, shown: list[Any]
) -> None:
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored") and "role" in node
    ]
    assert [name for role, name in named if role == "slider"] == ["threshold"] * 2
    boxes = [name.strip() for role, name in named if role in ("combobox", "popupbutton")]
    assert boxes == ["group", "after epoch", "group", "moment"]  # of a run, and of a model
    pictures = [name for role, name in named if role in ("image", "img")]
    assert len(pictures) == 6 and all(pictures)


def test_the_parts_are_those_of_the_page(shown: list[Any]) -> None:
    found = shown[0].find_elements(By.CSS_SELECTOR, "[data-part]")
    assert sorted(p.get_attribute("data-part") for p in found) == sorted(PARTS)
