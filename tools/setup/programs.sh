#!/bin/sh
# Checks that the programs for the Makefile's targets are installed.
#
#   programs.sh python            Python with venv: tests, lint
#   programs.sh python compiler   and a C compiler: the build of an image
#   programs.sh arm               a compiler for the RP2040: the build of a board's image
#   programs.sh node              Node.js: the emulated board
#   programs.sh passt             its network, for users without the rights to make one
#   programs.sh tls               openssl and curl: peers of the tests
#   programs.sh peers             a browser, message brokers and collectors: more peers of the tests
#
# Programs that are installed and work are used, on any system. Missing programs are installed with apt if the system has
# it and the user is root. This is written in POSIX shell, because Python may be missing.
set -eu

PYTHON=${PYTHON:-python3}
missing=        # for people
packages=       # for apt

lacks() {
    missing="$missing${missing:+, }$1"
    packages="$packages${packages:+ }$2"
}

check_python() {
    if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
        lacks "Python 3.9 or later" "python3 python3-venv"
    elif ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        lacks "Python's venv module" python3-venv
    fi
}

check_compiler() {
    # MicroPython's makefiles call the compiler by name: clang on macOS, gcc elsewhere.
    cc=gcc
    [ "$(uname -s)" != Darwin ] || cc=clang
    if ! command -v $cc >/dev/null; then
        lacks "a C compiler ($cc)" "gcc libc6-dev"
    elif ! echo '#include <pthread.h>' | $cc -fsyntax-only -x c - 2>/dev/null; then
        lacks "the C library's headers" libc6-dev
    fi
}

check_arm() {
    if ! echo '#include <algorithm>' | arm-none-eabi-g++ -fsyntax-only -x c++ - 2>/dev/null; then
        lacks "a compiler for the RP2040 (arm-none-eabi-gcc, newlib, libstdc++)" \
            "gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib"
    fi
    for program in cmake ninja:ninja-build patch; do
        command -v "${program%%:*}" >/dev/null || lacks "${program%%:*}" "${program##*:}"
    done
}

check_node() {
    if ! node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null; then
        lacks "Node.js 18 or later" nodejs
    fi
    command -v npm >/dev/null || lacks npm npm
}

check_passt() {
    command -v passt >/dev/null || lacks passt passt
}

check_tls() {
    for program in openssl curl; do
        command -v $program >/dev/null || lacks $program $program
    done
}

check_peers() {
    PATH=$PATH:/usr/sbin  # where Debian has servers, and users have no path to
    for program in chromium chromedriver:chromium-driver mosquitto mosquitto_sub:mosquitto-clients nats-server prometheus rsyslogd:rsyslog; do
        command -v "${program%%:*}" >/dev/null || lacks "${program%%:*}" "${program##*:}"
    done
}

check() {
    missing= packages=
    for program in "$@"; do
        "check_$program"
    done
}

stop() {
    {
        echo
        echo "Missing: $missing."
        echo "$1"
        echo "Without a compiler: MICROPYTHON=/path/to/micropython takes an interpreter that is already built."
        echo "MPY_DIR=/path/to/checkout builds from a MicroPython checkout instead of Debian's sources."
        echo
    } >&2
    exit 1
}

check "$@"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    stop "This is not a Debian system: please install that by its own means, then run make again."
fi
if [ "$(id -u)" -ne 0 ]; then
    stop "As root, make installs it; or:  sudo apt-get install --no-install-recommends $packages"
fi

echo "Missing: $missing."
echo "Installing the Debian packages $packages and what they depend on."
export DEBIAN_FRONTEND=noninteractive
# The lists may be empty (container images) or name versions that the mirror no longer has.
# shellcheck disable=SC2086  # $packages is a list of words
apt-get update -q && apt-get install -q -y --no-install-recommends $packages ||
    stop "apt-get could not install $packages: its messages above say why."

check "$@"
[ -z "$missing" ] || stop "The packages $packages did not bring it."
