"""The leader campaign: of two and of three daemons on one store the one that leads is killed with −9, or stopped (SIGSTOP) and woken
again after another has taken over, at random moments of mixed load: readings by HTTP and MQTT, transfers, retirements, periods from
readings to batches, and clients that watch the events. Then what any of them had acknowledged must be there, once, in one history, and
whoever watched has it all (`./dev campaign leader [N]`; test_mongo_leader.py runs what fits its minutes)."""
import base64
import concurrent.futures
import contextlib
import http.client
import json
import random
import signal
import sys
import threading
import time

import campaign
from campaign import SECOND, SETTINGS, Campaign, Checks, Load, World, iso, seed_from_environment, verify_journal
from cluster import Cluster, Front, leads
from harness import Broker, mongo_server, scratch, wait_until
from watch import Watcher

KINDS = ["kill", "pause"]
CHECK_EACH = 10  # points; the load goes on in between: the views, which every check waits for, follow slower than a point takes
TAKE_OVER_SECONDS = 5
PERIOD_SECONDS = 90  # a job that its hours' owner has left in the lurch takes a minute to say so
THINK_SECONDS = 0.2  # of each sender: the views of all that is sent must be read in every check


class ClusterWorld(World):
    first_batches = 1

    def __init__(self, folder, seed, daemons=3):
        folder.mkdir(exist_ok=True)
        self.folder, self.seed, self.rng = folder, seed, random.Random(seed)
        self.broker = Broker(folder / "broker")
        self.cluster = Cluster(folder / "cluster", daemons, {**SETTINGS, "store.low_water_mb": 0}, self.broker)
        self.daemon = Front(self.cluster)
        try:
            self.cluster.init().start()
            self.daemon.pinned = self.cluster.wait_leader()  # keys made on one daemon are known to the others a moment later
            self.populate()
            for key in self.story.keys.values():
                self.cluster.wait_known(key)
            self.daemon.pinned = None
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.cluster.stop()
        self.broker.stop()

    def backup(self, name):
        return None


class Closing:
    """A plant's periods from their readings at the broker to their batches, one step a turn, whoever leads: what is not answered, or
    answered 503, is sent again under the same id."""

    def __init__(self, world):
        self.world, self.ended, self.steps = world, 0, self.periods()

    def turn(self):
        next(self.steps)

    def periods(self):
        world = self.world
        while True:
            chunk = world.chunk()
            assert world.simulate(chunk), "the broker has acknowledged it"
            while self.minutes(chunk) < (chunk[1] - chunk[0]) // (60 * SECOND):  # a part may be in a dead member's session
                yield
            while not (draft := self.draft(chunk)):
                yield
            period = f"/v1/periods/{draft}"
            job = None
            while not job or job["state"] != "done":
                submitted = yield from self.answered(f"{period}/submit", None, "operator")
                while not (job := world.job_of(submitted)):
                    yield
                # the hours' owner died, and who has taken them over was not done in time: the operator submits again
                assert job["state"] == "done" or job["error"].startswith("deadline:"), job
            submission, = world.rows(f"{period}/submissions", key="operator")
            for name in ("north", "south"):
                yield from self.attested(submission["id"], name)
            yield from self.answered(f"/v1/periods/{submission['id']}/issue", None, "issuer", world.issued)
            self.ended += 1
            yield

    def answered(self, path, body, key, effect=None):
        command = self.world.prepare(path, body, key, effect)
        while not (command.answered or self.world.send(command)):
            yield
        assert command.status in (200, 201, 202), command
        return command

    def minutes(self, chunk):
        path = f"/v1/sensors/{self.world.tags['FT-101']}/readings?agg=count&step=1h&from={chunk[0]}&to={chunk[1]}"
        return sum(row["value"] or 0 for row in self.world.daemon.get(path, key=self.world.story.keys["operator"])["items"])

    def draft(self, chunk):
        """Of a period that no answer came for there may be a second draft: configuration is no command."""
        world = self.world
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, answer, _ = world.daemon.request("POST", "/v1/periods", {"project_id": world.story.project_id, "from": iso(chunk[0]), "to": iso(chunk[1])},
                                                     key=world.story.keys["operator"], timeout=30)
            assert status == 201 or status >= 500, answer
            return answer["id"] if status == 201 else None
        return None

    def attested(self, submission, name):
        world = self.world
        pack = world.folder / f"{name}.tar"
        pack.write_bytes(world.daemon.get(f"/v1/periods/{submission}/pack", key=world.story.keys[name]))
        signature = world.story.ctl("sign", pack, "--key", world.folder / f"{name}.key")
        yield from self.answered(f"/v1/periods/{submission}/attestations", {
            "verifier_id": world.story.verifiers[name], "evidence_root": signature["evidence_root"], "signature": signature["signature"]}, name)


