"""Faults inside a running carbond (decision 9): one allocation, write or fsync of its process fails at a seeded place while
readings, transfers, keys and period closes arrive, and nothing that was acknowledged is lost or doubled.

`./dev campaign sweep [N]` runs N places (200); test_faults.py as many as fit its minutes."""
import collections
import contextlib
import datetime
import http.client
import json
import mmap
import pathlib
import random
import struct
import subprocess
import sys
import threading
import time

from campaign import seed_from_environment
from harness import BUILD, Broker, Daemon, scratch, wait_until
from story import Story, uuid7

PRELOAD = BUILD / "tests/libfault_preload.so"
NO_FAULT = 1 << 62
STOPPED = 3  # the exit code of a carbond that has stopped itself

# number in tests/fault/preload.c; whether carbond goes on; what a refusal may be called
Kind = collections.namedtuple("Kind", "number goes_on refusals")
MEMORY, FULL, DEAD = {"no-memory", "busy", "not-ready"}, {"no-space", "busy", "not-ready"}, {"store-latched", "stopping", "not-ready", "input-output"}
KINDS = {
    "an allocation fails": Kind(1, True, MEMORY),
    "allocations fail": Kind(2, True, MEMORY),
    "a write fails": Kind(3, False, DEAD),
    "a write is short, then no space": Kind(4, True, FULL),
    "no space": Kind(5, True, FULL),
    "an fsync fails": Kind(6, False, DEAD),
}
AT_START = {f"at start: {name}": kind for name, kind in KINDS.items() if name != "allocations fail"}


