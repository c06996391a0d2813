#!/usr/bin/env python3
"""Runs what docker-compose.yml has Redis and Grafana run, without containers: a password may be any text, and the ones
that stand in the file do not reach beyond loopback. Looks that shop and relay are given what they read, where it is, and
runs the relay as the file does. Needs PyYAML; without a redis-server, or a relay that is built, it says what it left out.
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


def check_places(name, service, services, volumes):
    """What a service is built from and mounts is there, who it waits for says when it is ready, and it is open to this
    machine only, unless somebody says otherwise; the seat server alone is for all.
    """
    build = service.get("build")
    if build:
        folder = build if isinstance(build, str) else build["context"]
        dockerfile = "Dockerfile" if isinstance(build, str) else build["dockerfile"]
        assert os.path.isfile(os.path.join(folder, dockerfile)), f"{name} is built from nothing"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert os.path.exists(source) if source.startswith(".") else source in volumes, f"{name}: there is no {source}"
    for other in service.get("depends_on", {}):
        # Our own image has a check of its own.
        is_ours = services[other].get("build") == "."
        assert "healthcheck" in services[other] or is_ours, f"{name} waits for {other}, which says nothing"
    for port in service.get("ports", []):
        assert name in ("websocket", "balancer") or ":-127.0.0.1}:" in port, f"{name}: {port} is open to other machines"


def check_shop(shop):
    """Every setting is one that the shop reads, and its files are where its image looks for them."""
    with open("examples/shop/shop.py", encoding="utf-8") as text:
        source = text.read()
    for name in shop["environment"]:
        assert f'"{name}"' in source, f"the shop does not read {name}"
    with open("examples/shop/Dockerfile", encoding="utf-8") as text:
        copied = [word for line in re.findall(r"^COPY (.*) \S+$", text.read(), re.M) for word in line.split()]
    for path in copied:
        assert os.path.exists(os.path.join("examples", path)), f"the shop's image copies {path}, which is not there"


def check_relay(relay):
    """The relay takes its settings as they are: it begins, and says that it waits for the log."""
    program = os.environ.get("RELAY_BINARY", "target/debug/butaca-relay")
    if not os.access(program, os.X_OK):
        return print(f"docker-compose.yml: NOT TESTED with the relay: there is no {program}")
    assert relay["entrypoint"] == ["butaca-relay"] and "command" not in relay
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for name, value in relay["environment"].items()}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "relay.key"), "w", encoding="utf-8") as key:
            key.write("a-key\n")
        # Ports at which nobody is: everything else is what the file says.
        elsewhere = {
            "RELAY_SERVER": defaults["RELAY_SERVER"].replace("websocket:8000", f"127.0.0.1:{free_port()}"),
            "RELAY_MONGO": defaults["RELAY_MONGO"].replace("//mongo/", f"//127.0.0.1:{free_port()}/")
            + "?serverSelectionTimeoutMS=100",
            "RELAY_KEY_FILE": defaults["RELAY_KEY_FILE"].replace("/keys", folder),
            "RELAY_METRICS_PORT": str(free_port()),
        }
        assert set(elsewhere) == set(defaults), f"a setting that this does not know: {set(defaults) ^ set(elsewhere)}"
        assert all(elsewhere[name] != defaults[name] for name in elsewhere), "a setting has another form now"
        run = subprocess.Popen([program], env=elsewhere, stderr=subprocess.PIPE, text=True)
        try:
            for line in run.stderr:
                if "trying again" in line:
                    break
            else:
                raise AssertionError(f"the relay ends with {run.wait()}")
        finally:
            run.kill()
            run.wait()
    print("docker-compose.yml: the relay takes its settings")


def main():
    with open("docker-compose.yml", encoding="utf-8") as text:
        compose = yaml.safe_load(text)
    services = compose["services"]
    for name, service in services.items():
        # A tag that moves brings what nobody has tried. Ours is built here.
        tag = service["image"].rpartition(":")[2]
        assert "build" in service or re.match(r"v?\d+\.\d+\.\d+", tag), f"{name}: {service['image']} is no exact version"
        check_places(name, service, services, compose["volumes"])
    check_shop(services["shop"])
    check_relay(services["relay"])
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
