#!/bin/sh
# Sets the kernel settings of settings.sh until the next boot, and saves what stood there before, for restore.sh.
# Usage: sudo tuning/apply.sh [STATE_FILE]     (default /run/pulsegate-tuning.saved)
set -eu
. "$(dirname "$0")/settings.sh"

saved=${1:-/run/pulsegate-tuning.saved}
if [ -e "$saved" ]; then
  echo "apply.sh: $saved exists: already applied; run restore.sh first" >&2
  exit 1
fi
: >"$saved.new"
settings | while IFS='|' read -r name wanted comparison _why; do
  value=$(current "$name")
  if [ -z "$value" ]; then
    echo "skipped  $name: this kernel does not have it"
  elif holds "$value" "$wanted" "$comparison"; then
    echo "already  $name = $value"
  else
    # Saved before it is changed: an interrupted run can still be undone.
    echo "$name $value" >>"$saved.new"
    printf '%s' "$wanted" >"/proc/sys/$(printf '%s' "$name" | tr . /)"
    echo "set      $name = $wanted (was $value)"
  fi
done
mv "$saved.new" "$saved"
