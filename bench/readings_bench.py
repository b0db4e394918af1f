"""Readings over HTTP into a real daemon: how fast they are taken, how many bytes they are kept in, and how fast ranges of them
are answered, beside VictoriaMetrics on the same readings, sent by the same client, in the same run, where CARBOND_VICTORIA
names its binary.

The signals: 200 sensors for six hours at 1 Hz, each a random walk (σ 0.05 a second) under noise (σ 0.2), two decimals, seeded;
the same again for 20 sensors as objects; a raw day at 1 Hz; a year every ten minutes; the columns of a CSV of plant data where
CARBOND_SHARED_DATA has one.
"""
import contextlib
import csv
import http.client
import json
import os
import pathlib
import random
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
from harness import BUILD, Daemon, Process, SHARED_DATA, free_port, scratch, wait_until  # noqa: E402
from say import say  # noqa: E402

SENSORS, HOURS, START_S = 200, 6, 1_790_000_000
DAY_S, YEAR_STEP_S = 86400, 600
POINTS = 100      # of a packed column
OBJECT_TAGS = 20  # of an object: a plant's instruments
OBJECTS = 100     # of a body
CONNECTIONS = 4
ROUNDS = 20       # of each query
DAY_TAG, YEAR_TAG = "day", "year"


def signal(seed, count):
    rng = random.Random(seed)
    level = 400.0 + seed % 1000
    values = []
    for _ in range(count):
        level += rng.gauss(0, 0.05)
        values.append(round(level + rng.gauss(0, 0.2), 2))
    return values


def tag(sensor):
    return f"s-{sensor:03}"


# ---- bodies ----

def bodies_write(path, bodies):
    with open(path, "wb") as out:
        for text, readings in bodies:
            data = text.encode()
            out.write(struct.pack("<II", len(data), readings) + data)
    return path


def packed(columns, start_s, step_s, points=POINTS):
    """Bodies of `points` values of each column, as carbond's packed columns."""
    length = len(next(iter(columns.values())))
    for at in range(0, length, points):
        items = [{"tag": name, "t0": (start_s + at * step_s) * 1_000_000, "dt": step_s * 1_000_000, "v": values[at:at + points]}
                 for name, values in columns.items()]
        yield json.dumps(items, separators=(",", ":")), sum(len(item["v"]) for item in items)


def objects(columns, start_s):
    names = list(columns)
    for at in range(0, len(columns[names[0]]), OBJECTS):
        items = [{"t": (start_s + second) * 1_000_000, "v": {name: columns[name][second] for name in names}}
                 for second in range(at, min(at + OBJECTS, len(columns[names[0]])))]
        yield json.dumps(items, separators=(",", ":")), len(items) * len(names)


def victoria_packed(columns, start_s):
    length = len(next(iter(columns.values())))
    for at in range(0, length, POINTS):
        stamps = [(start_s + second) * 1000 for second in range(at, min(at + POINTS, length))]
        yield "\n".join(json.dumps({"metric": {"__name__": "p", "sensor": name}, "timestamps": stamps, "values": values[at:at + POINTS]})
                        for name, values in columns.items()), len(stamps) * len(columns)


def victoria_lines(columns, start_s):
    names = list(columns)
    for at in range(0, len(columns[names[0]]), OBJECTS):
        lines = [f"l,sensor={name} value={columns[name][second]} {start_s + second}000000000"
                 for second in range(at, min(at + OBJECTS, len(columns[names[0]]))) for name in names]
        yield "\n".join(lines), len(lines)


# ---- one load ----

