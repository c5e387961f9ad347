# Sourced by check.sh, apply.sh and restore.sh: the kernel settings that a gateway wants, one place for all three.
#
# name|wanted|comparison|why it matters
# Comparison: `at-least` or `equal`.

settings() {
  cat <<'TABLE'
net.core.rmem_max|67108864|at-least|without CAP_NET_ADMIN the socket buffer of a shard is capped at this; a full buffer drops heartbeats
net.core.netdev_max_backlog|10000|at-least|datagrams wait here between the network card and the socket; the default of 1000 is one burst of a large relay
kernel.io_uring_disabled|0|equal|with 1 or 2 the gateway falls back to recvmmsg, at up to a fifth more CPU (benches/results)
TABLE
}

# Reads a setting; prints nothing where the kernel does not have it.
current() {
  cat "/proc/sys/$(printf '%s' "$1" | tr . /)" 2>/dev/null
}

# Whether a value is good enough: holds VALUE WANTED COMPARISON
holds() {
  case "$3" in
    at-least) [ "$1" -ge "$2" ] ;;
    equal) [ "$1" -eq "$2" ] ;;
  esac
}
