"""Single readings over MQTT into a real carbond, each acknowledged when it is durable, beside a bare QoS 1 subscriber of the
same broker. Both drain a session for which the broker has kept the same number of messages, in alternating rounds, so that no
publisher shares the processors."""
import pathlib
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
from harness import BUILD, Broker, Daemon, scratch, wait_until  # noqa: E402
from readings_bench import Plant, cpu_seconds  # noqa: E402
from say import say  # noqa: E402

MESSAGES, ROUNDS, TAGS = 20000, 5, 20
TOPIC = "carbond/v1/acme/u/readings"


def tool(verb, broker, count, last):
    run = subprocess.run([BUILD / "bench/mqtt_bench", verb, str(broker.port), TOPIC, str(count), str(last)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def publish(broker, number):
    start_s = int(time.time()) - 86400 * 3 + number * (MESSAGES // TAGS)
    tool("publish", broker, MESSAGES, start_s * 1_000_000)


def drain_bare(broker):
    """(messages/s, the broker's processor seconds)"""
    before = cpu_seconds(broker.process.pid)
    took = float(tool("subscribe", broker, MESSAGES, "bare"))
    return MESSAGES / took, cpu_seconds(broker.process.pid) - before


def drain_carbond(broker, daemon):
    """The same, and carbond's own processor seconds a message."""
    daemon.start(ready=False)
    seen = []

    def is_done():
        try:
            count = daemon.metric("carbond_ingest_readings_total")
        except OSError:
            return False
        if count:
            seen.append((time.monotonic(), count))
        return count >= MESSAGES  # what was not yet acknowledged at a stop comes twice
    before = cpu_seconds(broker.process.pid)
    wait_until(is_done, "carbond has all messages", 120)
    broker_s = cpu_seconds(broker.process.pid) - before
    own_s = cpu_seconds(daemon.process.pid)
    (first, had), (last, has) = seen[0], seen[-1]
    daemon.stop()
    assert len(seen) > 2, "too few messages to time them"
    return (has - had) / (last - first), broker_s, own_s


def main():
    with scratch() as folder:
        broker = Broker(folder / "broker")
        daemon = Daemon(folder / "carbond", broker, {"log.level": "warn"}).init().start()
        try:
            operator = {"org_id": daemon.first["organisation_id"], "label": "operator", "roles": ["operator", "org-admin"]}
            daemon.key = daemon.request("POST", "/v1/keys", operator)[1]["key"]
            plant = Plant(daemon)
            for number in range(TAGS):
                plant.sensor(f"t-{number:02}")
            daemon.stop()
            tool("subscribe", broker, 0, "bare")
            bare, ours = [], []
            for number in range(ROUNDS):
                publish(broker, number)  # both sessions get it
                if number % 2:
                    ours.append(drain_carbond(broker, daemon))
                bare.append(drain_bare(broker))
                if not number % 2:
                    ours.append(drain_carbond(broker, daemon))
            median = lambda rows, column: statistics.median(row[column] for row in rows)
            rate, peer = median(ours, 0), median(bare, 0)
            say("what", "single readings over MQTT, QoS 1, acknowledged when durable")
            say("how", f"{MESSAGES:,} messages kept by mosquitto for a session are drained, {ROUNDS} alternating rounds, medians; carbond's count is read from /metrics")
            say("measured", f"{rate:,.0f} readings/s; {median(ours, 2) * 1e6 / MESSAGES:.1f} µs of carbond's processor a message, its start included, "
                            f"{median(ours, 1) * 1e6 / MESSAGES:.1f} of the broker's")
            say("beside", f"bare QoS 1 subscriber: {peer:,.0f} messages/s, {median(bare, 1) * 1e6 / MESSAGES:.1f} µs of the broker's processor a message; "
                          f"carbond has {100 * statistics.median(o[0] / b[0] for o, b in zip(ours, bare)):.0f} % of it (round by round: "
                          f"{', '.join(f'{100 * o[0] / b[0]:.0f}' for o, b in zip(ours, bare))})")
            say("target", "95 % of the bare subscriber")
            say("limits", "the broker: it delivers what the receive maximum of 1,000 allows, then waits for acknowledgements")
        finally:
            if daemon.process.alive():
                daemon.stop()
            broker.stop()


if __name__ == "__main__":
    main()
