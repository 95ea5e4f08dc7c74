"""``python -m bench run``: that it measures what is there, and says what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

from bench import compiled, results, summary, tables
from bench.measuring import Outcome, Stage, measure
from bench.peers.known import FLOOR, OURS, PEERS, Peer
from bench.places import Places
from bench.scenarios import SCENARIOS
from bench.servers import ROOT, Server

# What bench/requirements.txt names is no part of the tests' own extra: without it they skip,
# in CI as well.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(compiled.compiler() is None, reason="no C compiler: apt install gcc"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it needs two cores"),
]

ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

# For one client and messages of 32 bytes: it answers sixteen at once, by its habit.
A_SERVER = f"""
import socket, sys
from bench.script import text
habit = sys.argv[1]
message = {{"lies": b"x" * 32, "shortens": text(31)}}.get(habit, text(32))
listener = socket.create_server(("127.0.0.1", 0))
print(f"ws://127.0.0.1:{{listener.getsockname()[1]}}/", flush=True)
client, _ = listener.accept()
client.recv(65536)
client.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nSec-WebSocket-Accept: {ACCEPT}\\r\\n\\r\\n")
while client.recv(16 * (6 + 32), socket.MSG_WAITALL) and habit != "leaves":
    client.sendall((bytes([0x81, len(message)]) + message) * 16)
client.close()
listener.accept()
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("binaries")
    compiled.compile_all(folder)
    with Places(folder, 0) as places:
        yield Stage(folder, places, seconds=0.05, rounds=2, most=5)


def peer(name, *command):
    return Peer(name, name, {"echo": Server(name, (sys.executable, *command))})


@pytest.mark.parametrize("name", ["echo-32", "echo-64k", "echo-1m", "in-flight-16", "handshakes"])
def test_a_scenario_has_a_sample_of_each_round(stage, name):
    outcome = measure(SCENARIOS[name], [PEERS[FLOOR]], stage)
    assert not outcome.failed
    first, second = outcome.samples[FLOOR]
    for sample in (first, second):
        assert sample["rate"] > 0
        assert sample["cpu"] > 0
        assert 0 < sample["p50"] <= sample["p99"] <= sample["p999"] <= sample["worst"] * 1.02
        assert sample["resident"] > 0


def test_a_storm_ends_when_everybody_is_back(stage):
    outcome = measure(SCENARIOS["storm"], [PEERS[FLOOR]], stage)
    assert not outcome.failed
    assert [round(sample["rate"] > 0) for sample in outcome.samples[FLOOR]] == [1, 1]


def test_paced_clients_send_by_the_clock(stage):
    """Five messages a second, each at its fifth: what comes back sets no pace."""
    scenario = replace(SCENARIOS["paced"], longer=20, warmup=0.0)
    outcome = measure(scenario, [PEERS[FLOOR]], replace(stage, rounds=1))
    assert not outcome.failed
    (sample,) = outcome.samples[FLOOR]
    assert 3 <= sample["rate"] <= 6


def test_a_peer_that_is_not_installed_says_what_it_lacks(stage):
    absent = replace(PEERS[FLOOR], name="absent", needs=("no-such-distribution",))
    outcome = measure(SCENARIOS["echo-32"], [absent, PEERS[FLOOR]], stage)
    assert outcome.failed == {"absent": "It is not installed: no-such-distribution."}
    assert len(outcome.samples[FLOOR]) == 2


def test_a_server_that_does_not_start_does_not_end_the_run(stage):
    broken = peer("broken", "-c", "raise SystemExit('no licence')")
    outcome = measure(SCENARIOS["echo-32"], [broken, PEERS[FLOOR]], stage)
    assert "did not start" in outcome.failed["broken"]
    assert outcome.failed["broken"].endswith("no licence")
    assert list(outcome.samples) == [FLOOR]


