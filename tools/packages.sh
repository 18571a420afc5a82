# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: MIT
# Sourced by tools/setup.sh and tests/run.sh: install_packages NAME... installs what is missing on Debian 12.

install_packages()
{
    missing=""
    for package in "$@"; do
        status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=""
    [ "$(id -u)" = 0 ] || as_root=sudo
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { $as_root apt-get -qq update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing; } >/dev/null
}

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libopenblas-dev libdnnl-dev libjansson-dev libxxhash-dev zlib1g-dev
    libavformat-dev libavcodec-dev libavdevice-dev libavutil-dev libswscale-dev libstb-dev"
