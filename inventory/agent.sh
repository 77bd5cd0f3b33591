#!/bin/sh
# Send what is installed on this machine to a patchmgr service: agent.py without Python.
#
# For any POSIX sh with awk, sed and either curl or GNU wget. It sends listings as the machine's own
# tools print them and parses none of them. docs/collector.md says what is sent, and how to enrol.
#
#   agent.sh enrol --server https://patchmgr.example --token pme_...     once
#   agent.sh report                                                      hourly, by a timer or cron
#   agent.sh report --dry-run                                            look at what would be sent
#
# It ends with 0: done; 1: refused; 2: cannot be done so, or not understood; 75: try again later.

set -u
umask 077
LC_ALL=C
LANGUAGE=C
DEBIAN_FRONTEND=noninteractive
PATH=${PATH:-}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
export LC_ALL LANGUAGE DEBIAN_FRONTEND PATH

REFUSED=1 WRONG=2 LATER=75
TIMEOUT=60        # seconds of one request
PATIENCE=120      # seconds of one command
LARGEST=8388608   # bytes of one section
MOST=31457280     # bytes of a report; the service reads no more than 32 MiB
FIRST_WAIT=5 LONGEST_WAIT=600 # seconds between tries
POLICIES=400      # packages whose repositories are asked for

state=/var/lib/patchmgr-agent/token.json
server='' token='' ca='' name='' host_id=''
spread=3600 tries=6 once='' dry_run='' with_pip='' draft=''

say() { printf 'patchmgr-agent: %s\n' "$1" >&2; }
fail() {
    say "$2"
    exit "$1"
}
full() { fail "$LATER" "$work cannot be written: is there no room?"; }
has() { command -v "$1" >/dev/null 2>&1; }

# What is collected: a file for each section, below $work/sections.

# Run a command, not for ever.
bounded() {
    if has timeout; then
        timeout "$PATIENCE" "$@"
        return
    fi
    "$@" &
    running=$!
    (
        sleep "$PATIENCE"
        kill -s KILL "$running"
    ) >/dev/null 2>&1 &
    watch=$!
    wait "$running"
    ended=$?
    kill "$watch" 2>/dev/null
    return "$ended"
}

# Make a section of what comes on stdin: text that JSON and databases take, and not too much of it.
# Where it cannot be written whole the run ends: half a list would say that the rest is gone.
keep() {
    tr -d '\000' | head -c $((LARGEST + 1)) 2>/dev/null >"$work/raw" || full
    if [ "$(wc -c <"$work/raw")" -gt "$LARGEST" ]; then
        say "section $1 is larger than $LARGEST bytes and left out"
        return
    fi
    if has iconv; then
        # It may end with an error for what is no text: whether all was written is said by cat.
        iconv -c -f UTF-8 -t UTF-8 <"$work/raw" 2>/dev/null | cat >"$work/text" || full
    else
        tr '\200-\377' '?' <"$work/raw" >"$work/text" || full
    fi
    mv "$work/text" "$work/sections/$1" || full
}

# Run a command and keep what it prints in $work/out, as much as is looked at; $code is how it ended.
output_of() {
    {
        bounded "$@" </dev/null 2>/dev/null
        echo "$?" >"$work/code"
    } | head -c $((LARGEST + 1)) 2>/dev/null >"$work/out" || full
    read -r code <"$work/code" || full
    [ "$(wc -c <"$work/out")" -le "$LARGEST" ] || code=0 # ended by us, and said where it is kept
}

# Make a section of what a command prints, if it is there and succeeds.
of_command() {
    section=$1
    shift
    has "$1" || return 1
    output_of "$@"
    if [ "$code" -eq 0 ]; then
        keep "$section" <"$work/out"
    fi
}

# The same for a command whose exit code is part of what it says.
with_exit_code() {
    section=$1
    shift
    has "$1" || return 1
    output_of "$@"
    [ "$code" -lt 124 ] || return 0
    { cat "$work/out" && printf 'exit=%d\n' "$code"; } | keep "$section"
}

of_file() {
    section=$1
    shift
    for path in "$@"; do
        if [ -r "$path" ]; then
            keep "$section" <"$path"
            return
        fi
    done
}