def measure_one_that(habit, stage, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(A_SERVER)
    scenario = replace(SCENARIOS["in-flight-16"], clients=1)
    return measure(scenario, [peer("one", str(script), habit)], stage)


def test_sixteen_messages_are_under_way(stage, tmp_path):
    outcome = measure_one_that("waits", stage, tmp_path)
    assert not outcome.failed
    assert len(outcome.samples["one"]) == 2


@pytest.mark.parametrize(
    ("habit", "reason"),
    [
        ("lies", "echoes are wrong"),
        ("shortens", "echoes are wrong"),
        ("leaves", "Clients were cut off: 1"),
    ],
)
def test_a_server_that_errs_has_a_reason_and_no_figures(stage, tmp_path, habit, reason):
    outcome = measure_one_that(habit, stage, tmp_path)
    assert reason in outcome.failed["one"]
    assert not outcome.samples


def test_a_peer_for_few_clients_is_spared_many(stage):
    timid = replace(PEERS[FLOOR], name="timid", most=2)
    outcome = measure(SCENARIOS["echo-32"], [timid], stage)
    assert "up to 2 clients" in outcome.failed["timid"]


def test_ratios_are_those_of_the_same_round():
    ours = [{"rate": 10.0, "cpu": 1.0}, {"rate": 20.0, "cpu": 2.0}, {"rate": 40.0, "cpu": 4.0}]
    own = [{"rate": 5.0, "cpu": 3.0}, {"rate": 10.0, "cpu": 6.0}, {"rate": 10.0, "cpu": 8.0}]
    figures = summary.summarize(own, ours)
    assert figures["rate"] == summary.Figure(median=10.0, low=5.0, high=10.0)
    assert figures["to_ours_rate"] == summary.Figure(median=0.5, low=0.25, high=0.5)
    assert figures["to_ours_cpu"] == summary.Figure(median=3.0, low=2.0, high=3.0)


def some_figures(stage, name="echo-32"):
    samples = [
        {"rate": 1e4, "cpu": 1e-5, "p50": 1e-3, "resident": 2**24,
         "load_core": 0.99, "server_core": 1.0}
    ]  # fmt: skip
    outcome = Outcome({OURS: samples, "picows": samples}, {"aiohttp": "It is not installed."})
    return {name: results.record(SCENARIOS[name], outcome, stage)}


def test_a_row_whose_load_generator_was_busy_is_marked(stage):
    text = tables.table(some_figures(stage)["echo-32"])
    assert f"{tables.BUSY} {tables.NOTES[tables.BUSY]}" in text
    assert "aiohttp on uvloop: It is not installed." in text


def test_a_folder_keeps_what_another_run_measured(stage, tmp_path):
    results.keep(some_figures(stage, "echo-32"), tmp_path)
    results.keep(some_figures(stage, "user"), tmp_path)
    found = results.load(tmp_path)["scenarios"]
    assert list(found) == ["echo-32", "user"]
    row = found["user"]["rows"][0]
    assert row["peer"] == OURS
    assert row["figures"]["to_ours_cpu"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    for scenario in found.values():
        assert scenario["title"] in (tmp_path / "results.rst").read_text()


def test_the_tables_are_restructuredtext(stage, tmp_path):
    core = pytest.importorskip("docutils.core")
    results.keep(some_figures(stage), tmp_path)
    text = (tmp_path / "results.rst").read_text()
    html = core.publish_string(text, writer="html5", settings_overrides={"halt_level": 2})
    assert html.count(b"<table") == 1


def test_charts_are_drawn_of_what_there_are_figures_for(stage, tmp_path):
    pytest.importorskip("matplotlib")
    files = results.keep(some_figures(stage), tmp_path)
    assert {file.name for file in files} > {"cpu.png", "cpu.svg", "throughput.png"}
    assert not (tmp_path / "memory.png").exists()
    assert b"django-websocket-ev" in (tmp_path / "cpu.svg").read_bytes()


def test_every_scenario_has_peers_to_compare_with():
    for scenario in SCENARIOS.values():
        wanted = set(scenario.applications)
        assert sum(bool(wanted & set(known.servers)) for known in PEERS.values()) > 2


@pytest.mark.skipif(
    not (find_spec("uvloop") and find_spec("websockets")),
    reason="no peer is installed: pip install -r bench/requirements.txt",
)
@pytest.mark.slow
def test_the_command_measures_ours_beside_a_peer(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "run", "--scenario", "echo-32"),
            *("--peer", "ours", "websockets", "--clients", "2", "--rounds", "2"),
            *("--seconds", "0.3", "--json", tmp_path / "all.json", "--into", tmp_path / "kept"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "django-websocket-ev" in done.stdout
    found = json.loads((tmp_path / "all.json").read_text())
    assert {name: len(own) for name, own in found["samples"]["echo-32"].items()} == {
        "ours": 2,
        "websockets": 2,
    }
    kept = results.load(tmp_path / "kept")["scenarios"]["echo-32"]
    assert not kept["failed"]
    assert kept["machine"]["websockets"] != "not installed"
    assert [row["peer"] for row in kept["rows"]] == ["ours", "websockets"]
