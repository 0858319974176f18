# What Java and frameworks need to know when the app starts: memory, certificates, the port, the database.
# Settings that the user gave in JAVA_TOOL_OPTIONS, JDK_JAVA_OPTIONS or JAVA_OPTS stay and are counted with.

say() { [ -n "${BPL_JVM_QUIET:-}" ] || echo "java: $*" >&2; }

M=1048576
options=
given=" ${JDK_JAVA_OPTIONS:-} ${JAVA_TOOL_OPTIONS:-} ${JAVA_OPTS:-} "

# Sets _value to what the user gave with one of the prefixes, empty without.
find_given() {
    _value=
    for _word in $given; do
        for _prefix in "$@"; do
            case $_word in "$_prefix"*) _value=${_word#"$_prefix"} ;; esac
        done
    done
}

# Sets _bytes to a Java size such as 512m; empty when it is none.
to_bytes() {
    _digits=${1%[kKmMgGtT]} _bytes=
    case $_digits in '' | *[!0-9]*) return ;; esac
    case $1 in
        *[kK]) _bytes=$((_digits * 1024)) ;;
        *[mM]) _bytes=$((_digits * M)) ;;
        *[gG]) _bytes=$((_digits * 1024 * M)) ;;
        *[tT]) _bytes=$((_digits * 1024 * 1024 * M)) ;;
        *) _bytes=$_digits ;;
    esac
}

# Sets _number to a whole number of a variable, else to a default, with a word about what cannot be meant.
number() { # variable, default, most
    eval "_number=\${$1:-$2}"
    case $_number in
        '' | *[!0-9]* | ?????????*) say "$1=$_number is not a number that can be meant; $2 is taken"; _number=$2 ;;
    esac
    if [ "$_number" -gt "$3" ]; then say "$1=$_number is more than $3; $2 is taken"; _number=$2; fi
}

mega() { _mega=$((($1 + M / 2) / M))M; }

# Sets stack, code and threads: less of each the higher the level is. What the user chose is left.
shrink() { # level
    case $1 in
        0) stack=$M code=$((240 * M)) most=$threads_wanted ;;
        1) stack=$M code=$((128 * M)) most=100 ;;
        2) stack=$((M / 2)) code=$((64 * M)) most=50 ;;
        *) stack=$((M / 2)) code=$((32 * M)) most=20 ;;
    esac
    threads=$threads_wanted
    if [ "$threads" -gt "$most" ] && [ -z "${BPL_JVM_THREAD_COUNT:-}" ]; then threads=$most; fi
    [ -z "$user_stack" ] || stack=$user_stack
    [ -z "$user_code" ] || code=$user_code
    fixed=$((direct + metaspace + code + stack * threads + head))
}