class ClusterLoad(Load):
    """Readings by HTTP to any daemon and by MQTT to whom the broker chooses, transfers and retirements, and periods from readings to
    batches, a thread each."""

    def __init__(self, world):
        self.world, self.go, self.ended, self.failures = world, threading.Event(), False, campaign.queue.Queue()
        self.closing = Closing(world)
        bodies = [self.readings_by_http, self.readings_by_mqtt, self.transfers, self.transfers, self.retirements, self.periods]
        self.idle, self.rounds = [threading.Event() for _ in bodies], [0] * len(bodies)
        self.threads = [threading.Thread(target=self.run, args=(number, body, random.Random(f"{world.seed}/{number}")), daemon=True)
                        for number, body in enumerate(bodies)]
        for thread in self.threads:
            thread.start()

    def readings_by_http(self, rng):
        super().readings_by_http(rng)
        threading.Event().wait(THINK_SECONDS)

    def readings_by_mqtt(self, rng):
        super().readings_by_mqtt(rng)
        threading.Event().wait(THINK_SECONDS)

    def transfers(self, rng):
        self.world.transfer(rng)
        threading.Event().wait(THINK_SECONDS)

    def retirements(self, rng):
        self.world.retire(rng)  # with a text for the vault: a transaction
        threading.Event().wait(THINK_SECONDS)

    def periods(self, rng):
        self.closing.turn()
        threading.Event().wait(THINK_SECONDS)


class Leader:
    def __init__(self, world):
        self.world, self.cluster, self.rng = world, world.cluster, random.Random(f"leader/{world.seed}")
        self.load, self.checks = ClusterLoad(world), Checks(world)
        self.take_overs, self.points = [], 0
        nodes, key = self.cluster.nodes, world.story.keys["auditor"]
        self.watchers = [Watcher(nodes, "/v1/events", key, at) for at in range(len(nodes))]
        for watcher in self.watchers:
            assert watcher.begun.wait(60), "the events are streamed"

    def strike(self, kind):
        self.load.resume(1)
        leader = self.cluster.wait_leader()
        others = [node for node in self.cluster.nodes if node is not leader]
        wait_until(lambda: any(node.ready() for node in others), "another daemon could take over", 60)
        threading.Event().wait(self.rng.uniform(0, 0.3))
        began = time.monotonic()
        leader.process.process.send_signal({"kill": signal.SIGKILL, "pause": signal.SIGSTOP}[kind])
        under_way = any(not command.answered for command in self.world.commands[-12:])
        self.world.daemon.out = {leader}
        wait_until(lambda: any(leads(node) for node in others), "another daemon leads")
        self.take_overs.append(time.monotonic() - began)
        getattr(self, "after_" + kind)(leader, others)
        self.world.daemon.out = set()
        self.points += 1
        if self.points % CHECK_EACH == 0:
            self.check()
        return under_way

    def check(self):
        """What was lost or doubled stays so: it is found at the next check, whichever point it was."""
        self.load.pause()
        self.checks.commands()
        self.checks.ledger()
        self.checks.readings()
        self.one_history()

    def after_kill(self, leader, others):
        leader.process.kill()
        leader.start(ready=False)  # the next fault may find it starting

    def after_pause(self, leader, others):
        """Woken, it must know at once that it leads no longer: what it is asked then is answered by its successor or not at all."""
        threading.Event().wait(self.rng.uniform(0, 1))
        successor = next(node for node in others if leads(node))
        before = successor.metric("carbond_engine_position")
        leader.process.process.send_signal(signal.SIGCONT)
        command = self.world.prepare("/v1/transfers", {"to_org_id": self.world.story.orgs["globex"], "batch": 1, "kg": 10 ** 9}, "trader")
        status, answer, _ = leader.request("POST", command.path, command.body, {"Idempotency-Key": command.id, "X-Request-Id": command.id},
                                           key=self.world.story.keys["trader"])
        # far too much: a refusal, which appends nothing, and so is given by a leader alone
        assert status in (409, 422, 503), (status, answer)
        passed_on = lambda: any(f'"request_id":"{command.id}"' in node.process.text() for node in others)
        leads_again = lambda: leads(leader) and leader.metric("carbond_engine_position") >= before
        if status != 503:
            wait_until(lambda: passed_on() or leads_again(), "a woken leader has answered from its old state: nobody else was asked")
        wait_until(lambda: not leads(leader) or not any(leads(node) for node in others), "one daemon leads")
        wait_until(leader.ready, f"{leader.name} follows")

    def one_history(self):
        """P2, P3, P8 of the exported journal, from the ground; and each daemon that led fenced off the one before: its term is above,
        begins with its own record, and nobody else writes in it."""
        world = self.world
        path = world.folder / "journal.ndjson"
        path.write_bytes(world.daemon.get("/v1/journal/batches", key=world.story.keys["auditor"]))
        text = verify_journal(path)
        assert f"held {sum(world.holdings.held.values())}," in text, text
        term, node = 0, None
        for line in path.read_text().splitlines()[1:]:
            batch = json.loads(line)
            payload = base64.urlsafe_b64decode(batch["payload"] + "=" * (-len(batch["payload"]) % 4))
            led = int.from_bytes(payload[4:6], "little") == 6  # the type in the first event's header: led
            if batch["term"] != term:
                assert batch["term"] > term and led and batch["count"] == 1, batch
                term, node = batch["term"], batch["node"]
            assert batch["node"] == node, (batch, node)
        return term

    def states(self):
        """P8: the state that each daemon has come to, by executing or by following, is that which the whole journal leads to."""
        world, path, auditor = self.world, self.world.folder / "journal.ndjson", self.world.story.keys["auditor"]
        for node in self.cluster.nodes:
            wait_until(node.ready, f"{node.name} is back", 60)

        def at_rest():
            before = world.daemon.metric("carbond_engine_position")
            path.write_bytes(world.daemon.get("/v1/journal/batches", key=auditor))
            states = {node.name: world.story.ctl("state", "--socket", node.data / "admin.sock") for node in self.cluster.nodes}
            positions = {before, world.daemon.metric("carbond_engine_position"), *(state["position"] for state in states.values())}
            return states if len(positions) == 1 else None

        states = wait_until(at_rest, "all daemons are at the journal's end")
        assert len({state["state_hash"] for state in states.values()}) == 1, ("daemons at one position have different states", states)
        verify_journal(path, "--state-hash", states[self.cluster.nodes[0].name]["state_hash"])
        for node in self.cluster.nodes:
            assert node.metric("carbond_engine_unbalanced_kilograms") == 0

    def streams(self):
        """Whoever watched has every event of the journal since it began, once and in order, through whichever daemons."""
        position, auditor = int(self.world.daemon.metric("carbond_engine_position")), self.world.story.keys["auditor"]
        events, at = {}, 1
        while at <= position:
            page = self.world.daemon.get(f"/v1/events?from={at}&limit=1000&at-least={position}", headers={"Accept": "application/json"}, key=auditor)
            events |= {event["number"]: event for event in page["items"]}
            at = page["next_position"]
        for watcher in self.watchers:
            wait_until(lambda: watcher.failure or (watcher.last or 0) >= max(events), f"a watcher has the journal up to {max(events)}")
            watcher.end()
            told = [(at, data) for at, name, data in watcher.frames if name not in ("begin", "behind", "cut")]
            begun = watcher.frames[0][0]
            assert told == [(at, event) for at, event in sorted(events.items()) if at > begun], "a watcher missed events, or had them twice"

    def end(self):
        self.load.pause()
        begun = self.load.closing.ended
        wait_until(lambda: self.load.closing.turn() or self.load.closing.ended > begun, "the period under way is issued", PERIOD_SECONDS)
        self.check()
        self.states()
        self.streams()
        self.checks.readings(whole=True)
        self.checks.claims()

    def tell_logs(self):
        """What the daemons said last, but for their requests."""
        for node in self.cluster.nodes:
            lines = [line for line in node.process.text().splitlines() if '"event":"http_request"' not in line]
            print(f"--- {node.name}, {'alive' if node.process.alive() else 'ended'}", *lines[-20:], sep="\n", file=sys.stderr)

    def told(self):
        within = sum(took <= TAKE_OVER_SECONDS for took in self.take_overs)
        done = sum(c.status in (200, 201, 202) for c in self.world.commands)
        readings = sum(len(series.promised) for series in self.world.series.values())
        return (f"{len(self.cluster.nodes)} daemons: {done} commands and {readings} readings acknowledged, none lost, none doubled; {self.load.closing.ended} periods "
                f"issued; {len(self.watchers)} watchers resumed {sum(watcher.resumed for watcher in self.watchers)} times, nothing missed; "
                f"{within} of {len(self.take_overs)} take-overs within {TAKE_OVER_SECONDS} s, slowest {max(self.take_overs, default=0):.1f} s")


