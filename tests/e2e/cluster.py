"""Several daemons on one MongoDB store, and what stands in front of them: a balancer that does what nginx and haproxy do, namely goes
on to the next daemon where one refuses the connection or answers 503 (`proxy_next_upstream error http_503`)."""
import contextlib
import http.client
import secrets
import signal
import threading
import time

from harness import Daemon, mongo_server, wait_until

FAR_TOO_LONG = 60


class Cluster:
    def __init__(self, folder, count, settings=None, broker=None):
        self.folder, self.uri = folder, mongo_server().new_uri()
        folder.mkdir(parents=True, exist_ok=True)
        self.key_file = folder / "relay.key"
        self.key_file.write_text(secrets.token_hex(24) + "\n")
        self.nodes = []
        for name in "abcdefgh"[:count]:
            node = Daemon(folder / name, broker=broker, settings={"node": name, "store.uri": self.uri, "relay.key_file": self.key_file, **(settings or {})})
            node.settings["relay.address"] = f"http://127.0.0.1:{node.port}"
            node.name = name
            self.nodes.append(node)

    def init(self):
        first, *others = self.nodes
        first.init()
        for node in others:
            node.first, node.key = first.first, first.key
            self.join(node, first)
        return self

    @staticmethod
    def join(node, first):
        import subprocess
        from harness import CARBOND
        run = subprocess.run([str(CARBOND), "init", *node.flags(), "--join", str(first.data)], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr

    def start(self):
        for node in self.nodes:
            node.start(ready=False)
        for node in self.nodes:
            wait_until(node.ready, f"{node.name} is ready", FAR_TOO_LONG)
        return self

    def stop(self):
        for node in self.nodes:
            if node.process and node.process.alive():
                with contextlib.suppress(OSError):
                    node.process.process.send_signal(signal.SIGCONT)
                node.stop()

    def leader(self, among=None):
        """The daemon that says of itself that it leads, or None."""
        for node in among or self.nodes:
            if node.process and node.process.alive():
                with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                    if node.request("GET", "/metrics", timeout=2)[1].decode().split("\ncarbond_engine_leads ")[1].split()[0] == "1":
                        return node
        return None

    def wait_leader(self, among=None, seconds=30):
        return wait_until(lambda: self.leader(among), "a daemon leads", seconds)

    def __enter__(self):
        return self.init().start()

    def __exit__(self, *_):
        self.stop()
