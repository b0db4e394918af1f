"""Faults of the broker (fifth issue; integrity.md: nothing acknowledged lost, nothing doubled): after each, every reading is
there once, /readyz, the metrics and one line of the log have said what was wrong, and carbond has recovered by itself. One
carbond lives through all of them, in front of a real mosquitto behind a proxy; only packets that no real broker sends come
from a peer of the test's own (mqtt_peers.py). `./dev campaign broker N` runs N rounds of seeded cuts."""
import json
import os
import random
import re
import subprocess
import time

import pytest

from harness import CARBOND, Broker, Daemon, scratch, wait_until
from mqtt_peers import MALFORMED, REFUSED, Proxy, answering, cut_after, cut_before_puback, deaf_to_subscribe, refusing_subscriptions, relay, silent, trickle
from test_ingest import plant, post

TOPIC = "carbond/v1/acme/plant-1/readings"
RETRY_LONGEST_MS = 400
ROUNDS = min(int(os.environ.get("CARBOND_CAMPAIGN", "8")), 1000)  # more would leave the sensor's range
SEED = int(os.environ.get("CARBOND_SEED", "5"))


class Feed:
    """Publishes readings of one sensor, a second and 0.1 kg/h apart, and knows what must be there."""

    def __init__(self, broker, user=None):
        self.broker, self.user, self.sent, self.start = broker, user or [], 0, (int(time.time()) - 80000) * 1_000_000

    def publish(self, count, retain=False):
        lines = "".join(json.dumps({"t": self.start + i * 1_000_000, "v": {"FT-101": i / 10}}) + "\n" for i in range(self.sent, self.sent + count))
        subprocess.run(["mosquitto_pub", "-p", str(self.broker.port), *self.user, "-q", "1", *(["-r"] if retain else []), "-t", TOPIC, "-l"],
                       input=lines, text=True, check=True, timeout=60)
        self.sent += count

    def arrived(self, daemon):
        """How many are there; that none is there twice or with another value is asserted."""
        numbers = self.numbers(daemon)
        assert set(numbers) <= set(range(self.sent))
        return len(numbers)

    def numbers(self, daemon):
        numbers, cursor = [], ""
        while cursor is not None:
            page = daemon.get(f"/v1/sensors/{daemon.flow}/readings?from={self.start}&to={self.start + 50_000_000_000}&agg=raw&limit=1000{cursor}")
            numbers += [round(row["value"] * 10) for row in page["items"]]
            cursor = f"&cursor={page['next_cursor']}" if page.get("next_cursor") else None
        assert len(numbers) == len(set(numbers)), "none is there twice"
        return numbers

    def all_there(self, daemon):
        wait_until(lambda: self.arrived(daemon) == self.sent, f"all {self.sent} readings are there once")


class World:
    def __init__(self, folder):
        passwords, self.password = folder / "passwords", folder / "password"
        passwords.touch(mode=0o600)
        for user, word in (("plant", "p"), ("carbond", "right")):
            subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, word], check=True)
        self.password.write_text("right\n")
        self.broker = Broker(folder / "broker", extra=f"password_file {passwords}")
        self.proxy = Proxy(self.broker.port)
        self.daemon = Daemon(folder / "carbond", self.proxy, {"mqtt.username": "carbond", "mqtt.password_file": self.password, "mqtt.keepalive_s": 5,
                                                              "mqtt.retry_longest_ms": RETRY_LONGEST_MS, "mqtt.connect_deadline_ms": 2000,
                                                              "http.key_rate": 1000000, "http.key_burst": 1000000}).init().start()
        self.point, self.daemon.flow = plant(self.daemon)
        self.feed = Feed(self.broker, ["-u", "plant", "-P", "p"])

    def metric(self, name):
        return self.daemon.metric(f"carbond_{name}")

    def lines(self):
        """What the log says of the connection, one parsed line each."""
        return [json.loads(line) for line in self.daemon.process.text().splitlines() if '"mqtt_' in line]

    def not_ready(self, wanted):
        """/readyz names the connection and why, as does the newest line of the log."""
        def says():
            status, body, _ = self.daemon.request("GET", "/readyz")
            return status == 503 and "MQTT connection 0" in body["detail"] and re.search(wanted, body["detail"])
        wait_until(says, f"/readyz says {wanted!r}")
        assert any(re.search(wanted, line["message"] + line["state"]) for line in self.lines()[-20:]), self.lines()[-5:]
        assert self.metric("mqtt_connected") == 0

    def recovered(self):
        wait_until(self.daemon.ready, "carbond is ready again")
        assert self.metric("mqtt_connected") == 1 and self.metric("mqtt_holding") == 0
        self.feed.publish(3)
        self.feed.all_there(self.daemon)

    def stop(self):
        code = self.daemon.stop()
        self.proxy.close()
        self.broker.stop()
        assert code == 0


