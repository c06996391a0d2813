#!/usr/bin/env bash
# Checks what can be checked of the containers, units and start scripts without containers. scripts/test_image.sh runs those.
set -euo pipefail
cd "$(dirname "$0")/.."
# Where scripts/test.sh installs hadolint and compose-lint.
export PATH="$PWD/target/tools/venv/bin:$PATH"

hadolint Dockerfile examples/shop/Dockerfile
echo "Dockerfile: no finding"
compose-lint --version >/dev/null
compose-lint docker-compose.yml | tail -2
if docker compose version >/dev/null 2>&1; then
  docker compose --profile monitoring --profile shop --profile cluster config -q && echo "docker-compose.yml: valid"
elif command -v docker-compose >/dev/null; then
  docker-compose --profile monitoring --profile shop --profile cluster config -q && echo "docker-compose.yml: valid"
fi
kubernetes-validate --strict --quiet deploy/kubernetes/statefulset.yaml deploy/kubernetes/services.yaml deploy/kubernetes/disruption.yaml
echo "deploy/kubernetes: no finding"
for script in scripts/*.sh scripts/lib/*.sh perf/*.sh perf/tools/*.sh docker/*.sh .ci/run; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
  shellcheck -x scripts/*.sh scripts/lib/*.sh docker/*.sh .ci/run
  echo "scripts: no finding"
fi

python3 - <<'END'
import json
profile = json.load(open("docker/seccomp.json"))
allowed = [name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule for name in rule["names"]]
assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
assert len(allowed) == len(set(allowed)), "a call stands twice"
assert {"io_uring_setup", "io_uring_enter", "io_uring_register"} <= set(allowed)
forbidden = {"bpf", "mount", "umount2", "setns", "unshare", "init_module", "kexec_load", "keyctl", "add_key", "userfaultfd", "perf_event_open", "reboot"}
assert not forbidden & set(allowed), forbidden & set(allowed)
print(f"seccomp profile: {len(allowed)} calls, io_uring among them")
END

python3 scripts/check_compose.py

python3 - <<'END'
import re
unit = open("deploy/butaca.service").read()
setting = lambda name: int(re.search(rf"^{name}=(\d+)$", unit, re.M).group(1))
# Another server's lease lasts ten minutes where somebody set it so: the unit has to be still trying then.
interval = setting("StartLimitIntervalSec")
assert interval == 0 or setting("StartLimitBurst") * setting("RestartSec") > 600, "it gives up while a lease runs out"
assert "75" not in re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.M).group(1).split(), "75 is worth another try"
print("systemd unit: waits for another server's lease")
END

# systemd knows best what a unit means; the binary need not be installed for that.
if command -v systemd-analyze >/dev/null; then
  unit=$(mktemp -d)/butaca.service
  sed 's#/usr/local/bin/butaca#/bin/true#' deploy/butaca.service >"$unit"
  systemd-analyze verify "$unit"
  rm -r "$(dirname "$unit")"
  echo "systemd unit: no finding"
fi

scripts/test_start.sh