def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port, target, key, path, pid, connections=CONNECTIONS):
    """(readings, seconds, processor seconds of server and client together)"""
    before = cpu_seconds(pid)
    run = subprocess.run([BUILD / "bench/ingest_bench", str(port), target, key, str(connections), path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    readings, took, client = map(float, run.stdout.split())
    return int(readings), took, cpu_seconds(pid) - before + client


def rate_text(readings, took, cpu):
    return f"{readings / took:,.0f} readings/s over {readings:,} in {took:.2f} s; {cpu * 1e9 / readings:,.0f} ns of processor a reading, client included"


# ---- queries ----

class Client:
    """A keep-alive connection that reads answers whole and parses none."""

    def __init__(self, port, pid, key=None):
        self.pid = pid
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def get(self, path):
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:500])
        return body

    def median_ms(self, path):
        times, size, cpu = [], len(self.get(path)), cpu_seconds(self.pid)
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            self.get(path)
            times.append((time.perf_counter() - begin) * 1000)
        cpu = (cpu_seconds(self.pid) - cpu) * 1000 / ROUNDS
        return f"{statistics.median(times):.2f} ms (median of {ROUNDS}; best {min(times):.2f}; {cpu:.1f} ms of the server's processor; {size:,} bytes)"


# ---- carbond ----

class Plant:
    """One unit with its sensors in a running daemon."""

    def __init__(self, daemon):
        self.daemon, self.ids = daemon, {}
        self.unit = self.post("/v1/units", {"slug": "u", "code": "UU", "name": "u", "country": "IS", "nameplate_kg_per_hour": 10})
        self.point = self.post("/v1/metering-points", {"unit_id": self.unit, "code": "P", "name": "p", "role": "other"})

    def post(self, path, body):
        status, answer, _ = self.daemon.request("POST", path, body)
        assert status == 201, (path, answer)
        return answer["id"]

    def sensor(self, name, period_s=1):
        self.ids[name] = self.post("/v1/sensors", {
            "metering_point_id": self.point, "tag": name, "quantity": "other", "unit": "1", "sampling_period_us": period_s * 1_000_000,
            "range_low": -1e9, "range_high": 1e9, "oldest_us": 3 * 366 * DAY_S * 1_000_000})

    def load(self, path, connections=CONNECTIONS):
        return load(self.daemon.port, "/v1/readings?unit=u&items=quarantined", self.daemon.key, path, self.daemon.process.pid, connections)


def closed_bytes(data, ids):
    """Bytes by part of the closed hours of these sensors."""
    store = sqlite3.connect(f"file:{data}/readings.db?mode=ro", uri=True)
    marks = ",".join("?" * len(ids))
    keys = [bytes.fromhex(text.replace("-", "")) for text in ids]
    row = store.execute(f"""SELECT count(*), sum(count), sum(length(columns)), sum(length(summary)), sum(length(content_hash)),
        sum(length(sensor_id) + 8 + 1), sum(length(seen)) FROM buckets WHERE sensor_id IN ({marks})""", keys).fetchone()
    rollups = store.execute(f"SELECT sum(length(summaries) + length(sensor_id) + 9) FROM rollups WHERE sensor_id IN ({marks})", keys).fetchone()[0]
    store.close()
    return dict(zip(("hours", "readings", "columns", "summary", "hash", "key", "seen"), row)) | {"rollups": rollups}


def bytes_text(found):
    parts = ("columns", "summary", "hash", "key", "seen", "rollups")
    each = {part: found[part] / found["readings"] for part in parts}
    return f"{sum(each.values()):.4f} bytes a reading: " + ", ".join(f"{part} {each[part]:.4f}" for part in parts) + \
        f" ({found['readings']:,} readings in {found['hours']:,} hours)"


def log_bytes(data):
    store = sqlite3.connect(f"file:{data}/readings.db?mode=ro", uri=True)
    size, count = store.execute("SELECT sum(length(payload)), sum(count) FROM log_batches WHERE stream LIKE 'readings.%'").fetchone()
    store.close()
    return size / count


def plant_columns():
    """Thirty readings an hour of a real plant: {tag: values}, or nothing where the data is not at hand."""
    path = SHARED_DATA / "cesar1/plant_2min.csv"
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    return {f"c-{number:02}": [float(row[number]) for row in rows] for number in range(1, len(head))}


# ---- VictoriaMetrics ----

