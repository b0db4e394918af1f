"""Readings and configuration over three daemons on one MongoDB and one broker (issue 6, item 4): what is changed on one is followed
by the others, revoked keys among it; readings spread; one daemon is killed and one stopped past its lease in mid-flow, and every
acknowledged reading is there once, on every daemon, also those in the dead member's session. Two daemons hold one rate by one
Redis."""
import csv
import datetime
import hashlib
import http.client
import json
import signal
import struct
import subprocess
import threading
import time

import pytest

from cluster import Cluster
from harness import CARBONCTL, Broker, scratch, wait_until
from story import Story
from test_ingest import plant, post, sensor, values
from test_redis import Redis

MESSAGES, SENSORS, EVERY = 400, 6, 0.02
NOW, HOUR = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0), datetime.timedelta(hours=1)


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def microseconds(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def running():
    with scratch() as folder:
        broker = Broker(folder / "broker")
        try:
            with Cluster(folder / "cluster", 3, {"ingest.flush_s": 5, "mqtt.share_group": "carbond"}, broker) as cluster:
                yield broker, cluster.nodes
        finally:
            broker.stop()


def test_hours_of_a_period_are_those_of_one_daemon(running, tmp_path):
    """A day of a plant, taken and built by three, closed for a period by their owners: the content hashes are those of the readings
    that were sent, computed here (P12)."""
    broker, (first, *others) = running
    leader = next(node for node in (first, *others) if node.metric("carbond_engine_leads") == 1)
    story = Story(leader, tmp_path).people().plant(broker, iso(NOW - 8 * HOUR), iso(NOW), daemons=(first, *others)).project()
    story.submit(story.period(iso(NOW - 7 * HOUR), iso(NOW - 2 * HOUR)))
    sent = subprocess.run([str(CARBONCTL), "simulate", "--csv", "--from", iso(NOW - 8 * HOUR), "--to", iso(NOW)], capture_output=True, text=True, check=True)
    head, *rows = csv.reader(sent.stdout.splitlines())
    compared = 0
    for row in leader.get(f"/v1/sensors?unit_id={story.unit}&limit=100", key=story.keys["operator"])["items"]:
        column = head.index(row["tag"])
        for hour in leader.get(f"/v1/sensors/{row['id']}/buckets?from={iso(NOW - 8 * HOUR)}&to={iso(NOW - 2 * HOUR)}", key=story.keys["operator"])["items"]:
            start = microseconds(hour["hour"])
            points = [(microseconds(line[0]), float(line[column])) for line in rows if start <= microseconds(line[0]) < start + 3_600_000_000]
            assert hour["content_hash"] == content_hash(row["id"], start, points), (row["tag"], hour)
            compared += 1
    assert compared == 20 * 6
    assert all(node.metric("carbond_sensing_closed_total") > 0 for node in (first, *others)), "each has closed hours of its own"


def content_hash(sensor, hour_us, points):
    content = b"".join(struct.pack("<Qd", at, value) + b"\0" for at, value in points)
    return hashlib.sha256(b"carbond/bucket/1\0" + bytes.fromhex(sensor.replace("-", "")) + struct.pack("<QQ", hour_us, len(points)) + content).hexdigest()


def status(node, path, key):
    return node.request("GET", path, key=key)[0]


@pytest.fixture(scope="module")
def sensors(running):
    """{tag: id}, made on the first daemon."""
    first = running[1][0]
    point, flow = plant(first)
    made = {"FT-101": flow} | {f"T-{i}": sensor(first, point, f"T-{i}") for i in range(1, SENSORS)}
    for node in running[1]:
        node.key = first.key
    return made


def test_readings_of_a_sensor_that_another_daemon_has_just_made_are_taken(running, sensors):
    _, (a, b, c) = running
    at = int(time.time()) * 1_000_000 - 3_000_000_000
    unit = next(unit["id"] for unit in a.get("/v1/units")["items"] if unit["slug"] == "plant-1")
    point = a.get(f"/v1/units/{unit}/graph")["points"][0]["id"]
    made = sensor(a, point, "NEW-1")
    answer = post(c, "/v1/readings?unit=plant-1", {"t": at, "v": {"NEW-1": 1}})
    assert (answer["accepted"], answer["quarantined"]) == (1, 0), answer
    for node in (a, b, c):
        path = f"/v1/sensors/{made}/readings?from={at}&to={at + 1}&agg=raw"
        wait_until(lambda: status(node, path, node.key) == 200, f"{node.name} knows the sensor")
        wait_until(lambda: values(node, made, at, at + 1) == [1], f"{node.name} has the reading")


def test_a_revoked_key_stops_on_every_daemon(running, sensors):
    _, nodes = running
    first, others = nodes[0], nodes[1:]
    org = first.get("/v1/units")["items"][0]["org_id"]
    made = post(others[0], "/v1/keys", {"org_id": org, "label": "short-lived", "roles": ["operator"]}, status=201)
    for node in nodes:
        wait_until(lambda: status(node, "/v1/units", made["key"]) == 200, f"{node.name} knows the new key")
    code, answer, _ = first.request("DELETE", f"/v1/keys/{made['id']}")
    revoked = time.monotonic()
    assert code in (200, 204), answer
    for node in nodes:
        wait_until(lambda: status(node, "/v1/units", made["key"]) == 401, f"{node.name} refuses the revoked key")
    print(f"\nrevoked everywhere after {time.monotonic() - revoked:.2f} s")


class Flow:
    """Messages published one by one with QoS 1, and batches posted to whoever takes them; what was acknowledged is remembered."""

    def __init__(self, broker, nodes, tags):
        self.nodes, self.tags, self.sent, self.pace = nodes, tags, 0, threading.Event()
        self.start = int(time.time()) // 3600 * 3_600_000_000 - 3_000_000_000
        self.publisher = subprocess.Popen(["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", "carbond/v1/acme/plant-1/readings", "-l"],
                                          stdin=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def item(self, number):
        return {"t": self.start + number * 1_000_000, "v": {tag: number + i / 10 for i, tag in enumerate(self.tags)}}

    def run(self):
        for number in range(MESSAGES):
            if number % 8 == 7:
                self.post(number)
            else:
                self.publisher.stdin.write(json.dumps(self.item(number)) + "\n")
                self.publisher.stdin.flush()
            self.sent = number + 1
            self.pace.wait(EVERY)
        self.publisher.stdin.close()

    def post(self, number):
        """To one daemon after the other until one has taken it: what was not answered may be there, and is sent again."""
        for node in self.nodes[number % 3:] + self.nodes * 20:
            try:
                code, answer, _ = node.request("POST", "/v1/readings?unit=plant-1", self.item(number), timeout=2)
            except (OSError, http.client.HTTPException):
                continue
            if code == 200:
                assert answer["quarantined"] == 0, answer
                return
        raise AssertionError("no daemon takes readings")

    def end(self):
        self.thread.join()
        assert self.publisher.wait(60) == 0 and self.sent == MESSAGES


def has_all(node, sensor, start, end, expected):
    found = []

    def look():
        found[:] = [row["value"] for row in node.get(f"/v1/sensors/{sensor}/readings?from={start}&to={end}&agg=raw&limit=1000")["items"]]
        return found == expected
    try:
        wait_until(look, "every reading is there", 10)
    except AssertionError:
        missing, doubled = sorted(set(expected) - set(found)), sorted(value for value in set(found) if found.count(value) > 1)
        raise AssertionError(f"{node.name}: {len(found)} of {len(expected)} readings; missing {missing[:20]}, doubled {doubled[:20]}") from None


def owned(node):
    return node.metric("carbond_sensing_partitions")


def test_every_reading_is_there_once_whoever_dies(running, sensors):
    broker, (a, b, c) = running
    wait_until(lambda: sorted(map(owned, (a, b, c))) == [5, 5, 6], "the daemons share the partitions")
    flow = Flow(broker, [a, b, c], list(sensors))
    try:
        wait_until(lambda: flow.sent >= MESSAGES // 8, "readings flow")
        c.stop(signal.SIGKILL)
        wait_until(lambda: flow.sent >= MESSAGES // 4, "readings flow on")
        b.process.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: owned(a) == 16, "one daemon builds all hours")
        b.process.process.send_signal(signal.SIGCONT)
        wait_until(lambda: (owned(a), owned(b)) == (8, 8), "the one that was stopped builds its share again")
    finally:
        flow.end()
    end = flow.start + MESSAGES * 1_000_000
    for node in (a, b):
        for i, (tag, id) in enumerate(sensors.items()):
            expected = [number + i / 10 for number in range(MESSAGES)]
            has_all(node, id, flow.start, end, expected)
    assert "mqtt_session_drained" in a.process.text() + b.process.text(), "the dead member's session was taken over"
    assert "partition_lost" in b.process.text(), "the one that was stopped has let go"
    c.start()
    wait_until(lambda: sorted(map(owned, (a, b, c))) == [5, 5, 6], "the dead one shares again")
    for i, id in enumerate(sensors.values()):
        has_all(c, id, flow.start, end, [number + i / 10 for number in range(MESSAGES)])
    assert a.get("/v1/quarantine")["items"] == []
    spread = {node.name: node.metric("carbond_ingest_readings_total") for node in (a, b)}
    print(f"\nreadings by node: {spread}")
    assert all(spread.values())


def test_two_daemons_hold_one_rate_by_one_redis():
    """What a key may do at once is one amount over both daemons, but for what each grants before the first settlement."""
    with scratch() as folder:
        redis = Redis(folder / "redis")
        try:
            with Cluster(folder / "cluster", 2, {**redis.settings(), "http.key_rate": 1, "http.key_burst": 80}) as cluster:
                nodes, first = cluster.nodes, cluster.nodes[0]
                org = first.get("/v1/organisations")["items"][0]["id"]
                keys = [post(first, "/v1/keys", {"org_id": org, "label": f"key {i}", "roles": ["operator"]}, status=201)["key"] for i in range(2)]
                for node in nodes:
                    wait_until(lambda: node.metric("carbond_cache_redis_connections") == 2, "Redis answers")
                    wait_until(lambda: [status(node, "/v1/units", key) for key in keys] == [200, 200], "the keys are known")
                alone = granted(nodes[:1], keys[0])
                both = granted(nodes, keys[1])
                print(f"\ngranted by one daemon {alone}, by two in turn {both}")
                assert 20 < alone and both < 1.5 * alone, "each daemon granted a burst of its own"
        finally:
            redis.process.kill(signal.SIGKILL)


def granted(nodes, key):
    """Requests that are answered until all daemons refuse."""
    count = 0
    for _ in range(300):
        answers = [status(node, "/v1/units", key) for node in nodes]
        count += answers.count(200)
        if set(answers) == {429}:
            return count
    raise AssertionError("no limit")
