#!/usr/bin/env bash
# What the technician's scripts share: one connection to a kit by the user's own ssh, whose settings and keys hold.
# Sourced; written for bash 3.2 too, which a Mac has.

say() { echo "${0##*/}: $*" >&2; }
die() { # die CODE TEXT...
  say "${@:2}"
  exit "$1"
}

help() { # the head of the script that was started
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
  exit 0
}

disconnect() {
  ssh -o ControlPath="$sockets/%C" -O exit "$kit" 2>/dev/null || true # there may be none
  rm -rf "$sockets"
}

connect() { # connect HOST: all that follows shares this connection, so a password is asked for once
  local code=0
  kit=$1 account=plain
  sockets=$(mktemp -d "${TMPDIR:-/tmp}/kit.XXXXXX")
  trap disconnect EXIT
  ssh -o ControlMaster=auto -o ControlPath="$sockets/%C" -o ControlPersist=60 -o ConnectTimeout=15 "$kit" \
    'echo a shell is here' </dev/null >"$sockets/answer" || code=$?
  [[ $code -ne 255 ]] || die 3 "no way to $kit by ssh (its words are above). Fix: see that the kit has power and network, and that \`ssh $kit\` works"
  # Whatever a technician's account is asked, the doctor answers (ForceCommand of sshd).
  [[ $(tail -n 1 "$sockets/answer") = 'a shell is here' ]] || account=forced
  forced_code=$code
}

forced_answer() { # what a forced command said, with its exit code
  cat "$sockets/answer"
  return "$forced_code"
}

need_shell() { # need_shell WHAT
  [[ $account = plain ]] ||
    die 3 "no $1 from $kit: this account is shown what the doctor finds, and nothing else. Fix: scripts/diagnose $kit, or come as steward"
}

on_kit() { # on_kit [-t] WORDS...: run them there, as root where that needs no password
  local terminal=() words='' word
  if [[ $1 = -t ]]; then
    terminal=(-t)
    shift
  fi
  for word in "$@"; do
    words+=" '${word//\'/\'\\\'\'}'"
  done
  # shellcheck disable=SC2016 # the kit's shell expands it
  ssh ${terminal[@]+"${terminal[@]}"} -o ControlPath="$sockets/%C" "$kit" \
    'as() { if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; then sudo -n "$@"; else "$@"; fi; }; as'"$words"
}
