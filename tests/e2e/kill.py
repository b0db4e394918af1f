"""The kill campaign: carbond is killed with −9 amid each kind of its work, under mixed load, and started again; then everything
it had acknowledged must be there, once (`./dev campaign kill [N]`; test_kill.py runs what fits its minutes).

A kind is an act whose usual duration is known from before; the kill falls at a random moment of it."""
import contextlib
import http.client
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from campaign import HOUR, SETTINGS, Campaign, Checks, Load, World, seed_from_environment
from harness import CARBOND, CARBONCTL, Daemon, can_connect, scratch, wait_until

KINDS = ["load", "period-close", "issue", "claim-race", "transfer", "retire", "back-fill", "flush", "snapshot", "backup", "checkpoint",
         "configuration", "start", "stop"]
DEAR_EACH = 4  # a dear check each so many points
# how long the acts take, to begin with: it is learned while the campaign runs
USUAL_SECONDS = {"load": 0.3, "period-close": 0.1, "issue": 0.15, "claim-race": 0.05, "transfer": 0.008, "retire": 0.008, "back-fill": 0.4, "snapshot": 0.2,
                 "backup": 0.15, "checkpoint": 0.03, "configuration": 0.03, "start": 0.2, "stop": 0.1}


class Killer:
    def __init__(self, world):
        self.world, self.rng, self.load, self.checks = world, random.Random(f"kill/{world.seed}"), Load(world), Checks(world)
        self.durations, self.points, self.restarts, self.labels = dict(USUAL_SECONDS), 0, [], {}

    # one point

    def strike(self, kind):
        self.load.resume()
        self.finish = lambda: None
        inside = getattr(self, "point_" + kind.replace("-", "_"))()
        self.recover()
        self.load.pause()
        self.finish()
        self.checks.cheap()
        self.configured()
        if self.points % DEAR_EACH == 0:
            dear = self.checks.dear()
            dear[self.points // DEAR_EACH % len(dear)]()
        self.points += 1
        return inside

    def recover(self):
        began = time.monotonic()
        self.world.daemon.start()
        self.restarts.append(time.monotonic() - began)
        self.learn("start", self.restarts[-1])

    def end(self):
        """All that is dear, and every reading since the beginning."""
        for check in self.checks.dear():
            check()
        self.checks.readings(whole=True)

    def told(self):
        world = self.world
        return (f"{sum(len(series.promised) for series in world.series.values())} readings, {sum(c.status in (200, 201, 202) for c in world.commands)} commands and "
                f"{len(world.holdings.batches)} batches acknowledged, none lost, none doubled; slowest start {max(self.restarts, default=0):.2f} s")

    def amid(self, kind, act):
        """Kills at a random moment of the act; True: the act had not ended."""
        ended, failures = threading.Event(), []

        def run():
            began = time.monotonic()
            try:
                act()
                self.learn(kind, time.monotonic() - began)
            except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
                failures.append(error)
            ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        ended.wait(self.moment(kind))
        inside = not ended.is_set()
        if inside:  # as far as is known it might have lasted longer
            self.durations[kind] *= 1.1
        assert not (ended.is_set() and failures), failures  # it failed without any fault
        self.kill()
        thread.join(120)
        assert not thread.is_alive(), f"{kind} hangs after the kill"
        return inside

    def moment(self, kind):
        return self.rng.uniform(0, 1.1 * self.durations[kind])

    def learn(self, kind, took):
        self.durations[kind] = (self.durations[kind] + took) / 2

    def kill(self):
        assert self.world.daemon.process.alive(), "carbond has ended by itself:\n" + self.world.daemon.process.text()[-3000:]
        self.world.daemon.process.kill()

    # kinds: each prepares, kills amid its act, and leaves in self.finish what brings the act to its end afterwards

    def point_load(self):
        return self.amid("load", lambda: threading.Event().wait(0.3))

    def point_period_close(self):
        world = self.world
        period = world.period(world.filled_chunk())
        command = world.prepare(f"/v1/periods/{period}/submit", None, "operator")

        def act():
            world.send(command)
            wait_until(lambda: world.job_of(command), "the job has ended")

        def finish():
            submission = world.submission(period, command)
            world.attest(submission)
            world.issue(submission)

        self.finish = finish
        return self.amid("period-close", act)

    def point_issue(self):
        world, sent = self.world, []
        submission = world.submission(world.period(world.filled_chunk()))

        def act():
            world.attest(submission)
            sent.append(world.prepare(f"/v1/periods/{submission['id']}/issue", None, "issuer", world.issued))
            world.settle(sent[0])

        def finish():
            world.settle_all()  # what was under way has its answer first
            if not sent:
                world.attest(submission)  # anew: a verifier counts once
                sent.append(world.settle(world.begin(f"/v1/periods/{submission['id']}/issue", None, "issuer", world.issued)))
            assert sent[0].status in (200, 201), sent
            world.packs.append(submission)

        self.finish = finish
        return self.amid("issue", act)

    def point_claim_race(self):
        """P4: two periods over the same hours, issued by eight threads at once."""
        world = self.world
        chunk = world.filled_chunk()
        submissions = [world.submission(world.period(chunk)), world.submission(world.period((chunk[0] + HOUR, chunk[1])))]
        for submission in submissions:
            world.attest(submission)
        commands = [world.prepare(f"/v1/periods/{submissions[i % 2]['id']}/issue", None, "issuer", world.issued) for i in range(8)]

        def act():
            threads = [threading.Thread(target=world.send, args=(command,)) for command in commands]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def finish():
            world.settle_all()
            won = [(i, command) for i, command in enumerate(commands) if command.status in (200, 201)]
            assert len(won) == 1 and all(command.status in (200, 201, 409) for command in commands), commands
            world.packs.append(submissions[won[0][0] % 2])

        self.finish = finish
        return self.amid("claim-race", act)

    def point_transfer(self):
        return self.amid("transfer", lambda: self.world.transfer(self.rng))

    def point_retire(self):
        return self.amid("retire", lambda: self.world.retire(self.rng))

    def point_back_fill(self):
        """P12: the same chunk comes twice over MQTT, once in order and once shuffled."""
        world = self.world
        chunk = world.chunk()
        truth = world.truth(chunk)
        messages = {}
        for tag, rows in truth.items():
            for at, value in rows:
                messages.setdefault(at, {})[tag] = value
        lines = [json.dumps({"t": at, "v": values}) for at, values in messages.items()]
        self.rng.shuffle(lines)

        def act():
            shuffled = threading.Thread(target=world.publish, args=("dac-1", lines))
            shuffled.start()
            assert world.simulate(chunk)
            shuffled.join()
            world.arrived(chunk)

        def finish():
            submission = world.submission(world.period(world.arrived(chunk)))
            world.attest(submission)
            world.issue(submission)

        self.finish = finish
        return self.amid("back-fill", act)

    def point_flush(self):
        before = self.world.daemon.metric("carbond_sensing_flushes_total")
        wait_until(lambda: self.world.daemon.metric("carbond_sensing_flushes_total") > before, "open buckets are being flushed")
        self.kill()
        return True

    def point_snapshot(self):
        def act():  # more than enough events for a snapshot
            for _ in range(SETTINGS["engine.snapshot_events"] // 3 + 4):
                self.world.transfer(self.rng)

        return self.amid("snapshot", act)

    def point_backup(self):
        world = self.world
        made = []
        inside = self.amid("backup", lambda: made.append(world.backup(f"at-{self.points}")))
        backup = made[0] if made else None
        if backup and not backup["whole"] and backup["folder"].exists():
            other = Daemon(world.folder / "unfinished")
            run = subprocess.run([str(CARBOND), "restore", *other.flags(), str(backup["folder"])], capture_output=True, text=True)
            backup["whole"] = run.returncode == 0  # it had come to its end; only its answer was lost
            shutil.rmtree(other.folder)
        world.keep_backup(backup)
        return inside

    def point_checkpoint(self):
        world = self.world
        act = lambda: subprocess.run([str(CARBONCTL), "checkpoint", "--socket", str(world.daemon.data / "admin.sock"), "--json"], capture_output=True)
        return self.amid("checkpoint", act)

    def point_configuration(self):
        world = self.world

        def act():
            for number in range(6):
                code = f"C{self.points}N{number}"
                status, answer, _ = world.daemon.request("POST", "/v1/metering-points", {"unit_id": world.lab, "code": code, "name": code, "role": "other"},
                                                         key=world.story.keys["operator"])
                assert status == 201, answer
                self.labels[code] = answer["id"]

        return self.amid("configuration", act)

    def configured(self):
        """Every acknowledged row of configuration is there, once."""
        rows = self.world.rows("/v1/metering-points", key="operator", unit_id=self.world.lab)
        codes = [row["code"] for row in rows]
        assert len(codes) == len(set(codes))
        assert self.labels.items() <= {row["code"]: row["id"] for row in rows}.items()

    def point_start(self):
        """Killed while it starts and replays, up to three times in a row."""
        self.kill()
        inside = False
        for _ in range(self.rng.randrange(1, 4)):
            self.world.daemon.start(ready=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.world.daemon.process.process.wait(self.moment("start"))
            inside = inside or not can_connect(self.world.daemon.port)
            self.kill()
        return inside

    def point_stop(self):
        process = self.world.daemon.process
        began = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.process.wait(self.moment("stop"))
            self.learn("stop", time.monotonic() - began)
            assert code == 0, "it did not stop well:\n" + process.text()[-3000:]
        inside = process.alive()
        process.kill()
        return inside


def run(points, seconds=None, seed=None):
    """The campaign in a world of its own; its table."""
    seed = seed_from_environment() if seed is None else seed
    campaign = Campaign(KINDS, seed)
    with scratch() as folder:
        world = World(folder, seed)
        killer = Killer(world)
        try:
            campaign.run(points, killer.strike, seconds)
            killer.end()
        finally:
            killer.load.end()
            world.stop()
    table = campaign.table("kill -9") + f"\n  {killer.told()}"
    print(table, flush=True)
    campaign.check()
    return table


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
