"""What the live view costs the page: frames per second, memory, time to the first frame.

It runs in a real JupyterLab and Chromium. The extreme cases call the recorder directly, without a
network: 200 epochs per second with 50 metrics and their validation, and a million batches. On a
busy machine compare the frames with those of the same page while nothing is trained, and the time
to the first frame with that of a cell that displays a line of HTML; medians are printed.

    python -m benchmarks.live_page [--seconds 10] [--batches 1000000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import math
import statistics
from itertools import pairwise
from typing import Any

from playwright.sync_api import CDPSession, sync_playwright

from tests.browser.lab import Lab
from tests.browser.notebook import NotebookPage
from tests.browser.page import launch

SETUP = """
%load_ext kmagic
import math, os, time
import numpy as np, psutil
import kmagic
from IPython.display import HTML, display
from kmagic.display.training.run_displays import displays_for
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import TrainingRun

NAMES = ["loss", *(f"metric_{k}" for k in range(49))]

def logs(x, validation=False):
    values = {name: math.exp(-x / 900) + 0.01 * math.sin(7 * x + k) for k, name in enumerate(NAMES)}
    if validation:
        values |= {f"val_{name}": 1.1 * value + 0.02 for name, value in values.items()}
    return values

def train_epochs(rate, seconds):
    "A run of short epochs; returns the rate that was reached."
    run = TrainingRun("many", epochs=rate * seconds, steps=1, samples=64, validation_samples=8)
    recorder = Recorder(run, displays_for("widget"))
    recorder.begin(1)
    start = time.perf_counter()
    for epoch in range(1, run.epochs + 1):
        recorder.begin_epoch(epoch, 0.001)
        recorder.end_batches(1, logs(epoch))
        recorder.begin_validation()
        recorder.end_validation()
        recorder.end_epoch(logs(epoch, validation=True))
        time.sleep(max(0, start + epoch / rate - time.perf_counter()))
    recorder.end("done")
    return round(epoch / (time.perf_counter() - start), 1)

def train_batches(batches, epochs):
    "A run of many batches; returns the kernel's memory in MB at each tenth."
    steps = batches // epochs
    run = TrainingRun("long", epochs=epochs, steps=steps, samples=64 * steps, validation_samples=0)
    recorder = Recorder(run, displays_for("widget"))
    recorder.begin(steps)
    memory, done = [], 0
    for epoch in range(1, epochs + 1):
        recorder.begin_epoch(epoch, 0.001)
        for batch in range(1, steps + 1):
            share = done / batches
            recorder.end_batches(batch, {"loss": math.exp(-share), "accuracy": share})
            done += 1
            if done * 10 % batches == 0:
                memory.append(round(psutil.Process().memory_info().rss / 1e6, 1))
        recorder.end_epoch(dict(run.now.logs))
    recorder.end("done")
    return memory

x = np.random.default_rng(0).normal(size=(6400, 8)).astype("float32")
y = (x.sum(axis=1) > 0).astype(int)
net = kmagic.build("input 8 / dense 16 relu / dense 1 sigmoid\\n"
                   "compile adam loss=binary_crossentropy metrics=accuracy")
