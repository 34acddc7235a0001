# Completion of virtgate for fish.

# The names of [targets] in the usual configuration, as far as it can be read.
function __virtgate_targets
    virtgate aliases 2>/dev/null | string replace -rf '^ *"([^="]+)=.*' '$1'
end

function __virtgate_procedures
    virtgate policy list 2>/dev/null | string match -ra '[A-Z]+_[A-Z_0-9]+' | sort -u
end

# The command that has been given, of one word or two.
function __virtgate_in
    set -l command
    for word in (commandline -opc)[2..-1]
        switch "$command:$word"
            case :serve :resolve :ping :aliases :status :policy :bridge
                set command $word
            case policy:list policy:explain
                set command "policy $word"
        end
    end
    test "$command" = "$argv[1]"
end

complete -c virtgate -f
complete -c virtgate -s h -l help -d 'Say what can be given'
complete -c virtgate -n '__virtgate_in ""' -l version -d 'Print the version'
complete -c virtgate -n '__virtgate_in ""' -s v -l verbose -d 'Log more'

complete -c virtgate -n '__virtgate_in ""' -a serve -d 'Run the gate'
complete -c virtgate -n '__virtgate_in serve' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in serve' -l listen -rF -d 'A socket to listen on besides'
complete -c virtgate -n '__virtgate_in serve' -l target -x -d 'A target besides, NAME=URI'
complete -c virtgate -n '__virtgate_in serve' -l log-level -xa 'error warning info debug' -d 'The least grave records to log'
complete -c virtgate -n '__virtgate_in serve' -l check -d 'Report every mistake, and end'

complete -c virtgate -n '__virtgate_in ""' -a resolve -d 'Say what a URI means'
complete -c virtgate -n '__virtgate_in resolve' -l json -d 'One JSON object'
complete -c virtgate -n '__virtgate_in resolve' -s r -l read-only -d 'As a client that opens read-only'
complete -c virtgate -n '__virtgate_in resolve' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in resolve' -a '(__virtgate_targets)'

complete -c virtgate -n '__virtgate_in ""' -a ping -d 'Open a connection and time it'
complete -c virtgate -n '__virtgate_in ping' -s n -l count -x -d 'Calls to time'
complete -c virtgate -n '__virtgate_in ping' -l json -d 'One JSON object'
complete -c virtgate -n '__virtgate_in ping' -l insecure -d 'Accept what is not protected'
complete -c virtgate -n '__virtgate_in ping' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in ping' -a '(__virtgate_targets)'

complete -c virtgate -n '__virtgate_in ""' -a aliases -d 'Print uri_aliases for libvirt.conf'
complete -c virtgate -n '__virtgate_in aliases' -l config -rF -d 'Configuration file'
complete -c virtgate -n '__virtgate_in aliases' -l socket -rF -d 'Socket of the gate'

complete -c virtgate -n '__virtgate_in ""' -a status -d 'Show what the gate does'
complete -c virtgate -n '__virtgate_in status' -l json -d 'One JSON object'
complete -c virtgate -n '__virtgate_in status' -l watch -d 'Go on showing it'
complete -c virtgate -n '__virtgate_in status' -l control -rF -d 'Control socket of the gate'

complete -c virtgate -n '__virtgate_in ""' -a policy -d 'Show what may pass'
complete -c virtgate -n '__virtgate_in policy' -a list -d 'Print every procedure'
complete -c virtgate -n '__virtgate_in policy' -a explain -d 'Say which rule decides'
complete -c virtgate -n '__virtgate_in "policy list"' -l json -d 'One JSON array'
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