# Make a section of what dpkg's own files say is installed; what else they say is ten times as much.
# In status.d images without dpkg have a file for each package.
of_dpkg_files() {
    set --
    for path in /var/lib/dpkg/status /var/lib/dpkg/status.d/*; do
        case $path in *.md5sums) continue ;; esac
        [ ! -f "$path" ] || [ ! -r "$path" ] || set -- "$@" "$path"
    done
    [ $# -gt 0 ] || return 0
    awk 'FNR == 1 && NR > 1 { print "" }
        /^(Package|Status|Version|Architecture|Source):/ || /^[ \t\r]*$/' "$@" >"$work/out" || full
    ! grep -q . "$work/out" || keep dpkg-status <"$work/out"
}

collect() {
    of_file os-release /etc/os-release /usr/lib/os-release
    of_file redhat-release /etc/redhat-release
    of_file apk /lib/apk/db/installed /usr/lib/apk/db/installed
    of_file pro-status /var/lib/ubuntu-advantage/status.json
    of_command dpkg dpkg-query -W -f \
        '${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${Status}\n'
    [ -e "$work/sections/dpkg" ] || of_dpkg_files
    of_command rpm rpm -qa --qf \
        '%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{MODULARITYLABEL}\t%{VENDOR}\n'
    [ -s "$work/sections/rpm" ] || rm -f "$work/sections/rpm" # Debian has the program, and no packages in it
    of_command uname uname -r
    of_command uname-m uname -m
    of_command needrestart needrestart -b -r l
    of_command apt-upgradable apt list --upgradable
    of_command apk-upgradable apk version -l '<'
    of_command holds apt-mark showhold
    of_command dnf-modules dnf -q module list --enabled
    of_command versionlock dnf -q versionlock list || of_command versionlock yum -q versionlock list
    with_exit_code needs-restarting needs-restarting -r
    with_exit_code dnf-check-update dnf -q check-update || with_exit_code dnf-check-update yum -q check-update
    if [ -n "$with_pip" ]; then
        of_command pip pip3 list --format=json || of_command pip pip list --format=json
    fi
    if [ -e /run/reboot-required ] || [ -e /usr/share/update-notifier/notify-reboot-required ]; then
        cat /run/reboot-required /run/reboot-required.pkgs 2>/dev/null | keep reboot-required
    fi
    for path in /boot/vmlinuz-* /lib/modules/*; do
        [ ! -e "$path" ] || printf '%s\n' "$path"
    done | cat >"$work/kernels" || full
    [ ! -s "$work/kernels" ] || keep kernels <"$work/kernels"
    upgradable=$(sed -n "s,^\([^/]*\)/.*,\1,p" "$work/sections/apt-upgradable" 2>/dev/null | head -n "$POLICIES")
    # shellcheck disable=SC2086 # names of packages, one word each
    if [ -n "$upgradable" ] && has apt-cache; then
        output_of apt-cache policy $upgradable
        # An address in sources.list may have a password in it, which is nobody's business.
        [ "$code" -ne 0 ] || sed 's,://[^/[:space:]@]*@,://,g' "$work/out" | keep apt-policy
    fi
}

# The report, as JSON. The form of host and sections is the one that the digest is made of: names
# in order, no spaces, UTF-8, and nothing escaped that need not be.

# Write stdin as a JSON string. The x keeps a last line end from being lost.
json_string() {
    { cat && printf x; } | awk '
        BEGIN {
            for (code = 1; code < 32; code++) {
                control[code] = sprintf("%c", code)
                escaped[code] = sprintf("\\u%04x", code)
            }
            escaped[8] = "\\b"; escaped[9] = "\\t"; escaped[12] = "\\f"; escaped[13] = "\\r"
            printf "\""
        }
        NR > 1 { printf "%s\\n", line }
        {
            gsub(/[\\"]/, "\\\\&")
            if (/[\001-\037]/)
                for (code = 1; code < 32; code++)
                    if (code != 10) gsub(control[code], escaped[code])
            line = $0
        }
        END { printf "%s\"", substr(line, 1, length(line) - 1) }'
}

first_word() {
    for path in "$@"; do
        if [ -r "$path" ]; then
            tr -d '\000\n' <"$path" | head -c 64
            return
        fi
    done
}

# The server's address, or any that is not of this network where there is no server yet.
server_address() {
    wanted=$(printf '%s' "$server" | sed 's,^[a-z]*://,,; s,/.*,,; s,:[0-9]*$,,; s/[][]//g')
    found=''
    if [ -n "$wanted" ] && has getent; then
        found=$(getent ahosts "$wanted" 2>/dev/null | sed -n '1s/ .*//p')
    fi
    printf '%s' "${found:-192.0.2.1}"
}

