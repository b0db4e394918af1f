"""The real amine plant (cesar1: 67 signals every two minutes) through real mosquitto into carbond, with the broker restarted
and carbond killed −9 ten times on the way: afterwards every stored series equals the file value for value, hourly aggregates
equal an independent computation, and nothing is doubled (P12, decision 9, "durable before acknowledged"). In the same run the
simulated plant meters CO2; a batch is issued from it, and the offline verifier agrees to the kilogram."""
import csv
import datetime
import json
import math
import os
import random
import subprocess
import time

import pytest

from harness import CARBONCTL, SHARED_DATA, TOP, Broker, Daemon, scratch, wait_until
from story import Story

SEED = int(os.environ.get("CARBOND_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
KILLS, BROKER_RESTARTS, SECONDS = 10, 2, 30


HOUR = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
DAY = datetime.timedelta(days=1)


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def recording(folder):
    """(CSV, column map): the real plant, or, on a machine without the shared data, a recording made by the simulator."""
    real = SHARED_DATA / "cesar1/plant_2min.csv"
    if real.exists():
        return real, TOP / "tests/data/cesar1-columns.json"
    print("\nthe shared data is absent: running on a recording made by the simulator")
    made = folder / "recording.csv"
    with open(made, "w") as out:
        subprocess.run([str(CARBONCTL), "simulate", "--csv", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-13T00:00:00Z",
                        "--step", "60s", "--seed", "7"], stdout=out, check=True)
    return made, TOP / "tests/data/simulator-columns.json"


def load(path, columns):
    """tag -> [(time_us, value)]"""
    series = {}
    with open(path) as source:
        rows = csv.DictReader(source)
        time_column = rows.fieldnames[0]
        for row in rows:
            moment = datetime.datetime.fromisoformat(row[time_column].replace("Z", "")).replace(tzinfo=datetime.timezone.utc)
            time_us = int(moment.timestamp()) * 1_000_000
            for column in columns["columns"]:
                if row[column["column"]] != "":
                    series.setdefault(column["tag"], []).append((time_us, float(row[column["column"]])))
    return series


def stored(daemon, sensor, start, end):
    rows, cursor = [], ""
    while True:
        page = daemon.get(f"/v1/sensors/{sensor}/readings?from={start}&to={end}&agg=raw&limit=1000{cursor}")
        rows += page["items"]
        if not page.get("next_cursor"):
            return rows
        cursor = f"&cursor={page['next_cursor']}"


def epoch_us(text):
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)


@pytest.fixture(scope="module")
def replayed():
    rng = random.Random(SEED)
    print(f"\nseed {SEED} (CARBOND_SEED repeats it)")
    with scratch() as folder:
        path, map_path = recording(folder)
        columns = json.loads(map_path.read_text())
        series = load(path, columns)
        total = sum(len(points) for points in series.values())
        broker = Broker(folder / "broker")
        daemon = Daemon(folder / "carbond", broker).init().start()
        story = Story(daemon, folder).people().plant(broker, iso(HOUR - 3 * DAY), iso(HOUR - 2 * DAY))
        rows = max(len(points) for points in series.values())
        environment = {**os.environ, "CARBOND_URL": f"http://127.0.0.1:{daemon.port}", "CARBOND_API_KEY": daemon.key}
        replay = subprocess.Popen([str(CARBONCTL), "replay", str(path), "--map", str(map_path), "--org", "acme", "--unit", "cesar1",
                                   "--create", "--broker", f"127.0.0.1:{broker.port}", "--rows-per-second", str(rows // SECONDS)],
                                  env=environment, stdout=open(folder / "replay.log", "wb"), stderr=subprocess.STDOUT)
        # two further days of the simulated plant, at six times the rate, while everything is being hit
        meter = subprocess.Popen([str(CARBONCTL), "simulate", "--broker", f"127.0.0.1:{broker.port}", "--from", iso(HOUR - 2 * DAY),
                                  "--to", iso(HOUR), "--step", "10s"], stdout=open(folder / "meter.log", "wb"), stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: replay.poll() is not None or set(series) <= set(sensors_of(daemon, "cesar1")), "the sensors are created")
            disturb(rng, replay, broker, daemon)
            assert replay.wait(180) == 0, (folder / "replay.log").read_text()[-3000:]
            assert meter.wait(180) == 0, (folder / "meter.log").read_text()[-3000:]
            sensors = sensors_of(daemon, "cesar1")
            first = min(points[0][0] for points in series.values())
            last = max(points[-1][0] for points in series.values())
            wait_until(lambda: all_arrived(daemon, sensors, series), "every reading is stored", 60)
            daemon.story = story
            yield daemon, series, sensors, first, last, total
            assert daemon.stop() == 0, daemon.process.text()[-3000:]
        finally:
            for process in (replay, meter):
                if process.poll() is None:
                    process.kill()
            if daemon.process.alive():
                daemon.stop()
            broker.stop()


def sensors_of(daemon, slug):
    """tag → id of the unit's sensors, as far as they are there."""
    units = [unit["id"] for unit in daemon.get("/v1/units")["items"] if unit["slug"] == slug]
    return {sensor["tag"]: sensor["id"] for unit in units for sensor in daemon.get(f"/v1/sensors?unit_id={unit}&limit=200")["items"]}


def disturb(rng, replay, broker, daemon):
    """Ten kills of carbond and two restarts of the broker, at random moments while the replay runs."""
    blows = ["carbond"] * KILLS + ["broker"] * BROKER_RESTARTS
    rng.shuffle(blows)
    moments = sorted(rng.uniform(1, SECONDS) for _ in blows)
    begin = time.monotonic()
    for blow, moment in zip(blows, moments):
        wait_until(lambda: replay.poll() is not None or time.monotonic() - begin >= moment, "the moment has come", 2 * SECONDS)
        assert replay.poll() in (None, 0)
        if blow == "broker":
            broker.restart()
        else:
            daemon.stop(how=9)
            daemon.start()


def all_arrived(daemon, sensors, series):
    for tag, points in series.items():
        status, latest, _ = daemon.request("GET", f"/v1/sensors/{sensors[tag]}/latest")
        if status != 200 or epoch_us(latest["time"]) < points[-1][0]:
            return False
    return True


def test_every_series_equals_the_file(replayed):
    daemon, series, sensors, first, last, total = replayed
    assert set(series) == set(sensors)
    count = 0
    for tag, points in series.items():
        rows = stored(daemon, sensors[tag], first, last + 1)
        assert [(epoch_us(row["time"]), row["value"]) for row in rows] == points, tag
        count += len(rows)
    assert count == total
    print(f"{count} readings of {len(series)} signals equal the file, after {KILLS} kills and {BROKER_RESTARTS} broker restarts")


def test_hourly_aggregates_equal_an_independent_computation(replayed):
    daemon, series, sensors, first, last, _ = replayed
    hour = 3_600_000_000
    start, end = first - first % hour, last - last % hour + hour
    for tag in sorted(series)[::6]:
        hours = {}
        for time_us, value in series[tag]:
            hours.setdefault(time_us - time_us % hour, []).append(value)
        expected = {"mean": lambda v: math.fsum(v) / len(v), "min": min, "max": max, "first": lambda v: v[0], "last": lambda v: v[-1],
                    "sum": math.fsum, "count": len}
        for aggregate, compute in expected.items():
            rows = daemon.get(f"/v1/sensors/{sensors[tag]}/readings?from={start}&to={end}&step=1h&agg={aggregate}&limit=1000")["items"]
            got = {epoch_us(row["time"]): row["value"] for row in rows if row["count"]}
            assert got.keys() == hours.keys(), (tag, aggregate)
            for moment, values in hours.items():
                assert got[moment] == pytest.approx(compute(values), rel=1e-12, abs=1e-12), (tag, aggregate, moment)


def test_nothing_is_quarantined_or_doubled(replayed):
    daemon, series, sensors, first, last, total = replayed
    assert daemon.get("/v1/quarantine?limit=10")["items"] == []
    counted = 0
    for sensor in sensors.values():
        rows = daemon.get(f"/v1/sensors/{sensor}/readings?from={first}&to={last + 1}&step=31d&agg=count&limit=10")["items"]
        counted += sum(row["count"] for row in rows)
    assert counted == total


def test_batch_of_the_simulated_plant_agrees_to_the_kilogram(replayed):
    story = replayed[0].story.project()
    sensor = next(sensor["id"] for sensor in story.daemon.get(f"/v1/sensors?unit_id={story.unit}&limit=100")["items"] if sensor["tag"] == "FT-101")
    points = story.daemon.get(f"/v1/sensors/{sensor}/readings?from={iso(HOUR - 3 * DAY)}&to={iso(HOUR)}&step=3d&agg=count")["items"]
    assert sum(point["count"] for point in points) == 24 * 60 + 2 * 24 * 360
    submission = story.submit(story.period(iso(HOUR - 3 * DAY), iso(HOUR - datetime.timedelta(hours=1))))[0]
    story.issue(submission["id"])
    run = subprocess.run([str(CARBONCTL), "verify", str(story.pack(submission["id"])), "--trust", str(story.folder / "keys.json")], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert f"{submission['kg']} kg removal" in run.stdout
    print(run.stdout)
