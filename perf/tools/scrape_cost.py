"""The measuring half of scrape_cost.sh: scrape_cost.py NAME PORT PID TURNS SECONDS."""

import http.client
import os
import sys
import time

SCRAPES_A_SECOND = 10
CONNECTIONS = 1000


def cpu_seconds(pid):
    """User and system time of the process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scrape(connection):
    connection.request("GET", "/metrics")
    body = connection.getresponse().read()
    return body.decode()


def connected(text):
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("butaca_connections{"))


def turn(pid, connection, seconds):
    """Share of a core over one turn, with scrapes on an absolute schedule when there is a connection for them."""
    cpu, begun = cpu_seconds(pid), time.monotonic()
    scrapes = 0
    while connection and scrapes < seconds * SCRAPES_A_SECOND:
        time.sleep(max(0.0, begun + scrapes / SCRAPES_A_SECOND - time.monotonic()))
        scrape(connection)
        scrapes += 1
    time.sleep(max(0.0, begun + seconds - time.monotonic()))
    return (cpu_seconds(pid) - cpu) / (time.monotonic() - begun), scrapes


def main():
    name, port, pid, turns, seconds = sys.argv[1], *map(int, sys.argv[2:])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    deadline = time.monotonic() + 60
    while connected(text := scrape(connection)) < CONNECTIONS:
        if time.monotonic() > deadline:
            sys.exit("the connections do not come")
        time.sleep(0.2)
    time.sleep(2)
    without, scraped = [], []
    for _ in range(turns):
        without.append(turn(pid, None, seconds)[0])
        # One connection a turn, as Prometheus keeps one; the server answers 1,000 requests on it.
        share, scrapes = turn(pid, http.client.HTTPConnection("127.0.0.1", port, timeout=10), seconds)
        scraped.append(share)
    shown = lambda shares: " ".join(f"{100 * share:.2f}" for share in shares)
    cost = (sum(scraped) - sum(without)) / turns
    print(f"{name}: without {shown(without)} %, with {shown(scraped)} % of a core; "
          f"{SCRAPES_A_SECOND} scrapes a second cost {100 * cost:.2f} %, {1000 * cost / SCRAPES_A_SECOND:.2f} ms each ({len(text)} bytes)")


if __name__ == "__main__":
    main()
