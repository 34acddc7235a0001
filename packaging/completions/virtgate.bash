# Completion of virtgate for bash, which finds it in bash-completion's folder by its name.

# The names of [targets] in the configuration of --config, or the usual one, as far as it can be read.
_virtgate_targets() {
  local i config=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    [[ ${COMP_WORDS[i]} == --config ]] || continue
    [[ ${COMP_WORDS[i + 1]} != = ]] || ((++i))
    config=(--config "${COMP_WORDS[i + 1]/#\~/$HOME}")
  done
  virtgate aliases "${config[@]}" 2>/dev/null | sed -nE 's/^ *"([^="]+)=.*/\1/p'
}

# Typed in any case.
_virtgate_procedures() {
  mapfile -t COMPREPLY < <(compgen -W "$(virtgate policy list 2>/dev/null | grep -oE '[A-Z]+_[A-Z_0-9]+' | sort -u)" \
    -- "${1^^}")
}

_virtgate() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command='' word options=''
  COMPREPLY=()

  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $command:$word in
      :serve | :resolve | :ping | :aliases | :status | :reload | :policy | :bridge) command=$word ;;
      policy:list | policy:show | policy:matrix | policy:explain) command="policy $word" ;;
    esac
  done

  case $previous in
    --config | --socket | --via | --gate-socket | --listen | --control)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --user)
      mapfile -t COMPREPLY < <(compgen -u -- "$current")
      return
      ;;
    --group)
      mapfile -t COMPREPLY < <(compgen -g -- "$current")
      return
      ;;
    --through)
      mapfile -t COMPREPLY < <(compgen -W "$(_virtgate_targets)" -- "$current")
      return
      ;;
    --target)
      if [[ $command == 'policy '* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_virtgate_targets)" -- "$current")
      fi
      return
      ;;
    --log-level)
      mapfile -t COMPREPLY < <(compgen -W 'error warning info debug' -- "$current")
      return
      ;;
    -n | --count | --flags | --connect)
      return
      ;;
  esac

  case $command in
    '') options='-h --help -V --version -v --verbose serve resolve ping aliases status reload policy bridge' ;;
    serve) options='-h --help --config --listen --target --log-level --check --strict --json' ;;
    resolve) options='-h --help --json -r --read-only --config' ;;
    ping) options='-h --help -n --count --json --insecure --config' ;;
    aliases) options='-h --help --config --socket --install' ;;
    status) options='-h --help --json --watch --control' ;;
    reload) options='-h --help --control' ;;
    policy) options='-h --help list show matrix explain' ;;
    'policy list') options='-h --help --user --group --target --config --json' ;;
    'policy show') options='-h --help --user --group --target --config --json' ;;
    'policy matrix') options='-h --help --target --config --json' ;;
    'policy explain') options='-h --help --user --group --target --flags --config' ;;
    bridge) options='-h --help --config --via --unfiltered --insecure --connect --through --gate-socket' ;;
  esac

  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current" | grep -e ^-)
    return
  fi
  case $command in
    '' | policy) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current" | grep -ve ^-) ;;
    ping | resolve | bridge) mapfile -t COMPREPLY < <(compgen -W "$(_virtgate_targets)" -- "$current") ;;
    'policy explain' | 'policy list') [[ -z $current ]] || _virtgate_procedures "$current" ;;
  esac
}

complete -F _virtgate virtgate
