"""A daemon that shares its cache by a real Redis, which is killed in the middle of the main job: nothing of value changes, and it
is shared again by itself."""
import re
import shutil
import signal

import test_main_job
from harness import TOP, Process, can_connect, free_port, scratch, wait_until
from test_doctor import doctor

PASSWORD = "a-password-that-no-log-has"


class Redis:
    """redis-server without persistence and with the permissions of OPERATORS.md, on a port and a folder of its own."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        folder.mkdir()
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "redis.conf").write_text(
            f'port {self.port}\nbind 127.0.0.1\nsave ""\nappendonly no\ndir {folder}\n{self.user()}\n')
        self.start()

    @staticmethod
    def user():
        guide = (TOP / "docs/OPERATORS.md").read_text()
        return re.search(r"^user default on .*$", guide, flags=re.M).group(0).replace(">PASSWORD", f">{PASSWORD}")

    def start(self):
        self.process = Process([shutil.which("redis-server"), self.folder / "redis.conf"], self.folder / "log")
        wait_until(lambda: can_connect(self.port), "redis listens")

    def settings(self):
        return {"cache.uri": f"redis://127.0.0.1:{self.port}/1", "cache.password_file": self.folder / "password"}


def finding(daemon):
    """What carbonctl doctor says of the cache."""
    return doctor(daemon)["cache"]["verdict"]


def test_main_job_while_redis_is_killed():
    """The whole main job, its refusals and a kill -9 of carbond, which starts without Redis; then Redis is back."""
    tests = [test for name, test in vars(test_main_job).items() if name.startswith("test_")]
    with scratch() as folder:
        redis = Redis(folder / "redis")
        try:
            with test_main_job.issued_world(redis.settings()) as world:
                shared = lambda: world.daemon.metric("carbond_cache_redis_connections") == 2
                wait_until(shared, "Redis answers")
                assert world.daemon.metric("carbond_cache_redis_round_trip_seconds_count") > 0
                middle = tests.index(test_main_job.test_separation_of_duties)
                for test in tests[:middle]:
                    test(world)
                redis.process.kill(signal.SIGKILL)
                wait_until(lambda: world.daemon.metric("carbond_cache_redis_connections") == 0, "Redis is seen to be away")
                assert finding(world.daemon) == "warning"
                for test in tests[middle:]:
                    test(world)
                assert world.daemon.metric("carbond_cache_redis_unshared_total") > 0
                assert world.daemon.metric("carbond_engine_unbalanced_kilograms") == 0
                redis.start()
                wait_until(shared, "Redis answers again")
                assert finding(world.daemon) == "ok"
                assert PASSWORD not in world.daemon.process.text()
        finally:
            redis.process.kill(signal.SIGKILL)
