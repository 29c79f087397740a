# shellcheck shell=bash
# Sourced by other scripts, which define fail(). Makes the root file system of another distribution, and runs commands in it.
# Needs root. What is mounted has to be in a mount namespace of the caller's.

# debootstrap_to FOLDER DISTRIBUTION LOG [OPTION…]: a minimal system, from a mirror of this machine's apt configuration.
debootstrap_to() {
  local folder="$1" distribution="$2" log="$3" new="$1.new" mirror components
  find_mirror "$distribution"
  echo "==== $distribution: debootstrap from $mirror"
  rm -rf "$new"  # left by a run that was interrupted
  # --force-check-gpg: without a keyring it would otherwise trust everything.
  debootstrap --force-check-gpg --variant=minbase --components="$components" "${@:4}" \
    "$distribution" "$new" "$mirror" > "$log" 2>&1 9>&- || fail_with_log "$log" "debootstrap failed"
  copy_apt_settings "$new"
  mv "$new" "$folder"
}

# Sets mirror and components to the first entry of the machine's apt configuration whose mirror carries the distribution.
# Exports the proxies and the logins that apt uses, for debootstrap, which has no configuration of its own.
find_mirror() {
  local distribution="$1" name proxy
  for name in http https; do
    proxy="$(apt-config dump --format '%v' "Acquire::$name::Proxy")"
    [ -z "$proxy" ] || export "${name}_proxy=$proxy"
  done
  home="$(mktemp -d)"
  trap 'rm -rf "$home"' EXIT
  export HOME="$home"
  (umask 077 && cat /etc/apt/auth.conf /etc/apt/auth.conf.d/*.conf > "$HOME/.netrc" 2> /dev/null) || true

  local entries
  entries="$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(COMPONENT)' "Created-By: Packages" | sort -u)"
  for mirror in $(cut -d ' ' -f 1 <<< "$entries" | uniq); do
    components="$(awk -v mirror="$mirror" '$1 == mirror {print $2}' <<< "$entries" | paste -s -d ,)"
    ! timeout 60 wget -q --spider "${mirror}dists/$distribution/InRelease" || return 0
  done
  fail "no package mirror in this machine's apt configuration carries \"$distribution\". Looked at:
${entries:-(nothing: the configuration names no mirror)}"
}

# What the machine's apt needs to reach its mirror: proxies, certificates, logins, and how it judges dates.
copy_apt_settings() {
  local to="$1" file
  apt-config dump | grep -E '^Acquire::(http|https|Check-)' > "$to/etc/apt/apt.conf.d/90userland" || true
  for file in $(sed -n 's/.* "\(\/.*\)";$/\1/p' "$to/etc/apt/apt.conf.d/90userland") /etc/apt/auth.conf \
    /etc/apt/auth.conf.d/* /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates/*; do
    [ ! -f "$file" ] || (mkdir -p "$to${file%/*}" && cp -p "$file" "$to$file")
  done
}

# mount_in FOLDER: what programs in it expect of a running system.
mount_in() {
  mount --rbind /dev "$1/dev"
  mount -t proc proc "$1/proc"
  cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
}

# run_inside FOLDER COMMAND…: runs a command in it, with an environment of its own.
run_inside() {
  chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive ${CULMEN_JOBS:+CULMEN_JOBS="$CULMEN_JOBS"} "${@:2}" < /dev/null
}

fail_with_log() {
  tail -n 30 "$1" >&2
  fail "$2; the log is $1"
}
