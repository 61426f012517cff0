"""Take the pictures of the dashboard and the report again: ``python docs/screenshots.py``.

It trains for a minute, and needs chromium: its path is looked for, or given by ``$CHROMIUM``.
"""

from __future__ import annotations

import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from tempfile import TemporaryDirectory

from playwright.sync_api import Page
from playwright.sync_api import sync_playwright


IMAGES = Path(__file__).parent / "img"

COMMAND = [sys.executable, "-c", "from optuna_gamma.cli import main; main()"]

TRAIN = ["--dataset", "digits", "--threads", "1", "--momentum", "0.1:0.9"]


def take(page: Page, name: str, clip: tuple[int, int, int, int]) -> None:
    """Write one picture of a page that has been drawn."""
    page.wait_for_timeout(3000)
    x, y, width, height = clip
    area = {"x": x, "y": y, "width": width, "height": height}
    page.screenshot(path=IMAGES / f"{name}.png", clip=area, full_page=True)  # type: ignore[arg-type]


def main() -> None:
    """Train, and visit what a reader of the documentation would."""
    browser_path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = str(Path(folder, "digits"))
        subprocess.run([*COMMAND, "train", *TRAIN, "--out", run, "--quiet"], check=True)
        subprocess.run([*COMMAND, "report", run], check=True)
        dashboard = subprocess.Popen(
            [*COMMAND, "dashboard", run, "--port", "0"], stderr=subprocess.PIPE, text=True
        )
        assert dashboard.stderr is not None
        address = re.findall(r"http://\S+/", dashboard.stderr.readline())[0]
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(f"{address}dashboard/studies/0")
        page.get_by_text("Process and acquisition").first.wait_for()
        take(page, "dashboard-figures", (60, 1215, 1130, 490))
        page.goto(f"{address}dashboard/studies/0/note")
        page.get_by_text("is promoted").first.wait_for()
        take(page, "dashboard-note", (0, 0, 1200, 760))
        number = re.findall(r"Trial (\d+) is promoted", page.inner_text("body"))[0]
        page.goto(f"{address}dashboard/studies/0/trials?numbers={number}")
        page.locator("img[alt='misclassified.png']").first.wait_for()
        page.set_viewport_size({"width": 1200, "height": 1130})
        take(page, "dashboard-trial", (0, 0, 1200, 1130))
        dashboard.terminate()
        page.goto(Path(run, "report.html").as_uri())
        take(page, "report", (0, 0, 1200, 1000))
        browser.close()


if __name__ == "__main__":
    main()
