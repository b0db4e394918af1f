"""The engine of the fault campaigns: a world under mixed load, what carbond has promised in it, and the checks that hold it to
that. A campaign is a list of kinds of faults, struck in a seeded order that has one of each kind first; it prints done of
asked for each. `./dev campaign NAME [N]` runs one; test_kill.py and its like run as many as fit their minutes.

Everything that is sent is a function of names and times, so what is right is known without remembering it: only what was
acknowledged is remembered."""
import contextlib
import csv
import dataclasses
import datetime
import http.client
import io
import json
import os
import pathlib
import queue
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import traceback

from harness import CARBOND, CARBONCTL, PATIENCE, Broker, Daemon, scratch, wait_until
from story import Story, uuid7

SECOND, HOUR = 1_000_000, 3_600_000_000
STATE_END = 219  # the record that ends a snapshot
CHUNK_HOURS = 4  # of plant data, submitted as one period
CHECKED_AGAIN = 25  # acknowledged commands that are repeated after each fault
SETTINGS = {"http.key_rate": 1000000, "http.key_burst": 1000000000, "engine.snapshot_events": 60, "ingest.flush_s": 1,
            "ingest.memory_mb": 16, "audit.checkpoint_minutes": 1}


def seed_from_environment():
    return int(os.environ.get("CARBOND_SEED", "1"))


