"""The leader campaign: of three daemons on one store the one that leads is killed with −9, or stopped (SIGSTOP) and woken again
after another has taken over, at random moments of mixed load; then what any of them had acknowledged must be there, once, in one
history (`./dev campaign leader [N]`; test_mongo_leader.py runs what fits its minutes)."""
import base64
import contextlib
import json
import random
import signal
import sys
import threading
import time

import campaign
from campaign import Campaign, Checks, Load, SETTINGS, World, seed_from_environment, verify_journal
from cluster import Cluster, Front, leads
from harness import Broker, mongo_server, scratch, wait_until

KINDS = ["kill", "pause"]
DAEMONS = 3
JOURNAL_EACH = 5  # points
TAKE_OVER_SECONDS = 5
THINK_SECONDS = 0.05  # of each sender: the views of all that is sent must be read in every check


class ClusterWorld(World):
    first_batches = 1

    def __init__(self, folder, seed, daemons=DAEMONS):
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


class ClusterLoad(Load):
    """Readings by HTTP to any daemon, transfers and retirements in four threads."""

    def __init__(self, world):
        self.world, self.go, self.ended, self.failures = world, threading.Event(), False, campaign.queue.Queue()
        bodies = [self.readings_by_http, self.transfers, self.transfers, self.retirements]
        self.idle, self.rounds = [threading.Event() for _ in bodies], [0] * len(bodies)
        self.threads = [threading.Thread(target=self.run, args=(number, body, random.Random(f"{world.seed}/{number}")), daemon=True)
                        for number, body in enumerate(bodies)]
        for thread in self.threads:
            thread.start()

    def transfers(self, rng):
        self.world.transfer(rng)
        threading.Event().wait(THINK_SECONDS)

    def retirements(self, rng):
        self.world.retire(rng)  # with a text for the vault: a transaction
        threading.Event().wait(THINK_SECONDS)


class Leader:
    def __init__(self, world):
        self.world, self.cluster, self.rng = world, world.cluster, random.Random(f"leader/{world.seed}")
        self.load, self.checks = ClusterLoad(world), Checks(world)
        self.take_overs, self.points = [], 0

    def strike(self, kind):
        self.load.resume()
        leader = self.cluster.wait_leader()
        others = [node for node in self.cluster.nodes if node is not leader]
        wait_until(lambda: any(node.ready() for node in others), "another daemon could take over")
        threading.Event().wait(self.rng.uniform(0, 0.3))
        commands = len(self.world.commands)
        leader.process.process.send_signal({"kill": signal.SIGKILL, "pause": signal.SIGSTOP}[kind])
        began = time.monotonic()
        self.world.daemon.out = {leader}
        wait_until(lambda: any(leads(node) for node in others), "another daemon leads")
        self.take_overs.append(time.monotonic() - began)
        getattr(self, "after_" + kind)(leader, others)
        self.world.daemon.out = set()
        self.load.pause()
        self.checks.commands()
        self.checks.ledger()
        self.checks.readings()
        self.points += 1
        if self.points % JOURNAL_EACH == 0:
            self.one_history()
        return len(self.world.commands) > commands

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
        """P8: the state that each daemon has come to by following is that of the whole journal: same position, same kilograms."""
        world = self.world
        position = self.cluster.wait_leader().metric("carbond_engine_position")
        for node in self.cluster.nodes:
            wait_until(node.ready, f"{node.name} is back")
            wait_until(lambda: node.metric("carbond_engine_position") >= position, f"{node.name} has followed")
            assert node.metric("carbond_kilograms") == sum(row["kg"] for row in world.holdings.batches.values())
            assert node.metric("carbond_engine_unbalanced_kilograms") == 0

    def end(self):
        self.one_history()
        self.states()
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
        return (f"shown on {mongo_server().name}: {done} commands acknowledged, none lost, none doubled; {within} of {len(self.take_overs)} take-overs within "
                f"{TAKE_OVER_SECONDS} s, slowest {max(self.take_overs, default=0):.1f} s")


def run(points, seconds=None, world=None):
    """The campaign in a world of its own, or in one that goes on afterwards."""
    with contextlib.ExitStack() as ends:
        if not world:
            world = ClusterWorld(ends.enter_context(scratch()), seed_from_environment())
            ends.callback(world.stop)
        struck, leader = Campaign(KINDS, world.seed), Leader(world)
        try:
            struck.run(points, leader.strike, seconds)
            leader.end()
        except BaseException:
            leader.tell_logs()
            raise
        finally:
            leader.load.end()
    print(struck.table("leader killed or paused") + f"\n  {leader.told()}", flush=True)
    struck.check()


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
