#!/usr/bin/env bash
# Brings a machine to where Waihu can run: system packages, the virtual environment, the Asterisk image.
#
#   scripts/bootstrap.sh              everything it takes to run
#   scripts/bootstrap.sh tests        and what only the tests need: a browser
#   scripts/bootstrap.sh packages     only the system packages
#   scripts/bootstrap.sh venv         packages and virtual environment
#
# Does only what is missing, so it is cheap to call before every command; may be interrupted and run again. Quiet when there is nothing
# to do; a line for each long step; on failure what went wrong and what to do. Touches nothing outside the checkout except the system
# packages it names.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$checkout"
wanted=${1:-all}
work=$checkout/.run/setup
venv=$checkout/.venv

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# ---------------------------------------------------------------- what is there

# The first Python that is new enough and can make a virtual environment.
find_python() {
    local name
    for name in ${WAIHU_PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if have "$name" && "$name" -c 'import sys, venv, ensurepip, ssl; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

has_postgres() {
    local program version
    for program in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$program" ] || continue
        version=${program#/usr/lib/postgresql/}
        [ "${version%%/*}" -ge 14 ] 2>/dev/null && return 0
    done
    have initdb && have postgres
}

has_redis() { have redis-server || have redis-check-rdb; }

# A real daemon, not podman's stand-in of that name.
docker_answers() {
    [ "${WAIHU_CONTAINER_RUNTIME:-}" != podman ] && have docker &&
        [ -n "$(timeout 10 docker info --format '{{.ServerVersion}}' 2>/dev/null)" ]
}

# Not as a snap: that cannot read what lies in a hidden or temporary folder.
has_browser() {
    local name path
    for name in chromium-headless-shell chromium google-chrome-stable google-chrome; do
        path=$(command -v "$name") && [[ $path != /snap/* ]] && return 0
    done
    compgen -G "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}/chromium*/INSTALLATION_COMPLETE" >/dev/null
}

missing_packages() {
    has_postgres || echo postgresql
    has_redis || echo redis-tools
    have make || echo make
    have xorriso || echo xorriso
    have dvdisaster || echo dvdisaster
    have age || echo age
    have setpriv && have unshare || echo util-linux
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    if [ "${WAIHU_CONTAINER_RUNTIME:-}" != docker ] && ! docker_answers; then
        have podman || echo podman
        have runc || have crun || echo runc
        have mmdebstrap || echo mmdebstrap
        [ "$(id -u)" = 0 ] || have newuidmap || echo uidmap
    fi
    find_python >/dev/null || python_packages
    # Ubuntu has it as a snap only: see make_browser.
    [ "$wanted" != tests ] || has_browser || ! candidate chromium-headless-shell || echo chromium-headless-shell
}

candidate() { [ "$(apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ { print $2 }')" != "(none)" ] && apt-cache show "$1" >/dev/null 2>&1; }

# The distribution's own Python where it is new enough (Debian 12), else a newer one beside it (Ubuntu 22.04: python3.11).
python_packages() {
    local version
    version=$(apt-cache show python3 2>/dev/null | awk '/^Version:/ { print $2; exit }')
    case $version in
    3.1[1-9]* | 3.[2-9][0-9]*) echo python3 python3-venv && return ;;
    esac
    for version in 3.13 3.12 3.11; do
        if candidate "python$version-venv"; then
            echo "python$version" "python$version-venv"
            return
        fi
    done
    echo python3.11 python3.11-venv
}

# ---------------------------------------------------------------- system packages

root=()
become_root() {
    [ "$(id -u)" = 0 ] && return
    have sudo || fail "these system packages are missing and this user may not install them: $*" \
        "Have an administrator run:  apt-get install --no-install-recommends $*" \
        "or install sudo and give this user the right to use it."
    if ! sudo -n true 2>/dev/null; then
        [ -t 0 ] && [ -t 1 ] || fail "these system packages are missing, and sudo wants a password but there is no terminal to ask on: $*" \
            "Run once in a terminal:  sudo apt-get install --no-install-recommends $*"
        say "sudo may ask for your password to install: $*"
    fi
    root=(sudo)
}

apt() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 "$@" \
        >>"$work/apt.log" 2>&1 </dev/null
}

apt_failed() {
    local log=$work/apt.log
    tail -n 12 "$log" >&2
    if grep -q 'No space left on device\|have enough free space' "$log"; then
        fail "the disk is full: apt could not write its packages" "Make room on / (df -h /) and run this again."
    elif grep -qE 'Temporary failure|Could not resolve|Could not connect|Connection timed out|Network is unreachable|Unable to connect|Failed to fetch' "$log"; then
        fail "the package mirror cannot be reached" "Check the network, the proxy and /etc/apt/sources.list*, then run this again. Log: $log"
    elif grep -q 'Unable to locate package\|has no installation candidate' "$log"; then
        fail "the package sources of this system do not have: $*" \
            "Debian 12 or newer has them all; Ubuntu 22.04 or newer has them with the component 'universe' switched on." "Log: $log"
    elif grep -q 'Could not get lock' "$log"; then
        fail "another program installs packages just now" "Wait until it has finished and run this again."
    fi
    fail "apt could not install: $*" "Log: $log"
}

install_packages() {
    local packages
    # Without package lists (a fresh container) nothing can be chosen yet; python's package depends on them.
    packages=$(missing_packages | tr '\n' ' ')
    packages=${packages% }
    [ -n "$packages" ] || return 0
    have apt-get || fail "this system has no apt-get; these programs are missing" \
        "Install with your own package manager what Debian calls: $packages" \
        "Waihu is tested on Debian 12 and Ubuntu 22.04 and newer."
    become_root "$packages"
    : >"$work/apt.log"
    if ! apt-cache show postgresql >/dev/null 2>&1 || ! apt-cache show mmdebstrap >/dev/null 2>&1; then
        say "fetching the package lists"
        apt update || apt_failed "$packages"
        packages=$(missing_packages | tr '\n' ' ')
        packages=${packages% }
    fi
    say "installing system packages: $packages"
    case $packages in *postgresql*) say "(PostgreSQL's package also sets up a cluster of its own on port 5432; Waihu does not use it)" ;; esac
    # shellcheck disable=SC2086  # one word per package
    if ! apt install --no-install-recommends $packages; then
        grep -qE '404 +Not Found|Unable to locate|has no installation candidate' "$work/apt.log" || apt_failed "$packages"
        say "the package lists are old; fetching them again"
        : >"$work/apt.log"
        apt update || apt_failed "$packages"
        # shellcheck disable=SC2086
        apt install --no-install-recommends $packages || apt_failed "$packages"
    fi
    packages=$(missing_packages | tr '\n' ' ')
    [ -z "${packages% }" ] || fail "installed, and still missing: $packages" "Log: $work/apt.log"
}

# ---------------------------------------------------------------- virtual environment

# What the environment depends on: the locked packages, our own metadata, the interpreter and the place (it cannot be moved).
venv_key() {
    { cat requirements-dev.lock pyproject.toml scripts/hatch_metadata.py requirements.in && printf '%s\n' "$checkout" && "$1" -V; } | sha256sum | cut -d ' ' -f 1
}

make_venv() {
    local python key log=$work/pip.log
    python=$(find_python) || fail "no Python 3.11 or newer found" \
        "Install one (Debian 12: python3 python3-venv; Ubuntu 22.04: python3.11 python3.11-venv), or name it in WAIHU_PYTHON."
    key=$(venv_key "$python")
    if [ -e "$venv/.complete" ] && [ "$(cat "$venv/.complete")" = "$key" ] && "$venv/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    say "making the virtual environment with locked packages (about 40 s)"
    rm -f "$venv/.complete"
    : >"$log"
    # Only where the interpreter or the place has changed is the old one of no use; else pip changes what differs.
    if ! { [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.base" 2>/dev/null)" = "$python $("$python" -V) $checkout" ] && "$venv/bin/python" -m pip -V >/dev/null 2>&1; }; then
        rm -rf "$venv"
        "$python" -m venv "$venv" >>"$log" 2>&1 || pip_failed "$log"
        printf '%s' "$python $("$python" -V) $checkout" >"$venv/.base"
    fi
    pip install --require-hashes --only-binary=:all: --no-binary=bagit,pyst2 -r requirements-dev.lock >>"$log" 2>&1 || pip_failed "$log"
    pip install --no-deps --no-build-isolation -e . >>"$log" 2>&1 || pip_failed "$log"
    printf '%s' "$key" >"$venv/.complete"
}

pip() {
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_CACHE_DIR=${PIP_CACHE_DIR:-$checkout/.run/cache/pip} PYTHONNOUSERSITE=1 \
        "$venv/bin/python" -m pip "$@" </dev/null
}

pip_failed() {
    tail -n 12 "$1" >&2
    if grep -q 'No space left on device' "$1"; then
        fail "the disk is full: the virtual environment could not be written" "Make room where $checkout lies (1 GB) and run this again."
    elif grep -q 'DO NOT MATCH THE HASHES' "$1"; then
        fail "a package differs from the locked one" "A proxy or mirror changed it on the way: use another one. Log: $1"
    elif grep -qE 'Temporary failure|Failed to establish|Max retries|Name or service not known|Network is unreachable|Read timed out|ProxyError' "$1"; then
        fail "the Python package index cannot be reached" "Check the network and the proxy, or set your mirror in pip's configuration, then run this again. Log: $1"
    fi
    fail "the virtual environment could not be made" "Log: $1"
}

# ---------------------------------------------------------------- browser

# Where the distribution has no Chromium outside a snap, the one that Playwright builds for it, with the libraries it names.
make_browser() {
    local log=$work/browser.log
    has_browser && return
    become_root "the libraries of Chromium"
    say "fetching Chromium for the tests (100 MB)"
    "${root[@]}" "$venv/bin/playwright" install-deps chromium-headless-shell >"$log" 2>&1 </dev/null &&
        "$venv/bin/playwright" install --only-shell chromium >>"$log" 2>&1 </dev/null && return
    tail -n 12 "$log" >&2
    fail "Chromium for the tests could not be fetched" \
        "Install google-chrome-stable, or check the network and the proxy and run this again. Log: $log"
}

# ---------------------------------------------------------------- all together

check_disk() {
    local free_kb needed_kb=$1
    free_kb=$(df -Pk "$checkout" | awk 'NR == 2 { print $4 }')
    [ "$free_kb" -ge "$needed_kb" ] ||
        fail "the disk of $checkout has $((free_kb / 1024)) MB free and $((needed_kb / 1024)) MB are needed" "Make room there and run this again."
}

mkdir -p "$work" 2>/dev/null || fail "the checkout $checkout cannot be written by user $(id -un)" "Clone it where you may write, or give it to that user."
exec 9>"$work/lock"
if ! flock -n 9; then
    say "another start sets this checkout up just now; waiting"
    flock 9
fi

[ -e "$venv/.complete" ] || check_disk 4000000
install_packages
[ "$wanted" = packages ] && exit 0

image_job=
if [ "$wanted" = all ] || [ "$wanted" = tests ]; then
    # It needs no virtual environment, and most of its time is waiting: side by side.
    "$(find_python)" -B -m lab.image 9>&- &
    image_job=$!
    trap 'kill "$image_job" 2>/dev/null || true' EXIT
fi
make_venv
[ "$wanted" != tests ] || make_browser
if [ -n "$image_job" ]; then
    trap - EXIT
    wait "$image_job"
fi
