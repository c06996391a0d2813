#!/usr/bin/env python3
"""Runs what docker-compose.yml has Redis and Grafana run, without containers: a password may be any text, and the ones
that stand in the file do not reach beyond loopback. Needs PyYAML; without a redis-server it says what it left out.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

import yaml

PASSWORDS = [
    'pa"ss', r"a\x41b", r"back\slash", r'\"', "with space ", "$HOME `id` $(id)", "%s%d\\n", "two\nlines", "ñandú 🎭", "'", "#x",
    "x" * 500,
]
LOOPBACK = ["127.0.0.1", "127.0.0.2", "::1", "[::1]"]
OPEN = ["0.0.0.0", "::", "[::]", "10.0.0.7", ""]


def script_of(service):
    """What `sh -c` gets: compose turns `$$` into `$`."""
    assert service["entrypoint"] == ["sh", "-c"], service["entrypoint"]
    (script,) = service["command"]
    return script.replace("$$", "$")


def ask(port, *words):
    """One command in Redis' own protocol, and the first line of its answer."""
    parts = [f"*{len(words)}\r\n".encode()] + [b"$%d\r\n%s\r\n" % (len(word), word) for word in map(str.encode, words)]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"".join(parts))
        return connection.recv(100).decode().splitlines()[0]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(script, settings):
    env = {"PATH": os.environ["PATH"], **settings}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(["sh", "-c", script], env=env, start_new_session=True, **quiet)


def check_password(script, password):
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        here = script.replace("--dir /data", f"--dir {folder} --port {port} --bind 127.0.0.1")
        assert here != script, "the command has no folder of its own any more"
        redis = start(here, {"REDIS_PASSWORD": password, "REDIS_BIND": "127.0.0.1"})
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    assert ask(port, "PING").startswith("-NOAUTH"), "it wants no password"
                    break
                except ConnectionRefusedError:
                    alive = redis.poll() is None and time.monotonic() < deadline
                    assert alive, f"Redis does not start with {password!r}"
                    time.sleep(0.02)
            assert ask(port, "AUTH", password) == "+OK", f"Redis took {password!r} for something else"
            assert ask(port, "AUTH", password + "x").startswith("-WRONGPASS")
        finally:
            os.killpg(redis.pid, 9)
            redis.wait()


def check_refusals(name, script, bind, password, default):
    """With the default password it ends with 64 and a word, unless only this machine reaches it."""
    started = re.sub(r"exec .*", "echo started >&2", script, flags=re.S)
    assert started != script
    for address in LOOPBACK + OPEN:
        for secret in (default, "another"):
            run = start(started, {bind: address, password: secret})
            said = run.communicate(timeout=20)[1].decode()
            wanted = 64 if secret == default and address in OPEN else 0
            assert run.returncode == wanted, f"{name}: {bind}={address}, {secret!r}: exit code {run.returncode}: {said}"
            assert ("set " in said) == (wanted == 64), said


def main():
    with open("docker-compose.yml", encoding="utf-8") as text:
        services = yaml.safe_load(text)["services"]
    for name, service in services.items():
        # A tag that moves brings what nobody has tried. Ours is built here.
        tag = service["image"].rpartition(":")[2]
        assert "build" in service or re.match(r"v?\d+\.\d+\.\d+", tag), f"{name}: {service['image']} is no exact version"
    redis, grafana = services["redis"], services["grafana"]
    check_refusals("redis", script_of(redis), "REDIS_BIND", "REDIS_PASSWORD", "butaca")
    check_refusals("grafana", script_of(grafana), "MONITORING_BIND", "GF_SECURITY_ADMIN_PASSWORD", "admin")
    print("docker-compose.yml: default passwords stay on loopback")
    if shutil.which("redis-server"):
        for password in PASSWORDS:
            check_password(script_of(redis), password)
        print(f"docker-compose.yml: Redis understands {len(PASSWORDS)} unusual passwords")
    else:
        print("docker-compose.yml: NOT TESTED with unusual passwords: there is no redis-server")


if __name__ == "__main__":
    main()
