"""Readings, commands and range queries of one carbond on SQLite and on MongoDB, beside what the same MongoDB server takes of the same
packed documents from libmongoc alone (store_bench), and beside a Node.js service with Express and the official driver that keeps a
document a reading (bench/peers/express). One server under all; which one it is, is said. Then the bytes each keeps a reading, and what a
year of 10,000 sensors at 1 Hz would be at that."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
os.environ.setdefault("CARBOND_TEST_STORE", "mongodb")  # the tests' patience with a server in between
from harness import BUILD, Daemon, Process, can_connect, free_port, mongo_server, scratch, wait_until  # noqa: E402
from readings_bench import CONNECTIONS, START_S, Client, Plant, bodies_write, cpu_seconds, packed, rate_text, signal, tag  # noqa: E402
from say import say  # noqa: E402
from story import uuid7  # noqa: E402
from test_main_job import issued_world  # noqa: E402

SENSORS, SECONDS = 100, 4 * 3600
RATES = {"http.key_rate": 1000000, "http.key_burst": 1000000000, "log.level": "warn"}
WIDE = 32  # bodies under way at once, and workers that wait with them
PEER_SECONDS = 200  # the peer's part of the same signals: its rate does not depend on how much of them it gets
RAW = ((4, 8, 16), (1, 2, 1))  # threads, rounds, documents in an insert: in bulk, and one after the other as a log is written
COMMAND_THREADS, COMMAND_S = 8, 5
YEAR = 365 * 86400 * 10_000
PYTHON, DEPS = TOP / ".deps/venv/bin/python", TOP / ".deps"


def stats(uri):
    """{collection: (documents, bytes of documents, bytes of indexes, bytes on disk)}"""
    script = "import json, sys, pymongo; d = pymongo.MongoClient(sys.argv[1]).get_default_database()\n" \
             "s = {c: d.command('collStats', c) for c in d.list_collection_names()}\n" \
             "print(json.dumps({c: [x['count'], x['size'], x['totalIndexSize'], x['storageSize']] for c, x in s.items()}))"
    return json.loads(subprocess.run([PYTHON, "-c", script, uri], capture_output=True, text=True, check=True).stdout)


def folder_bytes(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def readings(name, settings, folder, path, columns, connections=CONNECTIONS):
    """One daemon's rates and bytes: (readings, seconds)."""
    daemon = Daemon(folder / name, settings={**RATES, **settings})
    daemon.init().start()
    operator = {"org_id": daemon.first["organisation_id"], "label": "operator", "roles": ["operator", "org-admin"]}
    daemon.key = daemon.request("POST", "/v1/keys", operator)[1]["key"]
    plant = Plant(daemon)
    for sensor in columns:
        plant.sensor(sensor)
    taken, took, cpu = plant.load(path, connections)
    say("measured", f"{name}: {rate_text(taken, took, cpu)}")
    client = Client(daemon.port, daemon.process.pid, daemon.key)
    ids = plant.ids[tag(0)]
    span = f"from={START_S * 1_000_000}&to={(START_S + SECONDS) * 1_000_000}"
    say("measured", f"{name}: four hours of a sensor, means by the minute: {client.median_ms(f'/v1/sensors/{ids}/readings?{span}&step=1m&agg=mean')}")
    daemon.stop()  # what is open is flushed
    if name == "SQLite":
        say("measured", f"{name}: {folder_bytes(daemon.data) / taken:.2f} bytes a reading in all files, the log unpruned and the hours as open as they are")
    return taken, took


