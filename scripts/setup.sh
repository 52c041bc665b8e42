#!/usr/bin/env bash
# Checks each program that a target needs. As root it installs only what is missing; otherwise it prints the exact
# command and stops before anything is built. Takes well under a second when all is there.
#   setup.sh build   what building and the demo need
#   setup.sh all     what tests and benchmarks need beside it
set -euo pipefail

packages=()   # Debian packages to install
advice=()     # what is to be done by hand

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 || packages+=("$2")
}

if ! command -v cargo >/dev/null 2>&1; then
    advice+=("Rust is missing: install rustup (https://rustup.rs); rust-toolchain.toml names the version")
fi
need gcc gcc
need make make
[ -e /usr/include/stdio.h ] || packages+=(libc6-dev)

if [ "${1:-all}" = all ]; then
    need ip iproute2
    need tc iproute2
    [ -x /usr/sbin/nft ] || need nft nftables
    [ -x /usr/sbin/miniupnpd ] || need miniupnpd miniupnpd-nftables
    need curl curl
    need ping iputils-ping
    need chrt util-linux
    need strace strace
    need faketime faketime
    need c++ g++
    need mcs mono-mcs
    need mono mono-runtime
    [ -x /usr/sbin/mkfs.xfs ] || need mkfs.xfs xfsprogs
    [ -x /usr/sbin/mkfs.exfat ] || need mkfs.exfat exfatprogs
    [ -x /usr/sbin/mount.exfat-fuse ] || need mount.exfat-fuse exfat-fuse
    # Not everybody's path leads to where Debian puts servers.
    [ -x /usr/sbin/nginx ] || need nginx nginx-light
    [ -x /usr/sbin/nats-server ] || need nats-server nats-server
    need chromium chromium
    need ffmpeg ffmpeg
    # Debian 12's own Node.js is older than the SDK's test runner allows, so it is not installed from there.
    if ! command -v npm >/dev/null 2>&1 || ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
        advice+=("Node.js 20 or later with npm is missing: install it from https://nodejs.org or your distribution")
    fi
fi

if [ ${#packages[@]} -gt 0 ]; then
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
    command=(apt-get install -y --no-install-recommends "${packages[@]}")
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing ${packages[*]}"
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive "${command[@]}" >/dev/null
    else
        advice+=("run as root: apt-get update && ${command[*]}")
    fi
fi

if [ "${1:-all}" = all ] && [ ${#advice[@]} -eq 0 ] && ! cargo deny --version >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        echo "setup: installing cargo-deny (a few minutes, once)"
        env -u CARGO_TARGET_DIR cargo install --quiet --locked cargo-deny
    else
        advice+=("run: cargo install --locked cargo-deny")
    fi
fi

if [ ${#advice[@]} -gt 0 ]; then
    printf 'setup: %s\n' "${advice[@]}" >&2
    exit 2
fi
