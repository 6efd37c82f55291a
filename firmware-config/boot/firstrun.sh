#!/bin/sh
# Bookworm: run once by `systemd.run=` on the kernel's command line, before anything else. It lets our own unit
# begin, which can be resumed after a power cut, and takes itself off the command line.
set -u
boot=${STAIRWELL_BOOT:-/boot/firmware}
STAIRWELL_FIRSTRUN=yes sh "$boot/stairwell/begin" || exit 1 # the command line stays: the next start tries again
sed -e 's| systemd\.[a-z_]*=[^ ]*||g' "$boot/cmdline.txt" >"$boot/cmdline.new" || exit 1
sync "$boot/cmdline.new"
mv "$boot/cmdline.new" "$boot/cmdline.txt"
sync "$boot"