# Source of the formula: the memory regions of HotSpot, as Paketo's calculator adds them up.
memory() {
    limit=$(memory_limit)
    if [ -z "$limit" ]; then
        find_given -Xmx -XX:MaxHeapSize= -XX:MaxRAMPercentage=
        [ -n "$_value" ] || say "no memory limit here: Java takes up to a quarter of the machine's memory as heap"
        return 0
    fi
    number BPL_JVM_HEAD_ROOM 0 90
    head=$((limit / 100 * _number))
    number BPL_JVM_THREAD_COUNT "$DEFAULT_THREADS" 100000
    threads_wanted=$_number
    number BPL_JVM_LOADED_CLASS_COUNT "$LOADED_CLASSES" 10000000
    classes=$_number
    find_given -XX:MaxDirectMemorySize=; to_bytes "$_value"; user_direct=$_bytes
    find_given -XX:MaxMetaspaceSize=; to_bytes "$_value"; user_metaspace=$_bytes
    find_given -XX:ReservedCodeCacheSize=; to_bytes "$_value"; user_code=$_bytes
    find_given -Xss; to_bytes "$_value"; user_stack=$_bytes
    find_given -Xmx -XX:MaxHeapSize=; to_bytes "$_value"; user_heap=$_bytes
    find_given -XX:MaxRAMPercentage=; user_share=$_value
    direct=${user_direct:-$((10 * M))}
    metaspace=${user_metaspace:-$((14000000 + 5800 * classes))}

    level=0 least=$((limit / 3)) tight=
    while :; do
        shrink "$level"
        heap=$((limit - fixed))
        if [ -n "$user_heap$user_share" ] || [ "$heap" -ge "$least" ] || [ "$level" = 3 ]; then break; fi
        level=$((level + 1)) tight=yes
    done

    if [ -n "$user_share" ] && [ -z "$user_heap" ]; then
        mega "$limit"; say "$_mega: the heap is ${user_share%.*}% of it, as the options given say (-XX:MaxRAMPercentage)"
        return 0
    fi
    if [ -n "$user_heap" ]; then
        heap=$user_heap
        if [ $((heap + fixed)) -gt "$limit" ]; then
            mega "$((heap + fixed))"; _sum=$_mega; mega "$limit"
            say "the heap that was asked for and what Java needs beside it make $_sum, more than the $_mega here:" \
                "the app may be stopped for it. Lower -Xmx or give it $_sum"
        fi
    elif [ "$heap" -lt "$least" ]; then
        heap=$least
        mega "$((fixed + least))"; _sum=$_mega; mega "$limit"
        say "$_mega is little for this app: the heap gets a third, and the app may be stopped when the rest does not" \
            "suffice. Give it $_sum or more"
        # A cap that is certainly too low would only end the app sooner.
        [ -n "$user_metaspace" ] || metaspace=
    elif [ -n "$tight" ]; then
        mega "$limit"
        say "$_mega is less than this app's usual regions need: code cache and stacks are made smaller (level $level)"
    fi
    [ -n "$user_direct" ] || options="$options -XX:MaxDirectMemorySize=$direct"
    [ -n "$user_heap" ] || options="$options -Xmx$((heap / 1024))k"
    [ -n "$user_metaspace" ] || [ -z "$metaspace" ] || options="$options -XX:MaxMetaspaceSize=$((metaspace / 1024))k"
    [ -n "$user_code" ] || options="$options -XX:ReservedCodeCacheSize=$((code / 1024))k"
    [ -n "$user_stack" ] || options="$options -Xss$((stack / 1024))k"
    mega "$limit"; sums="$_mega = heap"
    mega "$heap"; sums="$sums $_mega + metaspace"
    if [ -n "$metaspace" ]; then mega "$metaspace"; sums="$sums $_mega (for $classes classes)"; else sums="$sums (no cap)"; fi
    mega "$code"; sums="$sums + code cache $_mega"
    mega "$direct"; sums="$sums + direct $_mega"
    mega "$((stack * threads))"; sums="$sums + $threads stacks $_mega"
    if [ "$head" -gt 0 ]; then mega "$head"; sums="$sums + head room $_mega"; fi
    say "$sums"
}

# Authorities of bindings of the type ca-certificates, beside those that the runtime ships.
certificates() {
    _root=${SERVICE_BINDING_ROOT:-${CNB_PLATFORM_DIR:-/platform}/bindings}
    _store= _count=0
    for _type in "$_root"/*/type; do
        [ -r "$_type" ] || continue
        read -r _kind < "$_type" || :
        case $_kind in ca-certificates | CA-CERTIFICATES | ca-Certificates) ;; *) continue ;; esac
        for _file in "${_type%/type}"/*; do
            case ${_file##*/} in type | provider) continue ;; esac
            [ -f "$_file" ] && grep -q 'BEGIN CERTIFICATE' "$_file" || continue
            if [ -z "$_store" ]; then
                _folder=$(mktemp -d) || return 0
                _store=$_folder/truststore
                cp "$JAVA_HOME/lib/security/cacerts" "$_store" && chmod u+w "$_store" || return 0
            fi
            awk -v out="$_folder/part" '/BEGIN CERTIFICATE/ { n++ } n { print > (out n ".pem") }' "$_file"
            for _part in "$_folder"/part*.pem; do
                _count=$((_count + 1))
                _error=$(JAVA_TOOL_OPTIONS='' JDK_JAVA_OPTIONS='' "$JAVA_HOME/bin/keytool" -importcert -noprompt -keystore "$_store" \
                    -storepass changeit -alias "binding-$_count" -file "$_part" 2>&1 >/dev/null) ||
                    say "$_file has a certificate that cannot be read: $_error"
                rm -f "$_part"
            done
        done
    done
    [ -n "$_store" ] || return 0
    find_given -Djavax.net.ssl.trustStore=
    if [ -n "$_value" ]; then
        say "the certificates of bindings are left aside: the options given name a truststore"
        return 0
    fi
    say "$_count certificates of bindings are trusted"
    options="$options -Djavax.net.ssl.trustStore=$_store -Djavax.net.ssl.trustStorePassword=changeit"
}

