"""Several daemons on one MongoDB store, and what stands in front of them: a balancer that does as nginx and haproxy do, namely goes
on to the next daemon where one refuses the connection or answers 503, and leaves out for a while whoever does not answer."""
import contextlib
import http.client
import itertools
import json
import secrets
import signal
import subprocess
import time

from harness import CARBOND, Daemon, mongo_server, wait_until

START_SECONDS = 60


class Cluster:
    def __init__(self, folder, count, settings=None, broker=None):
        self.folder, self.uri = folder, mongo_server().new_uri()
        folder.mkdir(parents=True, exist_ok=True)
        self.key_file = folder / "relay.key"
        self.key_file.write_text(secrets.token_hex(24) + "\n")
        self.nodes = []
        for name in "abcdefgh"[:count]:
            node = Daemon(folder / name, broker=broker, settings={"node": name, "store.uri": self.uri, "relay.key_file": self.key_file,
                                                                  "mqtt.share_group": "carbond", **(settings or {})})
            node.settings["relay.address"] = f"http://127.0.0.1:{node.port}"
            node.name = name
            self.nodes.append(node)

    def init(self):
        first, *others = self.nodes
        first.init()
        for node in others:
            node.first, node.key = first.first, first.key
            run = subprocess.run([str(CARBOND), "init", *node.flags(), "--join", str(first.data)], capture_output=True, text=True)
            assert run.returncode == 0, run.stdout + run.stderr
        return self

    def start(self):
        for node in self.nodes:
            node.start(ready=False)
        for node in self.nodes:
            wait_until(node.ready, f"{node.name} is ready", START_SECONDS)
        return self

    def stop(self):
        for node in self.nodes:
            if node.process and node.process.alive():
                node.process.process.send_signal(signal.SIGCONT)
                node.process.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            if node.process:
                node.stop()

    def leader(self, among=None):
        """The daemon that says of itself that it leads, or None."""
        for node in among or self.nodes:
            if leads(node):
                return node
        return None

    def wait_leader(self, among=None, seconds=30):
        return wait_until(lambda: self.leader(among), "a daemon leads", seconds)

    def wait_known(self, key):
        """Until every daemon has heard of a key that one of them has made."""
        for node in self.nodes:
            wait_until(lambda: node.request("GET", "/v1/organisations", key=key)[0] != 401, f"{node.name} knows the key")

    def __enter__(self):
        return self.init().start()

    def __exit__(self, *_):
        self.stop()


def leads(node, timeout=2):
    if not (node.process and node.process.alive()):
        return False
    with contextlib.suppress(OSError, http.client.HTTPException, IndexError):
        return node.request("GET", "/metrics", timeout=timeout)[1].decode().split("\ncarbond_engine_leads ")[1].split()[0] == "1"
    return False


class Front:
    """Looks like one daemon to the stories and campaigns, and is all of them in turn."""

    def __init__(self, cluster):
        self.cluster, self.turns, self.out, self.pinned, self.gone_on = cluster, itertools.count(), set(), None, 0

    @property
    def nodes(self):
        return self.cluster.nodes

    @property
    def first(self):
        return self.cluster.nodes[0].first

    @property
    def key(self):
        return self.cluster.nodes[0].key

    @property
    def port(self):
        return self.pick()[0].port

    @property
    def data(self):
        return self.cluster.wait_leader().data

    @property
    def process(self):
        return self

    def alive(self):
        return any(node.process.alive() for node in self.cluster.nodes)

    def pick(self):
        """All that are not left out, beginning with another one each time."""
        if self.pinned:
            return [self.pinned]
        nodes = [node for node in self.cluster.nodes if node not in self.out] or self.cluster.nodes
        turn = next(self.turns) % len(nodes)
        return nodes[turn:] + nodes[:turn]

    def request(self, method, path, body=None, headers=None, key=None, timeout=60):
        """As of a balancer: the next daemon is asked where one cannot be connected to, breaks off, or answers 503. All requests that
        change value carry their Idempotency-Key, so asking twice changes nothing."""
        answer = error = None
        for node in self.pick():
            answer = error = None
            try:
                answer = node.request(method, path, body, headers, key, timeout)
            except (OSError, http.client.HTTPException) as broken:
                error = broken
            if answer and answer[0] != 503:
                return answer
            self.gone_on += 1
        if error:
            raise error
        return answer

    def get(self, path, **more):
        """A read that may come while the lead changes hands, or before what it asks for at least."""
        def answered():
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, body, _ = self.request("GET", path, **more)
                if status not in (500, 502, 503, 504):
                    return status, body
            return None

        status, body = wait_until(answered, f"{path} is answered")
        assert status == 200, (path, status, body)
        return body

    def metric(self, name):
        """Of the daemon that leads."""
        return self.cluster.wait_leader().metric(name)
