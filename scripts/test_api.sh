#!/usr/bin/env bash
# Proves that the API does what its own document says: schemathesis reads /openapi.json and asks the real server for
# whatever that allows and forbids. No answer may be a 500, none may have a status, a type or a shape that is not documented.
# Needs schemathesis. EXAMPLES is how many a call (10); a failure prints the request that repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
use_binaries debug
start_server server SHARDS=2 API_PORT=0
api=$(grep -oE '^ +api +http://[^/]+' "$work/server.log" | grep -oE 'http://.*')
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
cd "$work"
schemathesis run "$api/openapi.json" --max-examples "${EXAMPLES:-10}" --seed 1 --no-color --checks "$checks"
# It has lived through all of that.
curl -fs "$api/health" | grep -q '"status":"healthy"'