# DATABASE_URL in the words of JDBC and Spring.
database() {
    [ -n "${DATABASE_URL:-}" ] || return 0
    case $DATABASE_URL in
        postgres://* | postgresql://*) _jdbc=jdbc:postgresql ;;
        mysql://* | mysql2://*) _jdbc=jdbc:mysql ;;
        mariadb://*) _jdbc=jdbc:mariadb ;;
        *) return 0 ;;
    esac
    _rest=${DATABASE_URL#*://} _login=
    case $_rest in *@*) _login=${_rest%@*} _rest=${_rest##*@} ;; esac
    _user=$(decode "${_login%%:*}") _password=
    case $_login in *:*) _password=$(decode "${_login#*:}") ;; esac
    set_default JDBC_DATABASE_URL "$_jdbc://$_rest"
    set_default JDBC_DATABASE_USERNAME "$_user"
    set_default JDBC_DATABASE_PASSWORD "$_password"
    case ${DISABLE_SPRING_DATASOURCE_URL:-} in '' | 0 | false) ;; *) return 0 ;; esac
    set_default SPRING_DATASOURCE_URL "$_jdbc://$_rest"
    set_default SPRING_DATASOURCE_USERNAME "$_user"
    set_default SPRING_DATASOURCE_PASSWORD "$_password"
}

# A part of a URL without its %XX.
decode() {
    _text=$1 _out=
    while :; do
        case $_text in
            *%[0-9A-Fa-f][0-9A-Fa-f]*)
                _before=${_text%%%[0-9A-Fa-f][0-9A-Fa-f]*}
                _after=${_text#"$_before"%}
                _hex=${_after%"${_after#??}"}
                _out=$_out$_before$(printf "\\$(printf '%03o' "0x$_hex")")
                _text=${_after#??}
                ;;
            *) break ;;
        esac
    done
    printf '%s' "$_out$_text"
}

port() {
    [ -n "${PORT:-}" ] || return 0
    case $FRAMEWORK in
        spring-boot) set_default SERVER_PORT "$PORT" ;;
        quarkus) set_default QUARKUS_HTTP_PORT "$PORT"; set_default QUARKUS_HTTP_HOST 0.0.0.0 ;;
        micronaut) set_default MICRONAUT_SERVER_PORT "$PORT" ;;
    esac
}

# Without /proc the loader cannot tell where the program is, and so not where its own libraries are.
libraries() {
    [ ! -e /proc/self/exe ] && [ -n "${JAVA_HOME:-}" ] || return 0
    own=$JAVA_HOME/lib:$JAVA_HOME/lib/server
    printf 'LD_LIBRARY_PATH = "%s"\n' "$own${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" >&3
}

memory
certificates
database
port
libraries
# Ours come first: of an option given twice Java takes the last, which is the user's.
all="$options${JAVA_TOOL_OPTIONS:+ $JAVA_TOOL_OPTIONS}"
all=${all# }
if [ -n "$options" ]; then
    printf 'JAVA_TOOL_OPTIONS = "%s"\n' "$(printf '%s' "$all" | tr '\n\t' '  ' | sed 's/[\\"]/\\&/g')" >&3
fi