def iso(us):
    return datetime.datetime.fromtimestamp(us // SECOND, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def us_of(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(moment.timestamp()) * SECOND + moment.microsecond


def value_of(tag, at):
    return (int(tag[2:]) * 31 + at // SECOND * 7919) % 100000 / 100


# --- what was promised ------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Command:
    """One command under its own id; unanswered ones are asked again under the same id until there is an answer."""
    path: str
    body: dict
    key: str
    effect: object = None  # called with the answer, once
    id: str = dataclasses.field(default_factory=uuid7)
    status: int = 0
    answer: dict = None
    unanswered: object = None  # what its last attempt came to instead: (status, body), or the error of a connection

    @property
    def answered(self):
        return self.answer is not None


class Series:
    """One sensor's readings: which were sent, and which of them are promised."""

    def __init__(self, tag, sensor, begin):
        self.tag, self.sensor, self.begin, self.next = tag, sensor, begin, begin
        self.promised, self.checked = set(), begin
        self.recent = set()  # promised at or after `checked`: what a cheap check looks at

    def promise(self, times):
        self.promised.update(times)
        self.recent.update(times)

    def take(self, count):
        times = [self.next + i * SECOND for i in range(count)]
        self.next = times[-1] + SECOND
        return times


class Holdings:
    """The double entry that must be found in carbond: kilograms by (organisation, batch)."""

    def __init__(self):
        self.batches, self.held, self.retired, self.lock = {}, {}, {}, threading.Lock()

    def issued(self, owner, batch):
        with self.lock:
            self.batches[batch["batch"]] = batch
            self.held[owner, batch["batch"]] = batch["kg"] - batch["buffer_kg"]

    def reserve(self, owner, kg, rng):
        """A batch of which the owner can spare so much; it counts as gone until the answer is there."""
        with self.lock:
            able = [key for key, held in self.held.items() if key[0] == owner and held >= kg + 20]
            if not able:
                return None
            key = rng.choice(sorted(able))
            self.held[key] -= kg
            return key[1]

    def give(self, owner, batch, kg):
        with self.lock:
            self.held[owner, batch] = self.held.get((owner, batch), 0) + kg

    def retire(self, owner, batch, kg):
        with self.lock:
            self.retired[owner, batch] = self.retired.get((owner, batch), 0) + kg


# --- the world --------------------------------------------------------------------------------------------------------

class World:
    """A broker, a carbond, a plant whose periods are issued, a laboratory that sends all the time, and their people."""

    first_batches = 3

    def __init__(self, folder, seed, settings=None, environment=None):
        self.folder, self.seed, self.rng = pathlib.Path(folder), seed, random.Random(seed)
        self.broker = Broker(self.folder / "broker")
        self.daemon = Daemon(self.folder / "carbond", self.broker, {**SETTINGS, **(settings or {})})
        with contextlib.ExitStack() as half_made:
            half_made.callback(self.stop)
            self.daemon.init().start(environment=environment)
            self.populate()
            half_made.pop_all()

    def populate(self):
        self.epoch = int(time.time()) // 3600 * HOUR
        self.holdings, self.commands, self.lock = Holdings(), [], threading.Lock()
        self.position, self.receipts, self.packs, self.backups = 0, {}, [], []
        self.chunk_next = self.epoch - 300 * 24 * HOUR
        self.boot, self.boot_seq = f"boot-{self.seed}", 0
        self.story = Story(self.daemon, self.folder).people()
        self.story.plant(self.broker, iso(self.chunk_next - HOUR), iso(self.chunk_next - HOUR + 60 * SECOND)).project()
        self.tags = {row["tag"]: row["id"] for row in self.rows("/v1/sensors", unit_id=self.story.unit)}
        self.laboratory()
        self.cradle = self.backup("cradle")  # configured, and no readings yet: what a twin begins from
        for _ in range(self.first_batches):
            submission = self.submission(self.period(self.filled_chunk()))
            self.attest(submission)
            self.issue(submission)
        self.learn_batches()

    def stop(self):
        if self.daemon.process and self.daemon.process.alive():
            self.daemon.stop()
        self.broker.stop()

    # what is asked

    def rows(self, path, key=None, **query):
        items, cursor = [], None
        while True:
            words = {**query, "limit": 1000, **({"cursor": cursor} if cursor else {})}
            page = self.daemon.get(path + "?" + "&".join(f"{name}={value}" for name, value in words.items()),
                                   key=self.story.keys.get(key) if key else None)
            items += page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return items

    def laboratory(self):
        post = lambda path, body: self.story.post(path, body, key="operator")
        unit = post("/v1/units", {"slug": "lab", "code": "LAB", "name": "Laboratory", "country": "IS", "nameplate_kg_per_hour": 10})["id"]
        point = post("/v1/metering-points", {"unit_id": unit, "code": "P", "name": "p", "role": "other"})["id"]
        begin = self.epoch - 400 * 24 * HOUR  # long campaigns send for weeks an hour
        self.series = {}
        for tag in ("H-1", "H-2", "M-1", "M-2"):
            row = post("/v1/sensors", {"metering_point_id": point, "tag": tag, "quantity": "temperature", "unit": "Cel",
                                       "sampling_period_us": SECOND, "range_low": -100, "range_high": 10000, "oldest_us": 1000 * 24 * HOUR})
            self.series[tag] = Series(tag, row["id"], begin)
        self.lab = unit

    def send(self, command):
        """One attempt. True: there is an answer, and it counts."""
        headers = {"Idempotency-Key": command.id}
        try:
            status, answer, _ = self.daemon.request("POST", command.path, command.body, headers, key=self.story.keys[command.key], timeout=30)
        except (OSError, http.client.HTTPException, ValueError) as error:
            command.unanswered = repr(error)
            return False
        if status >= 500 or (status == 409 and answer.get("type", "").endswith("command-running")):
            command.unanswered = (status, answer)
            return False
        with self.lock:
            if command.answered:
                return True
            command.status, command.answer = status, answer
            self.position = max(self.position, answer.get("position", 0))
        if command.effect:
            command.effect(command)
        return True

    def prepare(self, path, body, key, effect=None):
        command = Command(path, body, key, effect)
        with self.lock:
            self.commands.append(command)
        return command

    def begin(self, path, body, key, effect=None):
        command = self.prepare(path, body, key, effect)
        self.send(command)
        return command

    def settle(self, command):
        """Asks until there is an answer; ConnectionError: the daemon is gone."""
        def answered():
            if command.answered or self.send(command):
                return True
            if not self.daemon.process.alive():
                raise ConnectionError("carbond is gone")
            return False

        wait_until(answered, f"{command.path} is answered")
        return command

    def settle_all(self):
        for command in [c for c in self.commands if not c.answered]:
            self.settle(command)

    # the plant

    def chunk(self, hours=CHUNK_HOURS):
        begin = self.chunk_next
        self.chunk_next += hours * HOUR
        return begin, self.chunk_next

    def simulate(self, chunk):
        """Back-fills a chunk over MQTT; True: the broker has acknowledged all of it."""
        run = subprocess.run([str(CARBONCTL), "simulate", "--quiet", "--broker", f"127.0.0.1:{self.broker.port}", "--from", iso(chunk[0]),
                              "--to", iso(chunk[1])], capture_output=True, text=True)
        return run.returncode == 0

    def publish(self, unit, lines):
        """Messages by QoS 1; the broker has acknowledged all of them."""
        run = subprocess.run(["mosquitto_pub", "-p", str(self.broker.port), "-q", "1", "-t", f"carbond/v1/acme/{unit}/readings", "-l"],
                             input="\n".join(lines) + "\n", text=True, capture_output=True)
        assert run.returncode == 0, run.stderr

    def truth(self, chunk):
        """What the plant's instruments read: tag → [(µs, value)]."""
        run = subprocess.run([str(CARBONCTL), "simulate", "--csv", "--from", iso(chunk[0]), "--to", iso(chunk[1])], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        rows = list(csv.reader(io.StringIO(run.stdout)))
        columns = {tag: [] for tag in rows[0][1:]}
        for row in rows[1:]:
            for tag, value in zip(rows[0][1:], row[1:]):
                if value:
                    columns[tag].append((us_of(row[0]), float(value)))
        return columns

    def filled_chunk(self):
        chunk = self.chunk()
        assert self.simulate(chunk)
        return self.arrived(chunk)

    def arrived(self, chunk):
        """Waits until carbond has all of a chunk, so that nothing of it comes late."""
        path = f"/v1/sensors/{self.tags['FT-101']}/readings?agg=count&step=1h&from={chunk[0]}&to={chunk[1]}"
        count = lambda: sum(row["value"] or 0 for row in self.daemon.get(path, key=self.story.keys["operator"])["items"])
        wait_until(lambda: count() == (chunk[1] - chunk[0]) // (60 * SECOND), "the back-filled chunk has arrived")
        return chunk

    def period(self, chunk):
        return self.story.period(iso(chunk[0]), iso(chunk[1]))

    def job_of(self, command):
        """How the submit's job has ended, or None while it runs."""
        job = self.daemon.get(f"/v1/jobs/{command.id}", key=self.story.keys["operator"])
        return job if job["state"] in ("done", "failed") else None

    def submission(self, period, command=None):
        """The period's one submission, submitted by this command, which may have been sent before."""
        command = self.settle(command or self.begin(f"/v1/periods/{period}/submit", None, "operator"))
        assert command.status == 202, command
        job = wait_until(lambda: self.job_of(command), "the period is submitted", 60)
        assert job["state"] == "done", job
        rows = self.rows(f"/v1/periods/{period}/submissions", key="operator")
        assert len(rows) == 1, rows
        return rows[0]

    def attest(self, submission):
        for name in ("north", "south"):
            self.settle(self.attestation(submission, name))

    def attestation(self, submission, name):
        signature = self.story.ctl("sign", self.story.pack(submission["id"], key=name), "--key", self.folder / f"{name}.key")
        return self.begin(f"/v1/periods/{submission['id']}/attestations", {
            "verifier_id": self.story.verifiers[name], "evidence_root": signature["evidence_root"], "signature": signature["signature"]}, name)

    def issue(self, submission):
        command = self.settle(self.begin(f"/v1/periods/{submission['id']}/issue", None, "issuer", self.issued))
        assert command.status in (200, 201), command
        self.packs.append(submission)
        return command

    def issued(self, command):
        """The effect of an issue. What was issued is read where it is needed: the daemon may be gone by now."""
        if command.status in (200, 201):
            with self.lock:
                self.holdings.batches.setdefault(command.answer["number"], None)

    def learn_batches(self):
        for number in [n for n, row in self.holdings.batches.items() if row is None]:
            self.holdings.issued("acme", self.daemon.get(f"/v1/batches/{number}?at-least={self.position}"))

    # kilograms

    def transfer(self, rng):
        giver, taker, key = rng.choice([("acme", "globex", "trader"), ("globex", "acme", "buyer"), ("acme", "globex", "trader")])
        kg = rng.randrange(1, 6)
        batch = self.holdings.reserve(giver, kg, rng)
        if batch is None:
            return None

        def done(command):
            assert command.status in (200, 201), command
            self.holdings.give(taker, batch, kg)

        return self.begin("/v1/transfers", {"to_org_id": self.story.orgs[taker], "batch": batch, "kg": kg}, key, done)

    def retire(self, rng):
        batch = self.holdings.reserve("globex", 1, rng)
        if batch is None:
            return None

        def done(command):
            assert command.status in (200, 201), command
            self.holdings.retire("globex", batch, 1)

        return self.begin("/v1/retirements", {
            "batch": batch, "kg": 1, "beneficiary": "Globex Ltd", "country": "GB", "purpose": "voluntary",
            "covered_from": "2026-01-01T00:00:00Z", "covered_to": "2026-07-01T00:00:00Z", "consent": True}, "buyer", done)

    # backups

    def backup(self, name):
        """Makes a backup under load; its folder with what was promised before it began, or None if it did not come to its end."""
        folder, promised = self.folder / "backups" / name, self.position
        readings = {tag: set(series.promised) for tag, series in self.series.items()} if hasattr(self, "series") else {}
        folder.parent.mkdir(exist_ok=True)
        run = subprocess.run([str(CARBONCTL), "backup", str(folder), "--with-keys", "--socket", str(self.daemon.data / "admin.sock")],
                             capture_output=True, text=True)
        return {"folder": folder, "position": promised, "readings": readings, "whole": run.returncode == 0}

    def keep_backup(self, backup):
        """The two newest stay on the disk."""
        if backup:
            self.backups.append(backup)
        for old in self.backups[:-2]:
            shutil.rmtree(old["folder"], ignore_errors=True)
        del self.backups[:-2]

    @contextlib.contextmanager
    def restored(self, backup, name):
        other = Daemon(self.folder / name, settings={**SETTINGS})
        run = subprocess.run([str(CARBOND), "restore", *other.flags(), str(backup["folder"])], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        other.key = self.daemon.key
        other.start()
        try:
            yield other
        finally:
            other.stop()
            shutil.rmtree(other.folder)


# --- load -------------------------------------------------------------------------------------------------------------

class Load:
    """Threads that send readings by HTTP and by MQTT, and commands; paused and resumed as a whole."""

    def __init__(self, world):
        self.world, self.go, self.ended, self.failures = world, threading.Event(), False, queue.Queue()
        self.idle, self.rounds = [threading.Event() for _ in range(4)], [0] * 4
        bodies = [self.readings_by_http, self.readings_by_mqtt, self.transfers, self.retirements]
        self.threads = [threading.Thread(target=self.run, args=(number, body, random.Random(f"{world.seed}/{number}")), daemon=True)
                        for number, body in enumerate(bodies)]
        for thread in self.threads:
            thread.start()

    def run(self, number, body, rng):
        idle = self.idle[number]
        while not self.ended:
            if not self.go.is_set():
                idle.set()
                self.go.wait(0.2)
                continue
            idle.clear()
            try:
                body(rng)
            except Exception:  # told by the main thread, which ends the campaign
                self.failures.put(traceback.format_exc())
                self.go.clear()
            self.rounds[number] += 1
            threading.Event().wait(rng.uniform(0, 0.02))

    def resume(self, rounds=3):
        """Every thread has sent so many times when this returns, so that the fault finds carbond at work."""
        before = list(self.rounds)
        self.go.set()
        wait_until(lambda: not self.failures.empty() or all(now - then >= rounds for now, then in zip(self.rounds, before)), "the load runs")

    def pause(self):
        self.go.clear()
        for idle in self.idle:
            idle.clear()
        for idle in self.idle:
            assert idle.wait(60 * PATIENCE), "the load does not come to rest"
        self.check()

    def check(self):
        assert self.failures.empty(), self.failures.get()

    def end(self):
        self.ended = True
        self.go.set()
        for thread in self.threads:
            thread.join(60)

    def readings_by_http(self, rng):
        series = self.world.series[rng.choice(["H-1", "H-2"])]
        times = series.take(rng.randrange(1, 200))
        if rng.random() < 0.5:
            body = {"tag": series.tag, "t0": times[0], "dt": SECOND, "v": [value_of(series.tag, at) for at in times]}
        else:
            body = [{"t": at, "v": {series.tag: value_of(series.tag, at)}} for at in rng.sample(times, len(times))]
        for _ in range(rng.choice([1, 1, 2])):  # some are sent twice
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                status, answer, _ = self.world.daemon.request("POST", "/v1/readings?unit=lab&items=quarantined", body, key=self.world.story.keys["operator"], timeout=30)
                if status == 200:
                    assert answer["accepted"] == len(times), answer
                    series.promise(times)

    def readings_by_mqtt(self, rng):
        world = self.world
        series = world.series[rng.choice(["M-1", "M-2"])]
        times, lines = series.take(rng.randrange(1, 60)), []
        for at in rng.sample(times, len(times)):
            world.boot_seq += 1
            lines.append(json.dumps({"t": at, "v": {series.tag: value_of(series.tag, at)}, "boot": world.boot, "seq": world.boot_seq}))
        for line in rng.sample(lines, len(lines) // 4):
            lines.insert(rng.randrange(len(lines)), line)
        world.publish("lab", lines)
        series.promise(times)  # the broker has them, and carbond is to fetch them
        self.watch_receipts()

    def watch_receipts(self):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            for row in self.world.daemon.request("GET", "/v1/receipts", key=self.world.story.keys["operator"])[1].get("items", []):
                self.world.receipts[row["boot"]] = max(self.world.receipts.get(row["boot"], 0), row["seq"])

    def transfers(self, rng):
        self.world.transfer(rng)

    def retirements(self, rng):
        if rng.random() < 0.3:
            self.world.retire(rng)


# --- checks -----------------------------------------------------------------------------------------------------------

class Checks:
    """What must hold after each fault. Load is paused, carbond is up."""

    def __init__(self, world):
        self.world = world

    def cheap(self):
        self.commands()
        self.ledger()
        self.readings()
        self.receipts()

    def commands(self):
        """Every command is answered, and an answered one answers the same again."""
        world = self.world
        world.settle_all()
        acknowledged = [c for c in world.commands if c.status in (200, 201, 202)]
        recent, old = acknowledged[-CHECKED_AGAIN // 2:], acknowledged[:-CHECKED_AGAIN // 2]
        for command in recent + world.rng.sample(old, min(len(old), CHECKED_AGAIN // 2)):
            status, answer, _ = world.daemon.request("POST", command.path, command.body, {"Idempotency-Key": command.id}, key=world.story.keys[command.key])
            assert status in (200, command.status), (command, status, answer)
            for member in ("id", "position", "number"):
                assert answer.get(member) == command.answer.get(member), (command, answer)
            assert answer.get("repeated", True), (command, answer)

    def ledger(self):
        """P1, P2 and the model's own double entry."""
        world = self.world
        world.learn_batches()
        batches = {row["batch"]: row for row in world.rows("/v1/batches", **{"at-least": world.position})}
        assert batches.keys() == world.holdings.batches.keys(), (batches.keys(), world.holdings.batches.keys())
        assert sorted(batches) == list(range(1, len(batches) + 1))
        ranges, held, retired, total = {}, {}, {}, 0
        for slug, org in world.story.orgs.items():
            for row in world.rows("/v1/holdings", key="auditor", org_id=org, **{"at-least": world.position}):
                if row["held_kg"]:
                    held[slug, row["batch"]] = row["held_kg"]
                if row["retired_kg"]:
                    retired[slug, row["batch"]] = row["retired_kg"]
                total += sum(value for name, value in row.items() if name.endswith("_kg"))
            for row in world.rows("/v1/holdings/ranges", key="auditor", org_id=org, **{"at-least": world.position}):
                ranges.setdefault(row["batch"], []).append((row["start"], row["length"]))
        issued = sum(row["kg"] for row in batches.values())
        assert held == {key: kg for key, kg in world.holdings.held.items() if kg}, "held kilograms differ from what was acknowledged"
        assert retired == world.holdings.retired, "retired kilograms differ from what was acknowledged"
        assert total == issued == world.daemon.metric("carbond_kilograms"), (total, issued)
        for number, row in batches.items():
            at = 0
            for start, length in sorted(ranges[number]):
                assert start == at, (number, sorted(ranges[number]))
                at += length
            assert at == row["kg"], (number, at)

    def readings(self, whole=False):
        """Every promised reading once and with its value; nothing that was never sent."""
        for series in self.world.series.values():
            begin = series.begin if whole else series.checked
            promised = {at for at in (series.promised if whole else series.recent) if at >= begin}

            def found():
                return compare(series, begin, self.rows_of(series, begin)) >= promised

            wait_until(found, f"every promised reading of {series.tag} is there")
            series.checked = max(series.checked, max([series.begin, *promised]) - 300 * SECOND)
            series.recent = {at for at in series.recent if at >= series.checked}

    def rows_of(self, series, begin):
        return self.world.rows(f"/v1/sensors/{series.sensor}/readings", agg="raw", **{"from": begin, "to": series.next + 1})

    def receipts(self):
        """A receipt that a device has seen is never taken back, and reaches what was sent."""
        seen = dict(self.world.receipts)
        for boot, seq in seen.items():
            rows = {row["boot"]: row for row in self.world.rows("/v1/receipts", key="operator")}
            assert rows[boot]["seq"] >= seq, (rows[boot], seq)

    # the dear ones

    def journal(self):
        """P2, P3, P8: the exported journal replays from the ground to the acknowledged kilograms, and its beginning to the
        state that the newest snapshot has, which was made by starts, snapshots and kills."""
        world = self.world
        path = world.folder / "journal.ndjson"
        path.write_bytes(world.daemon.get("/v1/journal/batches", key=world.story.keys["auditor"]))
        text = verify_journal(path)
        held = sum(world.holdings.held.values())
        assert f"held {held}," in text, (held, text)
        snapshot = newest_snapshot(world.daemon.data / "views.db")
        if snapshot:
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1 + snapshot[0]]))  # a head line, then a batch a line
            verify_journal(path, "--state-hash", snapshot[1])

    def pack(self):
        """P11: the pack verifies to the kilogram, and a flipped byte fails."""
        world = self.world
        submission = world.rng.choice(world.packs)
        whole = world.story.pack(submission["id"]).read_bytes()
        path = world.folder / "checked.tar"
        path.write_bytes(whole)
        code, text = verify_pack(world, path)
        assert code == 0 and f"{submission['kg']}" in text.replace(",", ""), text
        position = world.rng.randrange(len(whole))
        path.write_bytes(whole[:position] + bytes([whole[position] ^ (1 << world.rng.randrange(8))]) + whole[position + 1:])
        assert verify_pack(world, path)[0] == 5, position

    def restore(self):
        """P14: the newest whole backup has all that was promised before it, and the roots that the live one had there."""
        world = self.world
        backup = next((b for b in reversed(world.backups) if b["whole"]), None)
        if not backup:
            return
        live = world.daemon.get("/v1/journal/batches", key=world.story.keys["auditor"]).splitlines()
        with world.restored(backup, "restored") as other:
            batches = other.get("/v1/journal/batches", key=world.story.keys["auditor"]).splitlines()
            kept = batches[:-1]  # the last one is the record of the restore
            assert kept == live[:len(kept)], "the backup's journal is no beginning of the live one"
            path = world.folder / "restored.ndjson"
            path.write_bytes(b"\n".join(batches) + b"\n")
            verify_journal(path)
            assert other.metric("carbond_engine_position") >= backup["position"]
            live_daemon, world.daemon = world.daemon, other
            try:
                for tag, promised in backup["readings"].items():
                    series = world.series[tag]
                    by_http = promised if tag.startswith("H") else set()
                    wait_until(lambda: compare(series, series.begin, self.rows_of(series, series.begin)) >= by_http, f"the backup has the readings of {tag}")
            finally:
                world.daemon = live_daemon

    def twin(self):
        """P6, P7, P12: a carbond that never failed, given the same readings once and in order, has the same content hashes and
        the same kilograms; with readings missing or less certain it has no more."""
        world = self.world
        submission = world.rng.choice(world.packs)
        chunk = us_of(submission["from"]), us_of(submission["to"])
        truth = world.truth(chunk)
        dropped = {(tag, at) for tag in ("FT-101", "AT-101") for at, _ in truth[tag] if world.rng.random() < 0.05}
        with world.restored(world.cradle, "twin") as twin:
            send_columns(twin, world, truth, lambda tag, at: (tag, at) not in dropped)
            period = twin.request("POST", "/v1/periods", {"project_id": world.story.project_id, "from": iso(chunk[0]), "to": iso(chunk[1])},
                                  {"Idempotency-Key": uuid7()}, key=world.story.keys["operator"])[1]["id"]
            quantity = lambda: twin.get(f"/v1/periods/{period}/dry-run", key=world.story.keys["operator"])["parts"][0]["kg"]
            less = quantity()
            send_columns(twin, world, truth, lambda tag, at: (tag, at) in dropped)
            full = quantity()
            assert less <= full, ("P6", less, full)
            assert full == submission["kg"], ("kilograms of a carbond that never failed", full, submission)
            sensor = twin.get(f"/v1/sensors/{world.tags['FT-101']}")
            command = uuid7()
            assert twin.request("POST", f"/v1/periods/{period}/submit", None, {"Idempotency-Key": command}, key=world.story.keys["operator"])[0] == 202
            wait_until(lambda: twin.get(f"/v1/jobs/{command}", key=world.story.keys["operator"])["state"] == "done", "the twin has submitted")
            for tag in truth:
                assert hashes(twin, world, tag, chunk) == hashes(world.daemon, world, tag, chunk), ("P12", tag)
            again = twin.request("POST", "/v1/periods", {"project_id": world.story.project_id, "from": iso(chunk[0]), "to": iso(chunk[1])},
                                 {"Idempotency-Key": uuid7()}, key=world.story.keys["operator"])[1]
            assert twin.request("PATCH", f"/v1/sensors/{sensor['id']}", {"systematic_ppm": 40000, "random_ppm": 40000}, {"If-Match": f'"{sensor["version"]}"'},
                                key=world.story.keys["operator"])[0] == 200
            period = again["id"]
            assert quantity() <= full, "P7"

    def plant(self):
        """Every hour that was issued has exactly what the instruments read."""
        world = self.world
        submission = world.rng.choice(world.packs)
        chunk = us_of(submission["from"]), us_of(submission["to"])
        for tag, rows in world.truth(chunk).items():
            found = world.rows(f"/v1/sensors/{world.tags[tag]}/readings", agg="raw", **{"from": chunk[0], "to": chunk[1]})
            assert [(us_of(row["time"]), row["value"]) for row in found] == rows, tag

    def claims(self):
        """P4: no meter-hour backs two batches."""
        world, seen = self.world, {}
        for number in world.holdings.batches:
            batch = world.daemon.get(f"/v1/batches/{number}")
            submission = world.daemon.get(f"/v1/submissions/{batch['period_id']}", key=world.story.keys["auditor"])
            for hour in range(us_of(submission["from"]), us_of(submission["to"]), HOUR):
                assert seen.setdefault((hour, batch["slot"]), number) == number, (iso(hour), number, seen)

    def dear(self):
        return [self.journal, self.pack, self.twin, self.restore, self.plant, self.claims]


def compare(series, begin, rows):
    """The times found; each once, sent, and with its value."""
    times = [us_of(row["time"]) for row in rows]
    assert times == sorted(set(times)), f"{series.tag} has a reading twice"
    for at, row in zip(times, rows):
        assert begin <= at < series.next and row["value"] == value_of(series.tag, at), (series.tag, row)
    return set(times)


def newest_snapshot(path):
    """(journal batch, state hash) of the newest whole snapshot: its last record, state_end (docs/journal.md)."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as views:
        rows = views.execute("SELECT payload FROM log_batches WHERE stream LIKE 'snapshot.%' ORDER BY stream DESC, seq DESC").fetchall()
    for (payload,) in rows:
        at, record = 0, b""
        while at < len(payload):
            record = payload[at:at + struct.unpack_from("<I", payload, at)[0]]
            at += len(record)
        if struct.unpack_from("<H", record, 4)[0] == STATE_END:
            return struct.unpack_from("<q", record, 64 + 40)[0], record[64 + 8:64 + 40].hex()
    return None


def verify_journal(path, *more):
    run = subprocess.run([str(CARBONCTL), "verify", "--journal", str(path), *more], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def verify_pack(world, path):
    run = subprocess.run([str(CARBONCTL), "verify", str(path), "--trust", str(world.folder / "keys.json"), "--registry", world.daemon.first["registry"]],
                         capture_output=True, text=True)
    return run.returncode, run.stdout


def send_columns(daemon, world, truth, wanted):
    items = [{"t": at, "v": {tag: value}} for tag, rows in truth.items() for at, value in rows if wanted(tag, at)]
    status, answer, _ = daemon.request("POST", "/v1/readings?unit=dac-1&items=quarantined", items, key=world.story.keys["operator"])
    assert status == 200 and answer["quarantined"] == 0, answer


def hashes(daemon, world, tag, chunk):
    rows = daemon.get(f"/v1/sensors/{world.tags[tag]}/buckets?from={chunk[0]}&to={chunk[1]}&limit=1000", key=world.story.keys["auditor"])["items"]
    newest = {}
    for row in sorted(rows, key=lambda row: row["revision"]):
        newest[row["hour"]] = row["content_hash"]
    return newest


# --- campaigns --------------------------------------------------------------------------------------------------------

TELL_EACH = 60  # seconds


class Campaign:
    """Kinds of faults in a seeded order: rounds of one of each. It goes on until `points` are done or the time is over."""

    def __init__(self, kinds, seed):
        self.kinds, self.seed = list(kinds), seed
        self.done, self.inside, self.slowest = dict.fromkeys(self.kinds, 0), dict.fromkeys(self.kinds, 0), 0.0

    def order(self, points):
        rng, order = random.Random(f"order/{self.seed}"), []
        while len(order) < points:
            order += rng.sample(self.kinds, len(self.kinds))
        return order[:points]

    def run(self, points, strike, seconds=None):
        """`strike(kind)` says whether the fault fell inside of what its kind is about."""
        self.asked, end, told = self.order(points), time.monotonic() + (seconds or 10 ** 9), time.monotonic()
        for number, kind in enumerate(self.asked):
            if time.monotonic() > end:
                break
            try:
                self.inside[kind] += bool(strike(kind))
            except BaseException:
                print(f"point {number} ({kind}) of seed {self.seed} failed; CARBOND_SEED={self.seed} repeats it", flush=True)
                raise
            self.done[kind] += 1
            if time.monotonic() > told + TELL_EACH:
                told = time.monotonic()
                print(f"{number + 1} of {points} done", file=sys.stderr, flush=True)
        return self

    def table(self, title):
        lines = [f"{title}, seed {self.seed}: {sum(self.done.values())} done of {len(self.asked)} asked"]
        for kind in self.kinds:
            lines.append(f"  {kind:<14} {self.done[kind]:>4} done of {self.asked.count(kind):>4} asked, {self.inside[kind]:>4} amid it")
        return "\n".join(lines)

    def check(self):
        missing = [kind for kind in self.kinds if not self.done[kind]]
        assert not missing, f"kinds that were not reached: {missing}"