@contextlib.contextmanager
def victoria_server(folder):
    binary = os.environ.get("CARBOND_VICTORIA")
    if not binary:
        yield None, None
        return
    port = free_port()
    process = Process([binary, f"-storageDataPath={folder}/victoria", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y",
                       "-search.latencyOffset=0s", "-search.maxPointsPerTimeseries=100000"], folder / "victoria.log")
    try:
        def healthy():
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).read()
        wait_until(healthy, "VictoriaMetrics answers")
        yield port, process.pid
    finally:
        process.kill(15)


def victoria_bytes(client):
    client.get("/internal/force_flush")
    client.get("/internal/force_merge")

    def parts(name):
        return sum(float(line.split()[-1]) for line in client.get("/metrics").decode().splitlines()
                   if line.startswith(name + "{") and 'type="storage/' in line)
    time.sleep(8)  # its merge goes on behind the answer
    return parts("vm_data_size_bytes") / parts("vm_rows")


def absent(port):
    return port is None and "VictoriaMetrics is not here: CARBOND_VICTORIA names no binary"


# ---- the bench ----

def ingestion(plant, folder, columns, victoria, pid):
    few = {name: columns[name] for name in list(columns)[:OBJECT_TAGS]}
    named = {f"o-{number:02}": values for number, values in enumerate(few.values())}
    files = {"columns": bodies_write(folder / "packed", packed(columns, START_S, 1)), "objects": bodies_write(folder / "objects", objects(named, START_S))}
    peers = {"columns": ("/api/v1/import", victoria_packed(columns, START_S)), "objects": ("/write", victoria_lines(named, START_S))}
    targets = {"columns": 1_000_000, "objects": 200_000}
    shapes = {"columns": f"{SENSORS} packed columns of {POINTS}", "objects": f"{OBJECTS} objects of {OBJECT_TAGS} values"}
    for shape in ("columns", "objects"):
        say("what", f"POST /v1/readings, bodies of {shapes[shape]}, answered when durable")
        say("how", f"{CONNECTIONS} connections of one client on the same cores, one body in flight each")
        say("measured", rate_text(*plant.load(files[shape])))
        target, bodies = peers[shape]
        if victoria:
            path = bodies_write(folder / "victoria-bodies", bodies)
            say("beside", "VictoriaMetrics, not durable: " + rate_text(*load(victoria, target, "", path, pid)))
        else:
            say("beside", absent(victoria))
        say("target", f"{targets[shape]:,} readings/s on two cores, client included")


def stored(plant, folder, client):
    def is_closed():
        return plant.daemon.metric("carbond_sensing_open_buckets") == 0
    wait_until(is_closed, "every hour is closed", 600)
    signals = [plant.ids[tag(number)] for number in range(SENSORS)]
    say("what", "bytes a reading in closed hours: 1 Hz, two decimals, noisy")
    say("how", "lengths of the stored fields in readings.db")
    say("measured", bytes_text(closed_bytes(plant.daemon.data, signals)))
    say("beside", f"VictoriaMetrics: {victoria_bytes(client()):.4f} over all that it holds" if client else absent(None))
    say("target", "0.95 with columns, summary, hash and key")
    real = [plant.ids[name] for name in plant.ids if name.startswith("c-")]
    if real:
        say("what", "bytes a reading in closed hours: a real plant, 30 readings an hour")
        say("measured", bytes_text(closed_bytes(plant.daemon.data, real)))
        say("beside", "VictoriaMetrics: 3.77 over the whole range, times and values")
        say("target", "4.0 for the value columns")
    say("what", "bytes a reading in the readings log, which is pruned a day after its hours are closed")
    say("measured", f"{log_bytes(plant.daemon.data):.4f} bytes a reading, all loads together")


