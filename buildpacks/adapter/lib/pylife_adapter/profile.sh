#!/usr/bin/env bash
# An exec.d program: what .profile.d and .profile of the app set, for every process of the image.
# fd 3 is closed while they run, so that what they leave running in the background does not hold it.

declare -A pylife_before
for pylife_name in $(compgen -e); do pylife_before[$pylife_name]=${!pylife_name}; done

pylife_quote() {
    local text=$1 LC_ALL=C code char escaped
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    if [[ $text == *[[:cntrl:]]* ]]; then
        for code in {1..31} 127; do
            printf -v escaped '\\u%04x' "$code"
            printf -v char "\\x${escaped:4}"
            text=${text//"$char"/"$escaped"}
        done
    fi
    printf '"%s"' "$text"
}

export HOME="${CNB_APP_DIR:-$PWD}"
{
    for pylife_name in "$HOME"/.profile.d/* "$HOME"/.profile; do
        [ -f "$pylife_name" ] && . "$pylife_name"
    done
} >&2 3>&-
set +eu
IFS=$' \t\n'

for pylife_name in $(compgen -e); do
    case $pylife_name in _ | SHLVL | PWD | OLDPWD) continue ;; esac
    if [[ ! -v pylife_before[$pylife_name] || ${!pylife_name} != "${pylife_before[$pylife_name]}" ]]; then
        printf '%s = %s\n' "$pylife_name" "$(pylife_quote "${!pylife_name}")" >&3
    fi
done
exit 0
