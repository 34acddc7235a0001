# Completion of virtgate for fish.

# The names of [targets] in the configuration of --config, or the usual one, as far as it can be read.
function __virtgate_targets
    set -l words (commandline -opc)
    set -l config
    for i in (seq (count $words))
        if test "$words[$i]" = --config; and set -q words[(math $i + 1)]
            set config --config $words[(math $i + 1)]
        else if string match -q -- '--config=*' $words[$i]
            set config --config (string replace -- --config= '' $words[$i])
        end
    end
    virtgate aliases $config 2>/dev/null | string replace -rf '^ *"([^="]+)=.*' '$1'
end

function __virtgate_procedures
    virtgate policy list 2>/dev/null | string match -ra '[A-Z]+_[A-Z_0-9]+' | sort -u
end

# The command that has been given, of one word or two.
function __virtgate_in
    set -l command
    for word in (commandline -opc)[2..-1]
        switch "$command:$word"
            case :serve :resolve :ping :aliases :status :reload :policy :bridge
                set command $word
            case policy:list policy:show policy:matrix policy:explain
                set command "policy $word"
        end
    end
    test "$command" = "$argv[1]"
end

complete -c virtgate -f
complete -c virtgate -s h -l help -d 'Say what can be given'
complete -c virtgate -n '__virtgate_in ""' -s V -l version -d 'Print the version'
complete -c virtgate -n '__virtgate_in ""' -s v -l verbose -d 'Log more'

complete -c virtgate -n '__virtgate_in ""' -a serve -d 'Run the gate'
complete -c virtgate -n '__virtgate_in serve' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in serve' -l listen -rF -d 'Additional socket'
complete -c virtgate -n '__virtgate_in serve' -l target -x -d 'Additional target, NAME=URI'
complete -c virtgate -n '__virtgate_in serve' -l log-level -xa 'error warning info debug' -d 'Minimum log level'
complete -c virtgate -n '__virtgate_in serve' -l check -d 'Report mistakes and doubts, and end'
complete -c virtgate -n '__virtgate_in serve' -l strict -d 'With --check, fail on warnings too'
complete -c virtgate -n '__virtgate_in serve' -l json -d 'With --check, print one JSON object'

complete -c virtgate -n '__virtgate_in ""' -a resolve -d 'Say what a URI means'
complete -c virtgate -n '__virtgate_in resolve' -l json -d 'Print one JSON object'
complete -c virtgate -n '__virtgate_in resolve' -s r -l read-only -d 'As a client that opens read-only'
complete -c virtgate -n '__virtgate_in resolve' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in resolve' -a '(__virtgate_targets)'

complete -c virtgate -n '__virtgate_in ""' -a ping -d 'Open a connection and time it'
complete -c virtgate -n '__virtgate_in ping' -s n -l count -x -d 'Calls to time'
complete -c virtgate -n '__virtgate_in ping' -l json -d 'Print one JSON object'
complete -c virtgate -n '__virtgate_in ping' -l insecure -d 'Accept what is not protected'
complete -c virtgate -n '__virtgate_in ping' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in ping' -a '(__virtgate_targets)'

complete -c virtgate -n '__virtgate_in ""' -a aliases -d 'Print uri_aliases for libvirt.conf'
complete -c virtgate -n '__virtgate_in aliases' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in aliases' -l socket -rF -d 'Socket of the gate'
complete -c virtgate -n '__virtgate_in aliases' -l install -d 'Write them into libvirt.conf'

complete -c virtgate -n '__virtgate_in ""' -a status -d 'Show what the gate does'
complete -c virtgate -n '__virtgate_in status' -l json -d 'Print one JSON object'
complete -c virtgate -n '__virtgate_in status' -l watch -d 'Refresh every second'
complete -c virtgate -n '__virtgate_in status' -l control -rF -d 'Control socket of the gate'

complete -c virtgate -n '__virtgate_in ""' -a reload -d 'Have the gate read its configuration again'
complete -c virtgate -n '__virtgate_in reload' -l control -rF -d 'Control socket of the gate'

complete -c virtgate -n '__virtgate_in ""' -a policy -d 'Show what may pass'
complete -c virtgate -n '__virtgate_in policy' -a list -d 'Print every procedure'
complete -c virtgate -n '__virtgate_in policy' -a show -d 'Say what a user may read'
complete -c virtgate -n '__virtgate_in policy' -a matrix -d 'Print who may read what'
complete -c virtgate -n '__virtgate_in policy' -a explain -d 'Say which rule decides'
complete -c virtgate -n '__virtgate_in "policy list"' -l user -xa '(__fish_complete_users)' -d 'Who calls'
complete -c virtgate -n '__virtgate_in "policy list"' -l group -xa '(__fish_complete_groups)' -d 'A group besides'
complete -c virtgate -n '__virtgate_in "policy list"' -l target -xa '(__virtgate_targets)' -d 'The target'
complete -c virtgate -n '__virtgate_in "policy list"' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in "policy list"' -l json -d 'Print one JSON array'
complete -c virtgate -n '__virtgate_in "policy list"' -a '(__virtgate_procedures)'
complete -c virtgate -n '__virtgate_in "policy show"' -l user -xa '(__fish_complete_users)' -d 'Who calls'
complete -c virtgate -n '__virtgate_in "policy show"' -l group -xa '(__fish_complete_groups)' -d 'A group besides'
complete -c virtgate -n '__virtgate_in "policy show"' -l target -xa '(__virtgate_targets)' -d 'The target'
complete -c virtgate -n '__virtgate_in "policy show"' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in "policy show"' -l json -d 'Print one JSON object'
complete -c virtgate -n '__virtgate_in "policy matrix"' -l target -xa '(__virtgate_targets)' -d 'The target'
complete -c virtgate -n '__virtgate_in "policy matrix"' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in "policy matrix"' -l json -d 'Print one JSON array'
complete -c virtgate -n '__virtgate_in "policy explain"' -l user -xa '(__fish_complete_users)' -d 'Who calls'
complete -c virtgate -n '__virtgate_in "policy explain"' -l group -xa '(__fish_complete_groups)' -d 'A group besides'
complete -c virtgate -n '__virtgate_in "policy explain"' -l target -xa '(__virtgate_targets)' -d 'The target'
complete -c virtgate -n '__virtgate_in "policy explain"' -l flags -x -d 'Flags of the call'
complete -c virtgate -n '__virtgate_in "policy explain"' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in "policy explain"' -a '(__virtgate_procedures)'

complete -c virtgate -n '__virtgate_in ""' -a bridge -d 'Join a client to a driver'
complete -c virtgate -n '__virtgate_in bridge' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in bridge' -l via -rF -d 'Socket of the running gate'
complete -c virtgate -n '__virtgate_in bridge' -l unfiltered -d 'Let everything pass'
complete -c virtgate -n '__virtgate_in bridge' -l insecure -d 'Accept what is not protected'
complete -c virtgate -n '__virtgate_in bridge' -l connect -x -d 'Join to a host and port'
complete -c virtgate -n '__virtgate_in bridge' -l through -xa '(__virtgate_targets)' -d 'Target to go through'
complete -c virtgate -n '__virtgate_in bridge' -l gate-socket -rF -d 'Gate for a local Xen'
complete -c virtgate -n '__virtgate_in bridge' -a '(__virtgate_targets)'