def queries(plant, client, victoria):
    end_s = START_S + HOURS * 3600
    span = f"start={START_S}&end={end_s}"
    us = lambda seconds: seconds * 1_000_000
    unit = f"/v1/readings?unit_id={plant.unit}&from={us(START_S)}&to={us(end_s)}&step=1m"
    many = ",".join(plant.ids[tag(number)] for number in range(SENSORS))
    one = lambda name: f"/v1/sensors/{plant.ids[name]}/readings?limit=100000"
    year_s = START_S // 3600 * 3600
    rows = [
        ("a year by the hour, means", f"{one(YEAR_TAG)}&from={us(year_s - 365 * DAY_S)}&to={us(year_s)}&step=1h", None, "5 ms"),
        ("a raw day at 1 Hz, CSV", f"{one(DAY_TAG)}&from={us(START_S - DAY_S)}&to={us(START_S)}&agg=raw&format=csv", None, "20 ms"),
        ("a raw day at 1 Hz, JSON", f"{one(DAY_TAG)}&from={us(START_S - DAY_S)}&to={us(START_S)}&agg=raw", None, "20 ms"),
        ("six hours of one sensor at 1 Hz, raw", f"{one(tag(3))}&from={us(START_S)}&to={us(end_s)}&agg=raw", f"/api/v1/export?match[]=p%7Bsensor=%22{tag(3)}%22%7D&{span}", "5 ms"),
        ("six hours of one sensor, hourly means", f"{one(tag(3))}&from={us(START_S)}&to={us(end_s)}&step=1h", f"/api/v1/query_range?nocache=1&step=3600&query=avg_over_time(p%7Bsensor=%22{tag(3)}%22%7D[1h])&{span}", "1 ms"),
        (f"minute means of each of {SENSORS} sensors over six hours", f"/v1/readings?sensors={many}&from={us(START_S)}&to={us(end_s)}&step=1m&limit=100000", f"/api/v1/query_range?nocache=1&step=60&query=avg_over_time(p[1m])&{span}", "20 ms"),
        (f"the mean over {SENSORS} sensors of their minute means over six hours", f"/v1/readings?sensors={many}&from={us(START_S)}&to={us(end_s)}&step=1m&across=mean&limit=100000", f"/api/v1/query_range?nocache=1&step=60&query=avg(avg_over_time(p[1m]))&{span}", "20 ms"),
    ]
    for name, path, peer, target in rows:
        say("what", f"range query: {name}")
        try:
            say("measured", Client(plant.daemon.port, plant.daemon.process.pid, plant.daemon.key).median_ms(path))
        except AssertionError as error:
            say("measured", str(error)[-400:])
        if peer:
            say("beside", f"VictoriaMetrics: {client().median_ms(peer)}" if client else absent(victoria))
        say("target", f"below {target}")


def main():
    with scratch() as folder, victoria_server(folder) as (victoria, pid):
        daemon = Daemon(folder, settings={"http.key_rate": 1000000, "http.key_burst": 1000000000, "log.level": "warn"}).init().start()
        try:
            operator = {"org_id": daemon.first["organisation_id"], "label": "operator", "roles": ["operator", "org-admin"]}
            daemon.key = daemon.request("POST", "/v1/keys", operator)[1]["key"]
            plant = Plant(daemon)
            columns = {tag(number): signal(1000 + number, HOURS * 3600) for number in range(SENSORS)}
            real = plant_columns()
            for name in [*columns, *(f"o-{number:02}" for number in range(OBJECT_TAGS)), DAY_TAG]:
                plant.sensor(name)
            plant.sensor(YEAR_TAG, YEAR_STEP_S)
            for name in real:
                plant.sensor(name, 120)
            ingestion(plant, folder, columns, victoria, pid)
            more = [({DAY_TAG: signal(1, DAY_S)}, START_S - DAY_S, 1), ({YEAR_TAG: signal(2, 365 * DAY_S // YEAR_STEP_S)}, START_S - 365 * DAY_S, YEAR_STEP_S)]
            if real:
                more.append((real, START_S // 3600 * 3600, 120))
            for number, (column, start_s, step_s) in enumerate(more):
                plant.load(bodies_write(folder / f"more-{number}", packed(column, start_s, step_s, 1000)), 1)
            client = (lambda: Client(victoria, pid)) if victoria else None  # made when it is asked: it closes idle connections
            stored(plant, folder, client)
            queries(plant, client, victoria)
        finally:
            daemon.stop()


if __name__ == "__main__":
    main()