own_address() {
    if has ip; then
        ip -o route get "$(server_address)" 2>/dev/null | sed -n 's/.* src \([0-9a-fA-F.:]*\).*/\1/p'
    else
        hostname -i 2>/dev/null | sed 's/ .*//'
    fi
}

hostname_of() { printf '%s' "${name:-$(uname -n)}"; }

host_json() {
    address=$(own_address)
    printf '{"addresses":['
    [ -z "$address" ] || printf '%s' "$address" | json_string
    printf '],"boot_id":'
    first_word /proc/sys/kernel/random/boot_id | json_string
    printf ',"hostname":'
    hostname_of | json_string
    printf ',"machine_id":'
    first_word /etc/machine-id /var/lib/dbus/machine-id | json_string
    printf ',"product_uuid":'
    first_word /sys/class/dmi/id/product_uuid | json_string
    printf '}'
}

# Write {"host":...,"sections":...}, the names in the order of their bytes, as the shell lists them.
content_json() {
    printf '{"host":%s,"sections":{' "$(host_json)"
    comma=''
    for path in "$work"/sections/*; do
        [ -e "$path" ] || continue
        printf '%s"%s":' "$comma" "${path##*/}" && json_string <"$path" || return 1
        comma=,
    done
    printf '}}'
}

document_json() {
    printf '{"collected_at":"%s",' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" &&
        sed -e 's/^{//' -e 's/}$//' "$work/content" &&
        printf ',"version":1}'
}

sha256() {
    if has sha256sum; then
        sha256sum | sed 's/ .*//'
    elif has shasum; then
        shasum -a 256 | sed 's/ .*//'
    elif has openssl; then
        openssl dgst -sha256 | sed 's/.* //'
    else
        fail "$WRONG" 'needs sha256sum, shasum or openssl'
    fi
}

# The service

# Post the file $2 to the path $1; more words are headers. Sets $status, and writes $work/answer.
post() {
    path=$1
    file=$2
    shift 2
    : >"$work/answer"
    : >"$work/headers"
    set -- 'Content-Type: application/json' 'User-Agent: patchmgr-agent' "$@"
    [ -z "$token" ] || set -- "$@" "Authorization: Bearer $token"
    # Headers go by a file: a command line can be read by everybody on the machine.
    if has curl; then
        printf 'header = "%s"\n' "$@" >"$work/request"
        [ -z "$ca" ] || printf 'cacert = "%s"\n' "$ca" >>"$work/request"
        [ "${server#http:}" = "$server" ] || echo 'noproxy = "*"' >>"$work/request" # stays here
        status=$(curl -q -sS -K "$work/request" --max-time "$TIMEOUT" --data-binary "@$file" \
            -D "$work/headers" -o "$work/answer" -w '%{http_code}' "$server$path" 2>"$work/error")
        code=$?
        case $code in 35 | 51 | 58 | 60 | 77 | 83) untrusted ;; esac
        [ "$code" -eq 0 ] || status=000 # it broke off, be it in the middle of an answer
    elif wget --version 2>/dev/null | grep -q 'GNU Wget'; then
        printf 'header = %s\n' "$@" >"$work/request"
        [ -z "$ca" ] || printf 'ca_certificate = %s\n' "$ca" >>"$work/request"
        [ "${server#http:}" = "$server" ] || echo 'use_proxy = off' >>"$work/request"
        WGETRC=$work/request wget --no-hsts -nv -S --content-on-error --max-redirect=0 --tries=1 \
            --timeout="$TIMEOUT" --post-file="$file" -O "$work/answer" "$server$path" 2>"$work/headers"
        code=$?
        if [ "$code" -eq 5 ]; then
            sed -n 's/^ERROR: //p' "$work/headers" >"$work/error"
            untrusted
        fi
        [ "$code" -ne 4 ] || : >"$work/headers" # it broke off, be it in the middle of an answer
        status=$(sed -n 's,^ *HTTP/[0-9.]* \([0-9]*\).*,\1,p' "$work/headers" | tail -n 1)
    else
        fail "$WRONG" 'needs curl or GNU wget (the wget of busybox does not check certificates)'
    fi
    [ -n "$status" ] || status=000
}

