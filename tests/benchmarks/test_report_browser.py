"""The report in a real browser: it is clicked through at two widths. Skipped where there is no Chromium."""

import json
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("jinja2")
pytest.importorskip("plotly")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
WIDTHS = (1280, 400)
PPO, TINY = "ppo (net)", "<b>tiny</b> lm (lm)"
NOTHING = "\N{EN DASH}"

pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None,
    reason="no chromium and chromedriver on the PATH (Debian: apt-get install chromium chromium-driver)",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    examples = runpy.run_path(str(Path(__file__).with_name("test_report.py")))
    examples["write_example"](path)
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(params=WIDTHS)
def page(
    request: pytest.FixtureRequest, chromium: webdriver.Chrome, address: str
) -> Iterator[webdriver.Chrome]:
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chromium.get_log("performance")
    chromium.get(address)
    yield chromium
    assert [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert chromium.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert chromium.execute_script("return window.attacked === undefined")


def texts(page: webdriver.Chrome, selector: str) -> list[str]:
    return [node.get_attribute("textContent") or "" for node in page.find_elements(By.CSS_SELECTOR, selector)]


def agents(page: webdriver.Chrome) -> list[str]:
    return texts(page, "#board-table tbody .name")


def choose(page: webdriver.Chrome, picker: str, value: str) -> None:
    Select(page.find_element(By.ID, picker)).select_by_value(value)


def click(page: webdriver.Chrome, selector: str) -> None:
    node = page.find_element(By.CSS_SELECTOR, selector)
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", node)
    node.click()


def test_board_ranks_sorts_and_explains(page: webdriver.Chrome) -> None:
    assert agents(page) == [PPO, "scripted", TINY, "oracle"]
    assert texts(page, "#board-table tbody td.rank") == ["1=", "1=", "3", NOTHING]
    assert texts(page, "#board-table tr.reference .badge") == ["reference"]
    click(page, "[data-key=violation_rate]")
    assert agents(page) == ["oracle", "scripted", PPO, TINY]
    assert page.find_element(By.CSS_SELECTOR, ".col-violation_rate").get_attribute("aria-sort") == "ascending"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert agents(page) == [TINY, PPO, "scripted", "oracle"]
    assert "lower is better" in page.find_element(By.ID, "tip").text.lower()
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.find_element(By.ID, "tip").is_displayed()
    choose(page, "board-metric", "tse")
    assert agents(page) == [PPO, "scripted", TINY, "oracle"]
    assert texts(page, "#board-table tbody td.rank") == ["1=", "1=", NOTHING, NOTHING]
    choose(page, "board-scope", "net")
    assert agents(page) == [PPO, "oracle"]


def test_learning_curves_and_runs(page: webdriver.Chrome) -> None:
    WebDriverWait(page, 10).until(lambda p: texts(p, "#curves svg.main-svg"))
    drawn = "return document.getElementById('curves').data.map((trace) => [trace.name, trace.y.length])"
    band, line, *_ = page.execute_script(drawn)
    assert band[1] == 6 and line == [PPO, 3]
    assert texts(page, "#runs-table tbody tr:first-child th, #runs-table tbody tr:first-child td") == [
        PPO, "0", "1,000", "2.5", "400", NOTHING, "0.310"
    ]  # fmt: skip
    choose(page, "curve-backbone", "lm")
    assert page.execute_script(drawn)[1][0].startswith("&lt;script&gt;")
    choose(page, "curve-backbone", "net")
    choose(page, "curve-metric", "reward")
    assert page.execute_script(drawn)[1] == [PPO, 3]


def test_plots_are_drawn_and_follow_their_metric(page: webdriver.Chrome) -> None:
    for name in ("forest", "matrix", "pareto"):
        WebDriverWait(page, 10).until(lambda p, name=name: texts(p, f"#{name} svg.main-svg"))
    drawn = (
        "return [document.getElementById('forest').data.length, document.getElementById('matrix').data[0].z]"
    )
    rows, grid = page.execute_script(drawn)
    assert rows == 4 and grid[0][0] is None and grid[0][1] > 0 > grid[1][0]
    assert any("<b>tiny</b>" in text for text in texts(page, "#forest .ytick text, #forest .ytick tspan"))
    for name in ("forest", "matrix"):
        choose(page, f"{name}-metric", "violation_rate")
        assert "Lower is better" in page.find_element(By.ID, f"{name}-note").text
    assert len(page.execute_script("return document.getElementById('forest').data")) == 4
    choose(page, "pareto-x", "tse")
    assert page.execute_script("return document.getElementById('pareto').data[1].x.length") == 3


def test_dialogues_filter_open_and_show_what_is_hidden(page: webdriver.Chrome) -> None:
    assert len(texts(page, "#dialogue-list button")) == 12
    assert any("<script>window.attacked" in text for text in texts(page, "#dialogue .text"))
    assert any("</script>" in text for text in texts(page, "#dialogue .thought"))
    choose(page, "dialogue-ended", "user_hung_up")
    assert set(texts(page, "#dialogue-list .badge:first-child")) == {"user hung up"}
    click(page, "#dialogue-list li:last-child button")
    current = page.find_elements(By.CSS_SELECTOR, "#dialogue-list [aria-current=true]")
    assert len(current) == 1 and texts(page, "#dialogue h3")[0] in (
        current[0].get_attribute("textContent") or ""
    )
    assert "✓ identity" in texts(page, "#dialogue .chip.done")
    assert not texts(page, ".hidden-state") and not texts(page, "#goal")
    click(page, "#toggle-hidden")
    assert len(texts(page, ".hidden-state")) == 2 and "trust" in texts(page, ".hidden-state dt")
    click(page, "#toggle-goal")
    assert "5000" in texts(page, "#goal dd")
    choose(page, "dialogue-ended", "")
    choose(page, "dialogue-violation", "pressure")
    assert "⚠ pressure" in texts(page, "#dialogue .turn.broken .badge")
    choose(page, "dialogue-scenario", "customer_service")
    choose(page, "dialogue-result", "converted")
    shown = len(texts(page, "#dialogue-list button"))
    assert page.find_element(By.ID, "dialogue-note").text.startswith(f"{shown} of 12 dialogues shown")
    choose(page, "dialogue-agent", "2")
    assert len(texts(page, "#dialogue-list button")) == 12


def test_nothing_is_requested(page: webdriver.Chrome, address: str) -> None:

    sent: list[Any] = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [
        event["params"]["request"]["url"] for event in sent if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in urls if not url.startswith(("data:", "blob:"))] == [address]


def test_wide_content_scrolls_inside_its_box(page: webdriver.Chrome) -> None:
    boxes = page.execute_script(
        "return [...document.querySelectorAll('.scroll')].map(box => box.getBoundingClientRect().right)"
    )
    assert max(boxes) <= page.execute_script("return window.innerWidth")
