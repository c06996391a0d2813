#!/usr/bin/env python3
"""Checks that the dashboard and the alert rules name only series, labels and label values that a real scrape has.

  check_series.py SCRAPE FILE...              SCRAPE is what /metrics answered; FILE is a dashboard (.json) or rules (.yml)
  check_series.py --ask URL SCRAPE FILE...    also has each query evaluated by the Prometheus at URL

A query that names a missing series shows an empty graph, and an alert on one never rings; neither is noticed on the
night. Needs nothing but Python.
"""

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

# What Prometheus adds to a scrape by itself.
ADDED_SERIES = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate"}}
ADDED_LABELS = {"job", "instance"}
# A selector: a name, then labels in braces or not.
SELECTOR = re.compile(r"\b(butaca_\w+|process_\w+|up|ALERTS)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|without)\s*\(([^)]*)\)")


def read_scrape(text):
    """The labels and their values of each series."""
    series = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
        known = series.setdefault(name, {})
        for key, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
            known.setdefault(key, set()).add(value)
    return series


def queries(path):
    """All queries of a dashboard or of a file of rules."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".json"):
        found = []

        def walk(node):
            if isinstance(node, dict):
                for key, value in node.items():
                    if key in ("expr", "query") and isinstance(value, str):
                        found.append(value)
                    else:
                        walk(value)
            elif isinstance(node, list):
                for item in node:
                    walk(item)

        walk(json.loads(text))
        return found
    # Rules: the value of `expr:`, folded lines included.
    return [" ".join(block.split()) for block in re.findall(r"^\s+expr: (?:>-\n)?(.*?)\n\s+(?:for|labels):", text, re.S | re.M)]


def faults(query, series):
    """What is wrong with a query, in words."""
    selectors = SELECTOR.findall(re.sub(r"label_values\((\w+), \w+\)", r"\1", query))
    if not selectors:
        yield "names no series"
    labels_there = set(ADDED_LABELS)
    for name, matchers in selectors:
        known = series.get(name)
        if known is None:
            if name in ADDED_SERIES:
                labels_there |= ADDED_SERIES[name]
                continue
            yield f"{name} is not in the scrape"
            continue
        labels_there |= set(known)
        for label, operator, wanted in MATCHER.findall(matchers):
            if label in ADDED_LABELS or (label in known and operator in ("=~", "!~") and wanted.startswith("$")):
                continue
            if label not in known:
                yield f"{name} has no label {label}"
            elif operator in ("=", "!=") and wanted not in known[label]:
                yield f'{name} never has {label}="{wanted}"'
            elif operator in ("=~", "!~"):
                for one in wanted.split("|"):
                    if not any(re.fullmatch(one, value) for value in known[label]):
                        yield f'{name} never has {label}="{one}"'
    for group in GROUPING.findall(query):
        for label in filter(None, (part.strip() for part in group.split(","))):
            if label not in labels_there:
                yield f"no series of the query has the label {label}"


def evaluation_faults(query, url):
    """What Prometheus says against a query, once Grafana's variables are replaced."""
    if query.startswith("label_values("):
        return
    query = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
    try:
        urllib.request.urlopen(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=10).close()
    except urllib.error.HTTPError as error:
        yield json.load(error)["error"]


def main():
    arguments = sys.argv[1:]
    url = None
    if arguments[:1] == ["--ask"]:
        url, arguments = arguments[1], arguments[2:]
    if len(arguments) < 2:
        sys.exit(__doc__)
    with open(arguments[0], encoding="utf-8") as file:
        series = read_scrape(file.read())
    checked, wrong = 0, 0
    for path in arguments[1:]:
        found = queries(path)
        if not found:
            print(f"{path}: no query was found")
            wrong += 1
        for query in found:
            checked += 1
            for fault in [*faults(query, series), *(evaluation_faults(query, url) if url else [])]:
                print(f"{path}: {fault}\n    {query}")
                wrong += 1
    print(f"{checked} queries against {len(series)} series, {wrong} faults")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
