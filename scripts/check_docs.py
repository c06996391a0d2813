#!/usr/bin/env python3
"""Checks what the documents name against what there is: check_docs.py BUTACA LOADGEN SCRAPE.

Settings against `butaca --help`, both ways for the compose file, commands of the load generator against its help, series against a
real scrape, alerts against the rules and their tests, files and links against the tree. Needs nothing but Python.
"""

import pathlib
import re
import subprocess
import sys

DOCUMENTS = ["README.md", "SECURITY.md", *sorted(map(str, pathlib.Path("docs").rglob("*.md"))), "perf/README.md"]
# In capitals and with an underscore, like a setting, and something else.
OTHER_NAMES = {"CONFIG_IO_URING", "MIMALLOC_PURGE_DELAY", "SO_REUSEPORT", "TCP_DEFER_ACCEPT", "WEBSOCKET_URL", "BUTACA_BINARY", "IDLE_CONNECTIONS"}
# Within each of the two examples that the guides speak of.
ELSEWHERE = {"src/useButaca.js"}
ROOTS = "clients|scripts|docs|docker|deploy|examples|monitoring|perf|src|static|tests|benches|loadgen|relay"

# Where the server in the container listens, and the services and volumes beside it.
DECIDED_BY_COMPOSE = {"WEBSOCKET_HOST", "WEBSOCKET_PORT", "DATA_DIR", "REDIS_HOST", "REDIS_PORT"}

# What is read first stays short: lines, and characters a line where a limit makes sense.
SHORT = {"README.md": (80, None), "docs/ARCHITECTURE.md": (150, 120)}

faults = []


def fault(path, text):
    faults.append(f"{path}: {text}")


def read(path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def help_of(*command):
    return subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout


def check_settings(path, text, settings):
    for name in set(re.findall(r"\b([A-Z]{3,}(?:_[A-Z]+)+)\b(?!\.md)", text)) - OTHER_NAMES:
        if name not in settings:
            fault(path, f"{name} is no setting")


def check_series(path, text, series):
    for name in set(re.findall(r"\bbutaca_[a-z_]+", text)):
        if name not in series:
            fault(path, f"{name} is in no scrape")


def check_commands(path, text, commands):
    for name in set(re.findall(r"(?:loadgen --|`loadgen|target/release/loadgen) ([a-z]+)\b", text)):
        if name not in commands:
            fault(path, f"loadgen has no command {name}")


def check_files(path, text):
    folder = pathlib.Path(path).parent
    for target in re.findall(r'(?:\]\(|src=")([^)\s#"]+)', text):
        if not re.match(r"[a-z]+:", target) and not (folder / target).exists():
            fault(path, f"links to {target}, which is not there")
    for name in set(re.findall(rf"(?<=[`\s(])((?:{ROOTS})/[\w./*-]*\w)", text)) - ELSEWHERE:
        if not any(pathlib.Path().glob(name)) and not any(folder.glob(name)):
            fault(path, f"names {name}, which is not there")


def check_lengths():
    for path, (lines_max, width_max) in SHORT.items():
        lines = read(path).splitlines()
        if len(lines) > lines_max:
            fault(path, f"has {len(lines)} lines, over {lines_max}")
        for number, line in enumerate(lines, 1):
            if width_max and len(line) > width_max:
                fault(path, f"line {number} has {len(line)} characters, over {width_max}")


def check_alerts():
    rules = set(re.findall(r"- alert: (\w+)", read("monitoring/rules/butaca.yml")))
    tests = read("monitoring/tests/butaca.test.yml")
    rings = set(re.findall(r'alertname="(\w+)"', tests))
    table = set(re.findall(r"\bButaca[A-Z]\w+", read("docs/OPERATIONS.md")))
    for name in rules ^ table:
        fault("docs/OPERATIONS.md", f"the alert {name} is missing here or in the rules")
    for name in rules - rings:
        fault("monitoring/tests/butaca.test.yml", f"no test of {name}")


def check_compose(butaca):
    """Every setting reaches the server in the container, but those that the file itself decides."""
    listed = subprocess.run([butaca, "--print-config"], check=True, capture_output=True, text=True).stdout
    settings = {line.split()[0] for line in listed.splitlines()}
    service = re.search(r"^  websocket:\n(.*?)^  \w", read("docker-compose.yml"), re.M | re.S).group(1)
    environment = re.search(r"^    environment:.*\n((?:      .*\n)+)", service, re.M).group(1)
    passed = dict(re.findall(r"^ +([A-Z0-9_]+): (.*)$", environment, re.M))
    for name in settings - passed.keys() - DECIDED_BY_COMPOSE:
        fault("docker-compose.yml", f"{name} does not reach the server")
    for name in passed.keys() - settings:
        fault("docker-compose.yml", f"{name} is no setting")
    for name in passed.keys() - DECIDED_BY_COMPOSE:
        if not passed[name].startswith(f"${{{name}:-"):
            fault("docker-compose.yml", f"{name} is not passed on")


def main():
    butaca, loadgen, scrape = sys.argv[1:]
    settings = {flag.upper().replace("-", "_") for flag in re.findall(r"--([a-z-]+)", help_of(butaca))}
    settings |= set(re.findall(r"\$\{(\w+):-", read("docker-compose.yml")))
    settings |= set(re.findall(r"\b([A-Z]+(?:_[A-Z]+)+)\b", read("scripts/start_websocket.sh")))
    for path in ["src/limits.rs", *pathlib.Path("src/limits").glob("*.rs")]:
        settings |= set(re.findall(r"pub const (\w+):", read(path)))
    settings |= set(re.findall(r'env = "(\w+)"', read("relay/src/cli.rs")))
    commands = set(re.findall(r"^  ([a-z]+) ", help_of(loadgen), re.M))
    series = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in re.findall(r"^(\w+)", read(scrape), re.M)}
    series |= set(re.findall(r'"(butaca_relay_\w+)"', read("relay/src/figures.rs")))
    for path in DOCUMENTS:
        text = read(path)
        check_settings(path, text, settings)
        check_series(path, text, series)
        check_commands(path, text, commands)
        check_files(path, text)
    check_lengths()
    check_alerts()
    check_compose(butaca)
    print("\n".join([*faults, f"{len(DOCUMENTS)} documents, {len(faults)} faults"]))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