def install_peer():
    place = DEPS / "peer-express"
    place.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "server.mjs"):
        shutil.copy(TOP / "bench/peers/express" / file, place)
    if not (place / "node_modules/mongodb").exists():
        node = DEPS / "venv/bin/node"
        subprocess.run([node.with_name("npm"), "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(place)], check=True, cwd=place,
                       env={**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"})
    return place


@contextlib.contextmanager
def peer(folder, uri):
    port, key = free_port(), "peer-key"
    place = install_peer()
    process = Process([DEPS / "venv/bin/node", place / "server.mjs", port, uri, key, SENSORS, os.cpu_count()], folder / "peer.log")
    try:
        wait_until(lambda: can_connect(port), "the peer listens", 60)
        yield port, key, process
    finally:
        process.kill(15)


def commands(name, settings):
    """Durable transfers over REST from a few connections."""
    with issued_world({**RATES, **settings}) as world:
        daemon, done, stop = world.daemon, [0] * COMMAND_THREADS, time.monotonic() + COMMAND_S

        def send(number):
            client = Client(daemon.port, daemon.process.pid)
            while time.monotonic() < stop:
                taker, key = (("globex", "trader"), ("acme", "buyer"))[done[number] % 2]  # there, and back
                body = json.dumps({"to_org_id": world.orgs[taker], "batch": world.issued["number"], "kg": 1})
                client.connection.request("POST", "/v1/transfers", body, {"Authorization": f"Bearer {world.keys[key]}",
                                                                          "Content-Type": "application/json", "Idempotency-Key": uuid7()})
                answer = client.connection.getresponse()
                text = answer.read()
                if answer.status == 429:
                    time.sleep(0.05)
                    continue
                assert answer.status < 300, text
                done[number] += 1
        begin, cpu = time.monotonic(), cpu_seconds(daemon.process.pid)
        threads = [threading.Thread(target=send, args=(number,)) for number in range(COMMAND_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, count = time.monotonic() - begin, sum(done)
        cpu = cpu_seconds(daemon.process.pid) - cpu
        say("measured", f"{name}: {count / took:,.0f} transfers/s from {COMMAND_THREADS} connections; {cpu * 1e6 / count:,.0f} µs of carbond's processor each")


def main():
    say("how", f"one MongoDB server under all: {mongo_server().name}; load {os.getloadavg()[0]:.1f}")
    commands("SQLite", {"store.uri": "sqlite:"})
    commands("MongoDB", {"store.uri": mongo_server().new_uri()})
    columns = {tag(number): signal(number, SECONDS) for number in range(SENSORS)}
    with scratch() as folder:
        path = bodies_write(folder / "packed", packed(columns, START_S, 1))
        say("what", f"POST /v1/readings, {SENSORS} packed columns of 100 a body, answered when durable; {CONNECTIONS} connections")
        readings("SQLite", {"store.uri": "sqlite:"}, folder, path, columns)
        uri = mongo_server().new_uri()
        taken, took = readings("MongoDB", {"store.uri": uri}, folder, path, columns)
        found = stats(uri)
        wide = readings(f"MongoDB, {WIDE} connections and http.workers", {"store.uri": mongo_server().new_uri(), "http.workers": WIDE}, folder, path, columns, WIDE)
        say("measured", f"as many workers as bodies: {wide[0] / wide[1] * took / taken:.2f} times as many readings/s, since an append takes all that waits, "
            "up to 50,000 readings, and each body waits in a worker")
        for threads, rounds, bulk in RAW:
            run = subprocess.run([BUILD / "bench/store_bench", uri, str(threads), str(rounds), str(bulk)], capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            documents, size, raw_took, _ = map(float, run.stdout.split())
            raw = taken * rounds / raw_took
            say("beside", f"libmongoc alone, the same {documents / rounds:,.0f} documents of {size / documents:,.0f} bytes, {bulk} in an insert, {threads} at once: "
                f"{size / raw_took / 1e6:.1f} MB/s, as many as {raw:,.0f} readings/s; carbond has {100 * taken / took / raw:.1f} % of it")
        small = {name: values[:PEER_SECONDS] for name, values in columns.items()}
        peer_path = bodies_write(folder / "peer-packed", packed(small, START_S, 1))
        peer_uri = mongo_server().new_uri()
        with peer(folder, peer_uri) as (port, key, process):
            run = subprocess.run([BUILD / "bench/ingest_bench", str(port), "/v1/readings", key, str(CONNECTIONS), peer_path], capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            count, peer_took, _ = map(float, run.stdout.split())
            say("beside", f"Express and mongodb, a document a reading: {count / peer_took:,.0f} readings/s over {count:,.0f} in {peer_took:.1f} s; "
                f"carbond has {taken / took / (count / peer_took):.0f} times as many")
            asked = Client(port, process.pid, key)
            span = f"from={START_S * 1000}&to={(START_S + PEER_SECONDS) * 1000}"
            say("beside", f"Express, 200 seconds of a sensor, means by the minute: {asked.median_ms(f'/v1/readings?sensor={tag(0)}&{span}&step=60000')}")
        kept = stats(peer_uri)["peer_readings"]
        say("beside", f"Express: {kept[1] / kept[0]:.1f} bytes of documents and {kept[2] / kept[0]:.1f} of indexes a reading")
        parts = sorted(((name, numbers) for name, numbers in found.items() if numbers[1] > taken / 1000), key=lambda part: -part[1][1])
        say("measured", "MongoDB, bytes of documents + indexes a reading: " + ", ".join(
            f"{name} {numbers[1] / taken:.3f} + {numbers[2] / taken:.3f}" for name, numbers in parts))
        buckets = found["buckets"] if found["buckets"][0] else found["open_buckets"]  # as large when it closes
        each = (buckets[1] + buckets[2]) / taken
        say("limits", f"a year of 10,000 sensors at 1 Hz is {YEAR:.2e} readings in 8.76e7 buckets: {each * YEAR / 1e9:,.0f} GB of hours at {each:.3f} bytes a reading with "
            "their index, before the server's own compression and on each member; 10,000 buckets an hour are 2.8 a second")
    say("target", "≥ 80 % of the raw bulk insert; ≥ 10 times the Express service")


if __name__ == "__main__":
    main()
