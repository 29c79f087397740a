# shellcheck shell=bash
# Sourced by other scripts. Gets packages of another Debian suite without touching the system: a package configuration of
# its own, derived from the machine's, with signatures checked against the archive's keyring.

# private_apt SUITE FOLDER: makes the configuration in FOLDER, fetches the package lists, and exports APT_CONFIG: from then
# on `apt-get download` and `apt-get source` mean that suite. Fails when no mirror of this machine carries the suite.
private_apt() {
  local suite="$1" folder="$2" keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
  command -v apt-get > /dev/null && [ -r "$keyring" ] || return 1
  mkdir -p "$folder"/{empty.d,state/lists/partial,cache/archives/partial}
  : > "$folder/status"
  cat > "$folder/apt.conf" << CONF
Dir::Etc::SourceList "$folder/s.sources";
Dir::Etc::SourceParts "$folder/empty.d";
Dir::Etc::Preferences "$folder/empty.pref";
Dir::Etc::PreferencesParts "$folder/empty.d";
Dir::State "$folder/state";
Dir::State::status "$folder/status";
Dir::Cache "$folder/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Debug::NoLocking "1";
CONF
  while read -r mirror; do
    cat > "$folder/s.sources" << SOURCES
Types: deb deb-src
URIs: $mirror
Suites: $suite
Components: main
Signed-By: $keyring
SOURCES
    if APT_CONFIG="$folder/apt.conf" apt-get -q -q -o APT::Update::Error-Mode=any update > "$folder/log" 2>&1; then
      export APT_CONFIG="$folder/apt.conf"
      return 0
    fi
  done < <(apt-get indextargets --no-release-info --format '$(REPO_URI) $(COMPONENT)' "Created-By: Packages" |
    sed -n 's/ main$//p' | sort -u)
  return 1
}

# private_fetch download|source PACKAGE: into the current folder, the newest version whose files the mirror has. A mirror's
# lists can be ahead of its files, or still name what it has dropped. Only what is signed in those lists is taken.
private_fetch() {
  local how="$1" package="$2" records=show version
  [ "$how" = download ] || records=showsrc
  local command=(apt-get -q -q "$how")
  [ "$how" = download ] || command=(apt-get -q --download-only source)
  while read -r version; do
    "${command[@]}" "$package=$version" < /dev/null && return 0
    echo "the mirror has no files of $package $version" >&2
    rm -f -- "$package"_*  # some of them, perhaps
  done < <(apt-cache "$records" "$package" | awk '$1 == "Version:" {print $2}' | sort -u -V -r)
  return 1
}
