# What this container may use, by control groups v2 and v1. The root of the file systems can be moved for tests.
: "${PYLIFE_LIMITS_ROOT:=}"

# The directory of this process's group in a hierarchy, else that hierarchy's root: in a container with a namespace of
# its own the path that /proc tells does not exist there, and the root is the group.
_group() { # mount point, name of the v1 controller or ""
    _path=$(awk -F: -v want="$2" '
        want == "" && $1 == "0" { print $3; exit }
        want != "" { n = split($2, names, ","); for (i = 1; i <= n; i++) if (names[i] == want) { print $3; exit } }
    ' "$PYLIFE_LIMITS_ROOT/proc/self/cgroup" 2>/dev/null)
    if [ -n "$_path" ] && [ -d "$1$_path" ]; then echo "$1${_path%/}"; else echo "$1"; fi
}

# The smallest number in a file of the group and of the groups above it.
_least() { # mount point, directory, file
    _here=$2 _found=
    while :; do
        _value=
        [ -r "$_here/$3" ] && read -r _value _rest < "$_here/$3"
        case $_value in
            '' | *[!0-9]*) ;;
            *) if [ "${#_value}" -lt 17 ] && { [ -z "$_found" ] || [ "$_value" -lt "$_found" ]; }; then _found=$_value; fi ;;
        esac
        [ "$_here" = "$1" ] && break
        _here=${_here%/*}
    done
    echo "$_found"
}

memory_limit() {
    _top=$PYLIFE_LIMITS_ROOT/sys/fs/cgroup
    if [ -e "$_top/cgroup.controllers" ]; then
        _least "$_top" "$(_group "$_top" "")" memory.max
    else
        _least "$_top/memory" "$(_group "$_top/memory" memory)" memory.limit_in_bytes
    fi
}

memory_total() {
    awk '$1 == "MemTotal:" { printf "%.0f\n", $2 * 1024 }' "$PYLIFE_LIMITS_ROOT/proc/meminfo" 2>/dev/null
}

cpu_count() {
    _top=$PYLIFE_LIMITS_ROOT/sys/fs/cgroup
    _quota= _period=
    if [ -e "$_top/cgroup.controllers" ]; then
        _group=$(_group "$_top" "")
        [ -r "$_group/cpu.max" ] && read -r _quota _period < "$_group/cpu.max"
    else
        _group=$(_group "$_top/cpu" cpu)
        [ -r "$_group/cpu.cfs_quota_us" ] && read -r _quota < "$_group/cpu.cfs_quota_us"
        [ -r "$_group/cpu.cfs_period_us" ] && read -r _period < "$_group/cpu.cfs_period_us"
    fi
    _there=$(nproc 2>/dev/null || echo 1)
    case $_quota in
        '' | *[!0-9]*) echo "$_there" ;;
        *)
            _count=$(((_quota + ${_period:-100000} - 1) / ${_period:-100000}))
            [ "$_count" -gt "$_there" ] && _count=$_there
            [ "$_count" -lt 1 ] && _count=1
            echo "$_count"
            ;;
    esac
}

# A variable for the app, unless the user has set it; written as TOML to descriptor 3.
set_default() { # name, value
    eval "_set=\${$1+yes}"
    [ -n "$_set" ] || printf '%s = "%s"\n' "$1" "$(printf '%s' "$2" | sed 's/[\\"]/\\&/g')" >&3
}
