#!/bin/sh
exec "$(dirname "$0")/tools/counts.sh" "$@"
