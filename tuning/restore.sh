#!/bin/sh
# Puts back what apply.sh changed.
# Usage: sudo tuning/restore.sh [STATE_FILE]   (default /run/pulsegate-tuning.saved)
set -eu

saved=${1:-/run/pulsegate-tuning.saved}
[ -e "$saved" ] || saved=$saved.new
if [ ! -e "$saved" ]; then
  echo "restore.sh: nothing to restore: apply.sh has saved nothing" >&2
  exit 1
fi
while read -r name value; do
  printf '%s' "$value" >"/proc/sys/$(printf '%s' "$name" | tr . /)"
  echo "restored $name = $value"
done <"$saved"
rm "$saved"