@pytest.fixture(scope="module")
def world():
    with scratch() as folder:
        world = World(folder)
        yield world
        world.stop()


@pytest.fixture(autouse=True)
def straight(world):
    """Each fault begins and ends with the proxy out of the way."""
    yield
    world.proxy.serve, world.proxy.tamper = relay, None


def test_a_slow_broker_only_takes_longer(world):
    before = world.metric("mqtt_connections_total")
    world.proxy.tamper = trickle
    world.feed.publish(20)
    world.feed.all_there(world.daemon)
    world.proxy.tamper = None
    world.recovered()
    assert world.metric("mqtt_connections_total") == before, "no connection was given up for slowness"


def test_a_broker_that_is_restarted_keeps_what_it_has(world):
    world.feed.publish(50)
    lost = world.metric("mqtt_lost_total")
    world.broker.stop()
    world.not_ready("The connection was lost|closed the connection|network")
    world.broker.start()
    world.recovered()
    assert world.metric("mqtt_lost_total") == lost + 1


def test_a_broker_that_refuses_is_told_of(world):
    failed = world.metric("mqtt_failed_attempts_total")
    world.password.write_text("wrong\n")
    world.proxy.cut()
    world.not_ready("refuses the connection: (Not authorized|Bad user)")
    assert world.metric("mqtt_failed_attempts_total") > failed
    world.feed.publish(5)
    world.password.write_text("right\n")  # read at each connection
    world.recovered()
    for code, answer in REFUSED.items():
        world.proxy.serve = answering(answer)
        count = world.proxy.answered
        world.proxy.cut()
        wait_until(lambda: world.proxy.answered > count, f"it meets CONNACK {code:#x}")
    world.not_ready("127.0.0.1:")
    world.proxy.serve = relay
    world.recovered()


def test_a_refused_subscription_is_told_of(world):
    world.proxy.serve = refusing_subscriptions
    world.proxy.cut()
    world.not_ready("refuses the subscription")
    world.proxy.serve = relay
    world.recovered()


def test_a_silent_broker_is_left(world):
    for peer, wanted in ((silent, "does not answer CONNECT within 2000 ms"), (deaf_to_subscribe, "does not answer SUBSCRIBE")):
        world.proxy.serve = peer
        world.proxy.cut()
        world.not_ready(wanted)
    world.proxy.serve = relay
    world.proxy.cut()
    world.recovered()


def test_a_flood_is_taken_in_bounded_memory(world):
    """A backlog of 10,000 messages and a retained one, 1,000 of them in flight at once, all sent as fast as the broker can."""
    world.proxy.close()
    world.not_ready("Connection refused")
    world.feed.publish(1, retain=True)
    world.feed.publish(10000)
    before = world.metric("mqtt_messages_total")
    world.proxy.open()
    world.feed.all_there(world.daemon)
    world.recovered()
    assert world.metric("mqtt_messages_total") - before >= 10001
    assert resident_mb(world.daemon.process.pid) < 400


def resident_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) // 1024


def test_garbage_is_neither_believed_nor_acknowledged(world):
    connected, taken = world.metric("mqtt_connections_total"), world.metric("mqtt_messages_total")
    for what, answer in MALFORMED.items():
        world.proxy.serve = answering(answer)
        count = world.proxy.answered
        world.proxy.cut()
        wait_until(lambda: world.proxy.answered > count, f"it meets {what}")
        assert world.daemon.process.alive(), what
    world.not_ready("127.0.0.1:")
    assert world.metric("mqtt_messages_total") == taken and world.metric("mqtt_connections_total") == connected
    assert resident_mb(world.daemon.process.pid) < 400
    world.proxy.serve = relay
    world.recovered()


