#!/bin/sh
# Starts Tapekeeper in a container. The arguments are those of `tapekeeper`; without any it records.
set -eu

app=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# Railway says where its volume is.
data=${TAPEKEEPER_DATA_DIR:-${RAILWAY_VOLUME_MOUNT_PATH:-/data}}
if [ -n "${RAILWAY_VOLUME_MOUNT_PATH:-}" ]; then data=$RAILWAY_VOLUME_MOUNT_PATH; fi
export TAPEKEEPER_DATA_DIR="$data"

if [ "$#" -eq 0 ]; then set -- collect; fi
if [ "$1" = collect ]; then
  mkdir -p "$data" 2>/dev/null || true
  if ! [ -d "$data" ] || ! [ -w "$data" ]; then
    echo "tapekeeper: $data cannot be written by user $(id -u): mount a volume there that belongs to it" >&2
    if [ -n "${RAILWAY_VOLUME_MOUNT_PATH:-}" ]; then
      echo "tapekeeper: on Railway, volumes belong to root: set RAILWAY_RUN_UID=0" >&2
    fi
    exit 73
  fi
fi
# In place of this shell, so that signals reach it.
exec node "$app/bin/tapekeeper.js" "$@"