untrusted() { fail "$WRONG" "$server is not trusted: $(head -n 1 "$work/error" 2>/dev/null)"; }

# Post until it is taken; ends the program when it is refused, or was put off too often.
deliver() {
    wait_for=$FIRST_WAIT
    left=$tries
    while :; do
        post "$@"
        left=$((left - 1))
        detail=$(sed -n 's/.*"detail": *"\([^"]*\)".*/\1/p' "$work/answer" | head -n 1 | head -c 500)
        case $status in
            200 | 201 | 202) return ;;
            000 | 429 | 502 | 503 | 504) ;;
            413) fail "$WRONG" "too large (413: $detail): what stands before the service must take 32 MiB" ;;
            401 | 403 | 409) fail "$REFUSED" "refused ($status: $detail)" ;;
            3??) fail "$WRONG" "$server sends on to another address; use that one" ;;
            5??) fail "$LATER" "not taken ($status: $detail)" ;;
            *) fail "$WRONG" "not taken ($status: $detail)" ;;
        esac
        if [ "$left" -le 0 ]; then
            [ "$status" != 000 ] || fail "$LATER" "$server does not answer"
            fail "$LATER" "later ($status: $detail)"
        fi
        asked=$(sed -n 's/^ *[Rr]etry-[Aa]fter: *\([0-9][0-9]*\).*/\1/p' "$work/headers" | tail -n 1)
        [ -n "$asked" ] && [ "$asked" -le "$LONGEST_WAIT" ] || asked=$wait_for
        sleep $((asked + $$ % (asked / 2 + 2))) # others were told the same
        wait_for=$((wait_for * 2))
        [ "$wait_for" -le "$LONGEST_WAIT" ] || wait_for=$LONGEST_WAIT
    done
}

# Print a value of the JSON on stdin, which has no object in it and no escapes in that value.
value_of() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

check_server() {
    server=${server%/}
    case $server in
        https://?*) ;;
        http://localhost | http://localhost[:/]* | http://127.0.0.1 | http://127.0.0.1[:/]*) ;;
        http://*) fail "$WRONG" 'a token is not sent over plain http; use https' ;;
        *) fail "$WRONG" "$server is no address such as https://patchmgr.example" ;;
    esac
    [ -z "$ca" ] || [ -r "$ca" ] || fail "$WRONG" "the certificates in $ca cannot be read"
}

# The commands

enrol() {
    [ -n "$server" ] && [ -n "$token" ] || fail "$WRONG" 'enrol needs --server and --token'
    [ "$token" != - ] || read -r token
    check_server
    folder=$(dirname "$state")
    mkdir -p "$folder" 2>/dev/null
    # Before a one-time token is spent: as much as will be written, with room to spare.
    if ! printf '%2000s' '' 2>/dev/null >"$state.$$"; then
        rm -f "$state.$$"
        fail "$WRONG" "$folder cannot be written: make room, run as root, or name another --state"
    fi
    draft=$state.$$
    {
        printf '{"host":%s,"token":' "$(host_json)"
        printf '%s' "$token" | json_string
        printf '}'
    } >"$work/body"
    token=''
    deliver /api/v1/enrolments "$work/body"
    host_id=$(value_of id <"$work/answer")
    token=$(value_of token <"$work/answer")
    case $host_id in '' | *[!0-9]*) fail "$WRONG" 'the service does not answer as patchmgr does' ;; esac
    case $token in pmh_*) ;; *) fail "$WRONG" 'the service does not answer as patchmgr does' ;; esac
    {
        printf '{"server": "%s", "ca": "%s", "host_id": %s, ' "$server" "$ca" "$host_id"
        printf '"token": "%s", "hostname": "%s"}' "$token" "$name"
    } >"$draft" && mv "$draft" "$state" || fail "$WRONG" "$state cannot be written"
    say "enrolled as $(value_of host <"$work/answer"); the token is in $state"
}

