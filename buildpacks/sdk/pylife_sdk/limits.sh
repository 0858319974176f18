# What this container may use, by control groups v2 and v1. The root of the file systems can be moved for tests.
# Nothing here starts another program where the shell can do it: it adds to every start of an app.
: "${PYLIFE_LIMITS_ROOT:=}"

# Sets _group to the directory of this process's group in a hierarchy, else to that hierarchy's root: in a container
# with a namespace of its own the path that /proc tells does not exist there, and the root is the group.
_find_group() { # mount point, name of the v1 controller or "" for v2
    _group=$1
    [ -r "$PYLIFE_LIMITS_ROOT/proc/self/cgroup" ] || return 0
    while IFS= read -r _line; do
        _names=${_line#*:}
        _path=${_names#*:} # a group's own name may have colons
        case ,${_names%%:*}, in
            *,"$2",*) [ -n "$2" ] || [ "${_line%%:*}" = 0 ] || continue ;;
            *) continue ;;
        esac
        case $_path in
            *..*) ;; # a group outside of what is mounted here
            /?*) [ ! -d "$1$_path" ] || _group=$1$_path ;;
        esac
        return 0
    done < "$PYLIFE_LIMITS_ROOT/proc/self/cgroup"
}

# Whether a word is a number that means a limit: v1 says none with one near 2^63.
_is_limit() {
    case $1 in
        '' | *[!0-9]*) return 1 ;;
        *) [ "${#1}" -lt 17 ] ;;
    esac
}

memory_limit() {
    _top=$PYLIFE_LIMITS_ROOT/sys/fs/cgroup _file=memory.max _controller=
    if [ ! -e "$_top/cgroup.controllers" ]; then
        _top=$_top/memory _file=memory.limit_in_bytes _controller=memory
    fi
    _find_group "$_top" "$_controller"
    _found=
    while :; do # every group above counts too: the least one is what the kernel enforces
        _value=
        [ ! -r "$_group/$_file" ] || read -r _value < "$_group/$_file" || :
        if _is_limit "$_value" && { [ -z "$_found" ] || [ "$_value" -lt "$_found" ]; }; then _found=$_value; fi
        [ "$_group" != "$_top" ] || break
        _group=${_group%/*}
    done
    [ -z "$_found" ] || echo "$_found"
}

memory_total() {
    [ -r "$PYLIFE_LIMITS_ROOT/proc/meminfo" ] || return 0
    while read -r _name _value _unit; do
        if [ "$_name" = MemTotal: ]; then
            echo "$((_value * 1024))"
            return 0
        fi
    done < "$PYLIFE_LIMITS_ROOT/proc/meminfo"
}

cpu_count() {
    # nproc also follows OMP_NUM_THREADS, which is about one library and not about the container.
    _count=$(unset OMP_NUM_THREADS OMP_THREAD_LIMIT && nproc 2>/dev/null) || _count=1
    _top=$PYLIFE_LIMITS_ROOT/sys/fs/cgroup _controller=
    if [ ! -e "$_top/cgroup.controllers" ]; then
        _controller=cpu
        if [ -d "$_top/cpu" ]; then _top=$_top/cpu; else _top=$_top/cpu,cpuacct; fi
    fi
    _find_group "$_top" "$_controller"
    while :; do
        _quota= _period=
        if [ -r "$_group/cpu.max" ]; then
            read -r _quota _period < "$_group/cpu.max" || :
        elif [ -r "$_group/cpu.cfs_quota_us" ] && [ -r "$_group/cpu.cfs_period_us" ]; then
            read -r _quota < "$_group/cpu.cfs_quota_us" || :
            read -r _period < "$_group/cpu.cfs_period_us" || :
        fi
        if _is_limit "$_quota" && _is_limit "$_period" && [ "$_period" -gt 0 ]; then
            _whole=$(((_quota + _period - 1) / _period))
            [ "$_whole" -ge "$_count" ] || _count=$_whole
        fi
        [ "$_group" != "$_top" ] || break
        _group=${_group%/*}
    done
    [ "$_count" -ge 1 ] || _count=1
    echo "$_count"
}

# A variable for the app, unless the user has set it (to nothing counts); written as TOML to descriptor 3. The value is
# one line.
set_default() { # name, value
    eval "_set=\${$1+yes}"
    [ -n "$_set" ] || printf '%s = "%s"\n' "$1" "$(printf '%s' "$2" | sed 's/[\\"]/\\&/g')" >&3
}