def run_one(world, points, seconds):
    struck, leader = Campaign(KINDS, world.seed), Leader(world)
    try:
        struck.run(points, leader.strike, seconds)
        leader.end()
    except BaseException:
        leader.tell_logs()
        raise
    finally:
        leader.load.end()
    return struck, leader


def run(points, seconds=None, worlds=None):
    """The campaign in two worlds at once, of two daemons and of three, half of the points each: a take-over is waiting, mostly. Worlds that
    are given go on afterwards."""
    with contextlib.ExitStack() as ends, concurrent.futures.ThreadPoolExecutor() as pool:
        worlds = worlds or make_worlds(ends)
        runs = [pool.submit(run_one, world, (points + number) // len(worlds), seconds) for number, world in enumerate(worlds)]
        ran = [run.result() for run in runs]
    print(f"leader killed or paused, shown on {mongo_server().name}:")
    for struck, leader in ran:
        print(struck.table(f"of {len(leader.cluster.nodes)} daemons") + f"\n  {leader.told()}", flush=True)
        struck.check()


def make_worlds(ends, sizes=(2, 3)):
    """The folders go last; all are made at once."""
    folder, seed = ends.enter_context(scratch()), seed_from_environment()
    mongo_server()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        making = [pool.submit(ClusterWorld, folder / str(daemons), seed + daemons, daemons) for daemons in sizes]
    for made in making:
        if not made.exception():
            ends.callback(made.result().stop)
    return [made.result() for made in making]


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