report() {
    if [ -n "$dry_run" ]; then
        if [ -r "$state" ]; then # as it would be sent: by the name it was enrolled with
            server=$(value_of server <"$state")
            [ -n "$name" ] || name=$(value_of hostname <"$state")
        fi
        collect
        content_json >"$work/content" || full
        document_json
        echo
        return
    fi
    [ -e "$state" ] || fail "$WRONG" "not enrolled yet (no $state): agent.sh enrol --help"
    [ -r "$state" ] || fail "$WRONG" "$state cannot be read: run as the user that enrolled"
    server=$(value_of server <"$state")
    token=$(value_of token <"$state")
    host_id=$(value_of host_id <"$state")
    [ -n "$ca" ] || ca=$(value_of ca <"$state")
    [ -n "$name" ] || name=$(value_of hostname <"$state")
    [ -n "$token" ] && [ -n "$host_id" ] || fail "$WRONG" "$state is damaged: enrol again"
    check_server
    if [ -z "$once" ]; then
        own=$({ first_word /etc/machine-id /var/lib/dbus/machine-id && hostname_of; } | sha256 | head -c 7)
        sleep $((0x$own % (spread > 0 ? spread : 1)))
    else
        tries=1
    fi
    collect
    content_json >"$work/content" || full
    address_of_report="/api/v1/hosts/$host_id/reports?digest=$(sha256 <"$work/content")"
    : >"$work/body"
    deliver "$address_of_report" "$work/body"
    case $(value_of wanted <"$work/answer") in
        true) ;;
        false)
            say unchanged
            return
            ;;
        *) fail "$WRONG" 'the service does not answer as patchmgr does' ;;
    esac
    document_json >"$work/body" || full
    [ "$(wc -c <"$work/body")" -le "$MOST" ] || fail "$WRONG" "the report is larger than $MOST bytes"
    if has gzip; then
        gzip -c <"$work/body" >"$work/body.gz" || full
        deliver "$address_of_report" "$work/body.gz" 'Content-Encoding: gzip'
    else
        deliver "$address_of_report" "$work/body"
    fi
    say "sent: $(value_of packages <"$work/answer") packages"
}

usage() {
    cat <<'END'
usage: agent.sh enrol --server URL --token TOKEN|- [--ca FILE] [--hostname NAME] [--state FILE]
       agent.sh report [--once] [--spread SECONDS] [--dry-run] [--pip] [--ca FILE]
                       [--hostname NAME] [--state FILE] [--tries N]
END
}

command=${1:-}
[ $# -eq 0 ] || shift
while [ $# -gt 0 ]; do
    case $1 in
        --once) once=1 ;;
        --dry-run) dry_run=1 ;;
        --pip) with_pip=1 ;;
        --server | --token | --ca | --hostname | --state | --spread | --tries)
            [ $# -gt 1 ] || fail "$WRONG" "$1 needs a value"
            case $1 in
                --server) server=$2 ;;
                --token) token=$2 ;;
                --ca) ca=$2 ;;
                --hostname) name=$2 ;;
                --state) state=$2 ;;
                --spread) spread=$2 ;;
                --tries) tries=$2 ;;
            esac
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "$WRONG" "$1 is not known; see agent.sh --help" ;;
    esac
    shift
done
case $spread$tries in *[!0-9]*) fail "$WRONG" '--spread and --tries need whole numbers' ;; esac
case $server$ca$name in *[\"\\]*) fail "$WRONG" 'no quotes or backslashes are taken here' ;; esac

work=$(mktemp -d) || fail "$WRONG" 'no folder for temporary files can be made'
trap 'rm -rf "$work" ${draft:+"$draft"}' EXIT
trap 'exit 75' HUP INT TERM
mkdir "$work/sections"

case $command in
    enrol) enrol ;;
    report) report ;;
    -h | --help | help) usage ;;
    *)
        usage >&2
        exit "$WRONG"
        ;;
esac
