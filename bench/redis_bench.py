"""Commands (transfers over REST) at a steady rate, with the cache shared by a real Redis: while nothing is wrong, and while Redis
is killed and started again, stopped for five seconds, flushed all the time, and gone with a server in its place that answers
nonsense. No command waits for Redis, so none of it should show."""
import contextlib
import http.client
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
from harness import wait_until  # noqa: E402
from say import say  # noqa: E402
from story import uuid7  # noqa: E402
from test_main_job import issued_world  # noqa: E402
from test_redis import PASSWORD, Redis, scratch  # noqa: E402

RATE, SENDERS, SECONDS = 200, 4, 10


def sender(world, number, begin, times):
    connection = http.client.HTTPConnection("127.0.0.1", world.daemon.port, timeout=30)
    for turn in range(RATE // SENDERS * SECONDS):
        due = begin + (turn * SENDERS + number) / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        taker, key = (("globex", "trader"), ("acme", "buyer"))[turn % 2]  # there, and back
        body = json.dumps({"to_org_id": world.orgs[taker], "batch": world.issued["number"], "kg": 1})
        connection.request("POST", "/v1/transfers", body, {"Authorization": f"Bearer {world.keys[key]}", "Content-Type": "application/json",
                                                           "Idempotency-Key": uuid7()})
        answer = connection.getresponse()
        text = answer.read()
        times.append((time.monotonic() - due, answer.status, text))


def transfers(world, fault):
    """Percentiles of the answers' times, from when each was due; all are 2xx."""
    times, begin, end = [], time.monotonic() + 0.1, threading.Event()
    threads = [threading.Thread(target=sender, args=(world, number, begin, times)) for number in range(SENDERS)]
    trouble = threading.Thread(target=fault, args=(end,))
    for thread in [*threads, trouble]:
        thread.start()
    for thread in threads:
        thread.join()
    end.set()
    trouble.join()
    bad = [(status, text) for _, status, text in times if status not in (200, 201)]
    assert not bad and len(times) == RATE * SECONDS, (bad[:3], len(times))
    took = sorted(seconds for seconds, _, _ in times)
    return took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000


def killed(redis):
    def fault(end):
        while not end.is_set():
            redis.process.kill(signal.SIGKILL)
            end.wait(2)
            redis.start()
            end.wait(2)
    return fault


def stopped(redis):
    def fault(end):
        redis.process.process.send_signal(signal.SIGSTOP)
        end.wait(5)
        redis.process.process.send_signal(signal.SIGCONT)
    return fault


def flushed(redis):
    def fault(end):
        with socket.create_connection(("127.0.0.1", redis.port)) as sock:
            sock.sendall(f"AUTH {PASSWORD}\r\n".encode())
            sock.recv(100)
            while not end.wait(0.05):
                sock.sendall(b"FLUSHALL\r\n")
                sock.recv(100)
    return fault


def nonsense(redis):
    def fault(end):
        redis.process.kill(signal.SIGKILL)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", redis.port))
        listener.listen()
        listener.settimeout(0.1)
        while not end.is_set():
            with contextlib.suppress(OSError):
                sock = listener.accept()[0]
                sock.sendall(b"$-7\r\n*99999999\r\n:x\r\n" * 50)
                sock.close()
        listener.close()
        redis.start()
    return fault


def main():
    with scratch() as folder:
        redis = Redis(folder / "redis")
        try:
            with issued_world({**redis.settings(), "log.level": "error"}) as world:
                say("what", f"transfers over REST at {RATE}/s, the cache shared by Redis, while Redis fails")
                say("how", f"{SENDERS} connections of one Python client, {SECONDS} s each; an answer's time runs from when its command was due")
                shared = lambda: world.daemon.metric("carbond_cache_redis_connections") == 2
                cases = {"nothing": lambda end: None, "killed every 4 s": killed(redis), "stopped for 5 s": stopped(redis), "flushed 20 times a second": flushed(redis),
                         "nonsense in its place": nonsense(redis), "nothing, again": lambda end: None}
                found = {}
                for name, fault in cases.items():
                    wait_until(shared, "Redis answers")
                    found[name] = transfers(world, fault)
                    say("measured" if name == "nothing" else "beside" if name == "nothing, again" else "", f"{name}: p50 {found[name][0]:.2f} ms, p99 {found[name][1]:.2f} ms")
                normal = max(found.pop("nothing")[1], found.pop("nothing, again")[1])
                worst = max(p99 for _, p99 in found.values())
                say("target", f"p99 below twice the normal: {worst / normal:.2f} times, {'met' if worst < 2 * normal else 'missed'}; all commands carried out, "
                              f"{world.daemon.metric('carbond_engine_unbalanced_kilograms'):.0f} kg unbalanced")
        finally:
            with contextlib.suppress(ProcessLookupError, subprocess.SubprocessError):
                redis.process.kill(signal.SIGKILL)


if __name__ == "__main__":
    main()