"""

START_FRAMES = """(() => {
  const frames = (window.benchmarkFrames = []);
  const step = (time) => {
    frames.push(time);
    if (frames === window.benchmarkFrames) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})()"""
STOP_FRAMES = "[window.benchmarkFrames, (window.benchmarkFrames = null)][0]"
RUN_AND_TIME = """(() => {
  const start = performance.now();
  window.benchmarkFirst = null;
  const observer = new MutationObserver(() => {
    if (!node(arg).querySelector('.jp-OutputArea-output :is(.benchmark, .km-live)')) return;
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      window.benchmarkFirst = performance.now() - start;
    }));
  });
  observer.observe(node(arg), { childList: true, subtree: true });
  harness.begin(`cell:${arg}`, app.commands.execute('notebook:run-cell'));
})()"""


class Benchmark:
    """One notebook, and the protocol by which its page's memory is read."""

    def __init__(self, notebook: NotebookPage, lab: Lab) -> None:
        lab.write("benchmark.ipynb", [SETUP])
        self.notebook = notebook
        notebook.open("benchmark.ipynb")
        notebook.run_cell(0, timeout=180)
        page = notebook.page
        self.protocol: CDPSession = page.context.new_cdp_session(page)

    def start(self, code: str) -> int:
        """Run a new cell without waiting for its end."""
        cell = self.notebook.append(code)
        self.notebook.show(cell)
        self.notebook.run_cell(cell, wait=False)
        return cell

    def value(self, cell: int) -> str:
        """The result of a cell, once it has ended."""
        outputs = self.notebook.wait_cell(cell, timeout=600)
        return next(
            output["data"]["text/plain"]
            for output in outputs
            if output["output_type"] == "execute_result"
        )

    def frames(self, seconds: float) -> dict[str, float]:
        """Frames per second, and the share of frames that came late."""
        self.notebook.js(START_FRAMES)
        self.notebook.page.wait_for_timeout(1000 * seconds)
        times: list[float] = self.notebook.js(STOP_FRAMES)
        gaps = [after - before for before, after in pairwise(times)]
        return {
            "frames per second": 1000 * len(gaps) / sum(gaps),
            "median ms": statistics.median(gaps),
            "99th percentile ms": statistics.quantiles(gaps, n=100)[98],
            "longest ms": max(gaps),
        }

    def page_memory(self) -> dict[str, float]:
        """Megabytes of JavaScript objects after garbage collection, and thousands of DOM nodes."""
        self.protocol.send("HeapProfiler.collectGarbage")
        heap: dict[str, Any] = self.protocol.send("Runtime.getHeapUsage")
        nodes: dict[str, Any] = self.protocol.send("Memory.getDOMCounters")
        return {"MB": heap["usedSize"] / 1e6, "nodes": nodes["nodes"]}

    def first_frame(self, code: str) -> float:
        """Milliseconds from the cell's start to the second frame with its output."""
        cell = self.notebook.append(code)
        self.notebook.show(cell)
        self.notebook.js("panel.content.activeCellIndex = arg", cell)
        self.notebook.js(RUN_AND_TIME, cell)
        self.notebook.wait_until("window.benchmarkFirst", timeout=60)
        self.notebook.wait_cell(cell, timeout=120)
        return float(self.notebook.js("window.benchmarkFirst"))


def print_row(name: str, values: dict[str, float]) -> None:
    """One line of figures."""
    figures = "   ".join(f"{key} {value:,.1f}" for key, value in values.items())
    print(f"  {name:26} {figures}", flush=True)


def measure_frames(benchmark: Benchmark, seconds: int) -> None:
    """Frames of an idle page and of one that shows 200 epochs per second."""
    print("frames", flush=True)
    print_row("idle page", benchmark.frames(seconds))
    cell = benchmark.start(f"train_epochs(200, {seconds + 4})")
    benchmark.notebook.page.wait_for_timeout(2000)
    print_row("200 epochs/s, 50 metrics", benchmark.frames(seconds))
    print(f"  the kernel recorded {benchmark.value(cell)} epochs/s")
    print_row("idle page", benchmark.frames(seconds))


def measure_memory(benchmark: Benchmark, batches: int) -> None:
    """Memory of kernel and page during a long run."""
    for epochs in (1, 1000):
        print(f"memory: {batches:,} batches in {epochs:,} epochs", flush=True)
        cell = benchmark.start(f"train_batches({batches}, {epochs})")
        progress = (
            "Number(node(arg).querySelector('[role=progressbar]')?.getAttribute('aria-valuenow'))"
        )
        benchmark.notebook.wait_until(f"{progress} >= 5", cell, timeout=600)
        for percent in (5, 25, 50, 75, 95):
            # Without a number, the run ended while the memory was read.
            benchmark.notebook.wait_until(f"!({progress} < {percent})", cell, timeout=600)
            reached = benchmark.notebook.js(progress, cell)
            name = "page at the end" if math.isnan(reached) else f"page at {reached:.0f} %"
            print_row(name, benchmark.page_memory())
        print(f"  kernel at each tenth, MB: {benchmark.value(cell)}", flush=True)


def measure_first_frame(benchmark: Benchmark, rounds: int) -> None:
    """Time to the first frame of the live view, and to that of a line of HTML."""
    print("first frame, ms from the cell's start", flush=True)
    cases = {
        "HTML": "display(HTML('<b class=benchmark>x</b>')); time.sleep(1)",
        "recorder": "train_epochs(20, 1)",
        "fit": "%keras_fit net x y -e 10 -b 32 --val 0.1",
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds + 1):
        for name, code in cases.items():
            times[name].append(benchmark.first_frame(code))
    for name, (first, *others) in times.items():
        print_row(name, {"first time": first, "median of later ones": statistics.median(others)})


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--batches", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["first", "frames", "memory"])
    options = parser.parse_args()
    with Lab() as lab, sync_playwright() as playwright, launch(playwright) as browser:
        benchmark = Benchmark(NotebookPage(lab, browser), lab)
        if options.only in (None, "first"):
            measure_first_frame(benchmark, options.rounds)
        if options.only in (None, "frames"):
            measure_frames(benchmark, options.seconds)
        if options.only in (None, "memory"):
            measure_memory(benchmark, options.batches)
        benchmark.notebook.close()


if __name__ == "__main__":
    main()
