#!/bin/sh
exec "$(dirname "$0")/tools/run.sh" "$@"
