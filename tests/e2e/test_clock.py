"""A wall clock that steps, smears and lies (decision 10): no crash,
nothing acknowledged is lost, nothing expires before the clock is confirmed; and a device whose clock is a year ahead."""
import json
import pathlib
import struct
import subprocess
import time

import pytest

from campaign import HOUR, SECOND, Checks, Load, World, iso, seed_from_environment
from harness import CARBONCTL, scratch, wait_until

DAY = 24 * HOUR
YEAR = 365 * DAY


class Clock:
    """What carbond takes for the wall's time (wall_clock.c); its monotonic clock is the kernel's."""

    def __init__(self, folder):
        library, self.path = folder / "wall_clock.so", folder / "wall_clock"
        subprocess.run(["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, pathlib.Path(__file__).with_name("wall_clock.c")], check=True)
        self.set()
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(self.path)}

    def set(self, off_us=0, gain_ppm=0):
        """Off by so much from now on, and gaining so many parts in a million."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("<qqq", off_us, time.time_ns() // 1000, gain_ppm))


@pytest.fixture
def world():
    with scratch() as folder:
        clock = Clock(folder)
        world = World(folder, seed_from_environment(), environment=clock.environment)
        world.clock, world.load, world.checks = clock, Load(world), Checks(world)
        try:
            yield world
            world.load.end()
            assert world.daemon.stop() == 0, world.daemon.process.text()[-3000:]
        finally:
            world.load.end()
            world.stop()


def halted(world):
    return world.daemon.metric("carbond_engine_clock_halted") == 1


def confirm(world):
    subprocess.run([str(CARBONCTL), "clock", "confirm", "--socket", str(world.daemon.data / "admin.sock")], check=True, capture_output=True)
    wait_until(lambda: not halted(world), "expiry goes on after the clock is confirmed")


def step(world, off_us, halts=True):
    """The clock steps under load, and what was promised is there."""
    world.load.resume()
    world.clock.set(off_us)
    if halts:
        wait_until(lambda: halted(world), f"a step to {off_us} us halts expiry")
    world.load.pause()
    world.checks.cheap()


def hold(world, until_us):
    command = world.settle(world.begin(f"/v1/accounts/{world.story.orgs['north']}/hold", {"reason": "a check", "until": iso(until_us)}, "compliance"))
    assert command.status in (200, 201), command


def held(world):
    return world.daemon.get(f"/v1/accounts/{world.story.orgs['north']}?at-least={world.position}", key=world.story.keys["auditor"])["held"]


def test_a_clock_that_steps_and_smears_loses_nothing_and_expires_nothing(world):
    """Decision 10; ids made by right clocks are taken all the time (decision 11)."""
    confirm(world)
    hold(world, (int(time.time()) + 3600) * SECOND)
    # a smear of a second and more, far steeper than any server's
    world.load.resume()
    world.clock.set(gain_ppm=20000)
    ticks = world.daemon.metric("carbond_engine_commands_total")
    wait_until(lambda: world.daemon.metric("carbond_engine_commands_total") > ticks + 100, "commands go on during the smear")
    world.clock.set()
    world.load.pause()
    assert not halted(world)
    # two hours ahead: the hold would be over, if it were true
    step(world, 2 * HOUR)
    assert held(world)
    status = json.loads(subprocess.run([str(CARBONCTL), "status", "--json", "--socket", str(world.daemon.data / "admin.sock")], capture_output=True, text=True).stdout)
    assert status["clock_halted"], status
    # back: what is right again is not believed by itself
    step(world, 0)
    assert held(world)
    confirm(world)
    # back by a day, and ahead by more than a year, without anybody who confirms it
    step(world, -DAY)
    step(world, 400 * DAY)
    step(world, 0, halts=False)
    assert held(world)
    confirm(world)
    assert held(world)
    # true at last
    step(world, 2 * HOUR)
    confirm(world)
    wait_until(lambda: not held(world), "the hold expires once the clock is confirmed")
    world.daemon.stop(how=9)
    world.clock.set()
    world.daemon.start(environment=world.clock.environment)  # two hours before what the journal has seen
    step(world, 0, halts=False)
    world.checks.journal()
    world.checks.readings(whole=True)


def test_a_device_a_year_ahead_is_quarantined_until_its_time_has_come(world):
    """Its readings are kept with the reason; today they cannot be re-driven, then they can; or they are given up."""
    daemon, series, operator = world.daemon, world.series["H-1"], world.story.keys["operator"]
    ahead = int(time.time()) * SECOND + YEAR
    status, answer, _ = daemon.request("POST", "/v1/readings?unit=lab", {"tag": "H-1", "t0": ahead, "dt": SECOND, "v": [1, 2]}, key=operator)
    assert status == 200 and answer["accepted"] == 0 and {item["reason"] for item in answer["items"]} == {"in_future"}, answer
    world.publish("lab", [json.dumps({"t": ahead + 2 * SECOND, "v": {"H-1": 3}})])
    rows = lambda: [row for row in world.rows("/v1/quarantine", key="operator") if row["reason"] == "in_future"]
    row = wait_until(lambda: len(rows()) >= 2 and rows(), "the quarantine holds them")[0]
    drive = lambda row, verb: daemon.request("POST", f"/v1/quarantine/{row['id']}/{verb}", key=operator)
    assert drive(row, "redrive")[0] == 422
    world.clock.set(366 * DAY)
    taken, given_up = rows()[0], rows()[1]
    assert drive(taken, "redrive")[0] == 200
    assert drive(given_up, "discard")[0] == 200
    found = lambda: world.rows(f"/v1/sensors/{series.sensor}/readings", agg="raw", **{"from": ahead - SECOND, "to": ahead + 10 * SECOND})
    wait_until(found, "the re-driven readings can be read")
    world.clock.set()
    assert {row["state"] for row in rows()} <= {"redriven", "discarded", "open"}
