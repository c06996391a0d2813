# shellcheck shell=bash
# Installs what tests need: Debian packages as root, Python and Node packages under target/tools and node_modules.
#
# Needs: $tools (target/tools), $logs.

: "${tools:?}" "${logs:?}"

need_apt() { # need_apt COMMAND=PACKAGE...: makes sure that each COMMAND exists.
  local one packages=()
  for one in "$@"; do command -v "${one%%=*}" >/dev/null || packages+=("${one#*=}"); done
  [ ${#packages[@]} != 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    echo "missing, and only root can install it: sudo apt-get install -y ${packages[*]}" >&2
    return 1
  fi
  echo "installing ${packages[*]}"
  # RUNLEVEL=1 keeps packages from starting their services: the tests start their own.
  { apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${packages[@]}"; } \
    >"$logs/apt.log" 2>&1 || { tail -20 "$logs/apt.log" >&2; return 1; }
}

need_python() { # need_python [-r FILE | PACKAGE]...: in a virtual environment of the project's own.
  local asked one
  [ $# != 0 ] || return 0
  asked=$(for one in "$@"; do echo "$one"; [ ! -f "$one" ] || cat "$one"; done)
  [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv" || return 1
  # Asking pip costs seconds even when everything is there.
  [ "$asked" != "$(cat "$tools/venv/asked" 2>/dev/null)" ] || return 0
  echo "installing Python packages: $*"
  "$tools/venv/bin/pip" install -q --disable-pip-version-check "$@" && echo "$asked" >"$tools/venv/asked"
}

need_node() { # need_node FOLDER...: the packages of each folder's lock file.
  local folder failed=0
  for folder in "$@"; do
    [ "$folder/package-lock.json" -nt "$folder/node_modules/.package-lock.json" ] || continue
    echo "installing the Node packages of $folder"
    (cd "$folder" && npm_config_cache=$tools/npm npm ci --silent --no-progress --prefer-offline) || failed=1
  done
  return $failed
}