def test_a_connection_cut_in_mid_batch_loses_and_doubles_nothing(world):
    chance = random.Random(SEED)
    for turn in range(ROUNDS):
        world.proxy.tamper = cut_before_puback if turn % 2 else cut_after(chance.randrange(60, 2000))
        count = len(world.proxy.attempts)
        world.proxy.cut()
        world.feed.publish(chance.randrange(30, 60))
        wait_until(lambda: len(world.proxy.attempts) > count + 1, "the connection was cut and made anew")
        world.proxy.tamper = None
        world.feed.all_there(world.daemon)
        print(f"seed {SEED}: {turn + 1} of {ROUNDS} cuts done, {world.feed.sent} readings, each there once")
    world.recovered()


def test_a_broker_gone_for_long_is_not_pestered_and_one_line_says_so(world):
    """Minutes, shortened by mqtt.retry_longest_ms; the schedule itself is proved in virtual time (mqtt/backoff_test.c)."""
    world.proxy.close()
    world.not_ready("Connection refused")
    failed, said, began = world.metric("mqtt_failed_attempts_total"), len(world.lines()), time.monotonic()
    world.feed.publish(100)
    wait_until(lambda: world.metric("mqtt_failed_attempts_total") >= failed + 8, "it goes on trying")
    took = time.monotonic() - began
    assert took >= 7 * RETRY_LONGEST_MS / 2000, "attempts keep their distance"
    assert len(world.lines()) == said, "a reason that stays the same is told once"
    world.proxy.serve = lambda proxy, client: None  # takes each connection and ends it
    count = len(world.proxy.attempts)
    world.proxy.open()
    wait_until(lambda: len(world.proxy.attempts) >= count + 7, "it goes on trying")
    pauses = [later - earlier for earlier, later in zip(world.proxy.attempts[count:], world.proxy.attempts[count + 1:])]
    assert min(pauses) >= RETRY_LONGEST_MS / 2000 * 0.95 and max(pauses) - min(pauses) > 0.01, ("jitter", pauses)
    world.proxy.serve = relay
    world.recovered()


# ---- two daemons by mistake ----

def test_a_second_daemon_on_one_data_directory_is_refused(world):
    world.feed.publish(20)
    second = subprocess.run([str(CARBOND), "run", *world.daemon.flags(), "--http.port=0"], capture_output=True, text=True, timeout=60)
    assert second.returncode == 1, second
    line = json.loads(second.stderr.strip().splitlines()[-1])
    assert line["event"] == "start_failed" and f"process {world.daemon.process.pid} " in second.stderr, "it names the first one's pid"
    world.recovered()


def test_a_second_daemon_with_one_client_id_takes_the_session_and_no_reading_is_lost(world):
    """Two registers that both know the plant: what the broker hands out comes to one of them, or, if the first one's
    acknowledgement was on its way, to both; in neither twice. The first says so and stays away until it is restarted."""
    feed = world.feed
    feed.publish(20)
    other = Daemon(world.daemon.folder.parent / "other", world.proxy, {name: value for name, value in world.daemon.settings.items() if name.startswith(("mqtt.", "http.key"))})
    other.init("acme")
    other.settings["mqtt.enabled"] = "false"
    other.start()
    _, other.flow = plant(other)
    assert other.stop() == 0
    other.settings["mqtt.enabled"] = "true"
    other.start(ready=False)
    try:
        while not any(line["event"] == "mqtt_session_taken" for line in world.lines()):
            feed.publish(10)
            assert feed.sent < 20000
        world.not_ready("taken")
        wait_until(other.ready, "the second one has the session")
        attempts = len(world.proxy.attempts)
        feed.publish(20)
        wait_until(lambda: set(feed.numbers(world.daemon)) | set(feed.numbers(other)) == set(range(feed.sent)), "every reading is in one register or the other")
        assert [line["level"] for line in world.lines() if line["event"] == "mqtt_session_taken"] == ["error"]
        assert len(world.proxy.attempts) == attempts, "neither fights for the session"
    finally:
        assert other.stop() == 0
    world.daemon.stop()
    world.daemon.start()
    feed.sent, feed.start = 0, feed.start + 50_000_000_000  # what follows is counted anew
    world.recovered()
