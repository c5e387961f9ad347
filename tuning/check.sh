#!/bin/sh
# Says which kernel settings are not as a loaded gateway wants them. Changes nothing. Exit status 1 if any is not.
# `pulsegate check` looks at more (limits of the process, the kernel's features) and needs no shell.
set -u
. "$(dirname "$0")/settings.sh"

wrong=0
while IFS='|' read -r name wanted comparison why; do
  value=$(current "$name")
  if [ -z "$value" ]; then
    echo "unknown  $name: this kernel does not have it"
  elif holds "$value" "$wanted" "$comparison"; then
    echo "right    $name = $value"
  else
    echo "wrong    $name = $value, wanted $comparison $wanted: $why"
    wrong=1
  fi
done <<EOF
$(settings)
EOF
exit "$wrong"