class Faults:
    """The memory that carbond's preloaded library shares with us."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "fault"
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        self.file = open(self.path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), mmap.PAGESIZE)
        self.environment = {"LD_PRELOAD": str(PRELOAD), "CARBOND_FAULT": str(self.path)}

    def arm(self, kind, nth):
        self.memory[0:32] = struct.pack("4q", 0, nth, 0, 0)
        self.memory[0:8] = struct.pack("q", kind.number)

    def disarm(self):
        self.memory[0:8] = struct.pack("q", 0)

    @property
    def calls(self):
        return struct.unpack("q", self.memory[16:24])[0]

    @property
    def failed(self):
        return struct.unpack("q", self.memory[24:32])[0]


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Load:
    """A plant, an issued batch, and rounds of mixed work; what was acknowledged is remembered and looked for."""

    ITEMS, POSTS, PUBLISHES, TRANSFERS = 10, 6, 4, 6

    def __init__(self, folder, environment=None, days=2, settings=None):
        self.broker = Broker(folder / "broker")
        self.daemon = Daemon(folder / "carbond", self.broker, settings).init()
        self.environment = environment
        self.daemon.start(environment=environment)
        now = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
        begin, self.middle = now - datetime.timedelta(days=days), now - datetime.timedelta(hours=6)
        self.story = Story(self.daemon, folder).people().plant(self.broker, iso(begin), iso(now)).project()
        self.number = self.story.issue(self.story.submit(self.story.period(iso(begin), iso(self.middle)))[0]["id"])["number"]
        self.operator, self.moved = self.story.keys["operator"], 0
        unit = self.must("/v1/units", {"slug": "sweep", "code": "SW", "name": "Sweep", "country": "IS", "nameplate_kg_per_hour": 10})["id"]
        point = self.must("/v1/metering-points", {"unit_id": unit, "code": "S", "name": "S", "role": "other"})["id"]
        self.sensors = [self.must("/v1/sensors", {"metering_point_id": point, "tag": tag, "quantity": "temperature", "unit": "Cel",
                                                  "sampling_period_us": 1000000, "range_low": -50, "range_high": 1000})["id"] for tag in ("H", "M")]
        self.next_us = int((now - datetime.timedelta(hours=20)).timestamp()) * 1_000_000
        self.refusals = collections.Counter()
        self.periods, self.labels = set(), set()

    def must(self, path, body):
        status, answer, _ = self.daemon.request("POST", path, body, key=self.operator)
        assert status == 201, (path, status, answer)
        return answer

    def attempt(self, method, path, body=None, headers=None, key=None):
        """(status, answer); a status of 0 is an answer that did not come."""
        try:
            status, answer, _ = self.daemon.request(method, path, body, headers, key=key or self.operator, timeout=40)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return 0, None
        if status >= 400:
            self.refusals[(status, answer["type"].rsplit("/", 1)[-1] if isinstance(answer, dict) else "?")] += 1
        return status, answer

    # --- one round ---

    def readings(self, sensor):
        first, self.next_us = self.next_us, self.next_us + self.ITEMS * 1_000_000
        return [{"t": first + i * 1_000_000, "v": {"HM"[sensor]: (first // 1_000_000 + i) % 1000}} for i in range(self.ITEMS)]

    def post_readings(self, batch):
        status, answer = self.attempt("POST", "/v1/readings?unit=sweep", batch)
        return status == 200 and answer["accepted"] == len(batch)

    def transfer(self, command):
        body = {"to_org_id": self.story.orgs["globex"], "batch": self.number, "kg": 1}
        return self.attempt("POST", "/v1/transfers", body, {"Idempotency-Key": command}, key=self.story.keys["trader"])[0] in (200, 201)

    def work_http(self):
        for batch in self.by_http:
            if not self.post_readings(batch):
                self.again.append(batch)

    def work_mqtt(self):
        lines = "".join(json.dumps(batch) + "\n" for batch in self.by_mqtt)
        subprocess.run(["mosquitto_pub", "-p", str(self.broker.port), "-q", "1", "-t", "carbond/v1/acme/sweep/readings", "-l"], input=lines, text=True, check=True)

    def work_commands(self):
        self.commands_again = [command for command in self.commands if not self.transfer(command)]
        label = f"key {len(self.labels)} {uuid7()}"
        if self.attempt("POST", "/v1/keys", {"label": label, "org_id": self.story.orgs["acme"], "roles": ["trader"]}, key=self.daemon.key)[0] == 201:
            self.labels.add(label)
        self.attempt("GET", "/v1/holdings")
        self.attempt("GET", f"/v1/sensors/{self.sensors[0]}/readings?from={self.begin_us}&to={self.begin_us + 3600_000_000}&agg=mean&step=1m")

    def work_periods(self):
        status, answer = self.attempt("POST", "/v1/periods", {"project_id": self.story.project_id, "from": iso(self.middle), "to": iso(self.middle + datetime.timedelta(hours=1))})
        self.period = answer["id"] if status == 201 else None
        if self.period:
            self.periods.add(self.period)
            self.attempt("GET", f"/v1/periods/{self.period}/dry-run")
            self.attempt("POST", f"/v1/periods/{self.period}/submit", headers={"Idempotency-Key": uuid7()})

    def round(self):
        self.begin_us, self.again = self.next_us, []
        self.by_http = [self.readings(0) for _ in range(self.POSTS)]
        self.by_mqtt = [self.readings(1) for _ in range(self.PUBLISHES)]
        self.commands = [uuid7() for _ in range(self.TRANSFERS)]
        workers = [threading.Thread(target=work) for work in (self.work_http, self.work_mqtt, self.work_commands, self.work_periods)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    # --- what must be true once there is no fault ---

    def settle(self):
        """What was refused is sent again, under the same ids; then all of the round is there, once."""
        for batch in self.again:
            wait_until(lambda: self.post_readings(batch), "readings are taken again")
        for command in self.commands_again:
            wait_until(lambda: self.transfer(command), "a transfer is carried out, or was")
        self.moved += len(self.commands)
        for sensor, batches in enumerate((self.by_http, self.by_mqtt)):
            wanted = sorted((item["t"], float(item["v"]["HM"[sensor]])) for batch in batches for item in batch)
            wait_until(lambda: self.stored(sensor) == wanted, f"readings of sensor {'HM'[sensor]} are there once")
        held = lambda org, key: sum(row["held_kg"] for row in self.daemon.get("/v1/holdings?at-least=" + str(self.position()), key=self.story.keys[key])["items"] if row["batch"] == self.number)
        assert held("globex", "buyer") == self.moved, (held("globex", "buyer"), self.moved)
        assert self.labels <= set(self.all("/v1/keys", "label", self.daemon.key)), "an acknowledged key is lost"
        assert self.periods <= set(self.all("/v1/periods", "id", self.operator)), "an acknowledged period is lost"
        if self.period:
            self.withdraw()

    def withdraw(self):
        """The period of the round can be submitted, whatever came of the first time, and withdrawn for the next round."""
        def submitted():
            items = self.daemon.get(f"/v1/periods/{self.period}/submissions", key=self.operator)["items"]
            if not items:
                self.attempt("POST", f"/v1/periods/{self.period}/submit", headers={"Idempotency-Key": uuid7()})
            return items
        for submission in wait_until(submitted, "the period can be submitted"):
            wait_until(lambda: self.attempt("POST", f"/v1/periods/{submission['id']}/withdraw", {"reason": "swept"}, {"Idempotency-Key": uuid7()})[0] in (200, 409),
                       "the submission can be withdrawn")

    def position(self):
        return self.daemon.request("POST", "/v1/transfers", {"to_org_id": self.story.orgs["globex"], "batch": self.number, "kg": 1},
                                   {"Idempotency-Key": self.commands[-1]}, key=self.story.keys["trader"])[1]["position"]

    def stored(self, sensor):
        status, answer = self.attempt("GET", f"/v1/sensors/{self.sensors[sensor]}/readings?from={self.begin_us}&to={self.next_us}&agg=raw&limit=1000")
        if status != 200:
            return None
        stamp = lambda text: round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)
        return [(stamp(row["time"]), row["value"]) for row in answer["items"]]

    def all(self, path, member, key):
        cursor, values = "", []
        while cursor is not None:
            page = self.daemon.get(f"{path}?limit=200{cursor}", key=key)
            values += [row[member] for row in page["items"]]
            cursor = f"&cursor={page['next']}" if page.get("next") else None
        return values

    def start(self):
        self.daemon.start(environment=self.environment)

    def end(self):
        if self.daemon.process.alive():
            assert self.daemon.stop() == 0, self.daemon.process.text()[-2000:]
        self.broker.stop()


class Sweep:
    def __init__(self, folder, seed):
        self.random, self.faults = random.Random(seed), Faults(folder)
        self.load = Load(folder, self.faults.environment)
        self.daemon, self.done, self.unreached = self.load.daemon, collections.Counter(), collections.Counter()
        self.calls = {}

    def count(self, name, kind):
        """How many calls of the kind a round, or a start, makes."""
        if name not in self.calls:
            if name in AT_START:
                assert self.daemon.stop() == 0
            self.faults.arm(kind, NO_FAULT)
            if name in AT_START:
                self.load.start()
            else:
                self.load.round()
            self.calls[name] = self.faults.calls
            self.faults.disarm()
            if name not in AT_START:
                self.load.settle()
        return self.calls[name]

    def point(self, name):
        kind = KINDS.get(name) or AT_START[name]
        self.place(name, kind, self.count(name, kind))
        if not self.faults.failed:
            """This round made fewer calls than the one that was counted: an earlier place is there."""
            self.place(name, kind, self.calls[name] // 2)
        self.done[name] += 1
        self.unreached[name] += not self.faults.failed

    def place(self, name, kind, calls):
        """A fault at a random one of so many calls."""
        nth = self.random.randint(1, max(calls, 1))
        self.load.refusals.clear()
        try:
            (self.at_start if name in AT_START else self.under_load)(kind, nth)
        except AssertionError as wrong:
            raise AssertionError(f"{name}, call {nth}: {wrong}\n{self.daemon.process.text()[-3000:]}") from wrong

    def under_load(self, kind, nth):
        self.faults.arm(kind, nth)
        self.load.round()
        if self.faults.failed and not kind.goes_on:
            self.ended(within=30)
        self.faults.disarm()
        if not self.daemon.process.alive():
            self.ended(within=0)
            self.load.start()
        strange = {refusal for refusal in self.load.refusals if refusal[1] not in kind.refusals}
        assert not strange, f"refused as {strange}"
        wait_until(self.daemon.ready, "it is ready again")
        self.load.settle()

    def at_start(self, kind, nth):
        """It starts, or says why not and leaves; and starts when there is no fault."""
        assert self.daemon.stop() == 0
        self.faults.arm(kind, nth)
        self.daemon.start(ready=False, environment=self.load.environment)
        wait_until(lambda: not self.daemon.process.alive() or self.started(), "it starts or ends")
        self.faults.disarm()
        if self.daemon.process.alive() and not self.faults.failed:
            return
        if self.daemon.process.alive() and kind.goes_on:
            wait_until(self.daemon.ready, "it is ready")
        else:
            self.ended(within=30, codes=(1, STOPPED))
            self.load.start()
        self.load.round()
        self.load.settle()

    def started(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.daemon.request("GET", "/readyz")[0] in (200, 503) and (self.daemon.ready() or self.faults.failed)

    def ended(self, within, codes=(STOPPED,)):
        try:
            code = self.daemon.process.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError("it goes on after a fault that nobody can repair") from None
        self.daemon.process.log.close()
        assert code in codes, f"it ended with {code}"

    def run(self, points, seconds=None):
        """The kinds in turn, until all points are done or the time is over, but one of each kind at least."""
        names, begin = [*KINDS, *AT_START], time.monotonic()
        for number in range(points):
            if seconds and number >= len(names) and time.monotonic() - begin > seconds:
                break
            self.point(names[number % len(names)])
        self.load.end()
        for place, name in enumerate(names):
            asked = points // len(names) + (place < points % len(names))
            print(f"{name}: {self.done[name]} of {asked} places done, {self.done[name] - self.unreached[name]} reached")
        assert all(self.done[name] > self.unreached[name] for name in names), "a kind was never reached"


def run(points, seconds=None):
    seed = seed_from_environment()
    print(f"seed {seed}", flush=True)
    with scratch() as folder:
        sweep = Sweep(folder, seed)
        try:
            sweep.run(points, seconds)
        finally:
            for process in (sweep.daemon.process, sweep.load.broker.process):
                if process.alive():
                    process.kill()


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
