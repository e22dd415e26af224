"""The command `completion`: scripts that let a shell ask `completing` what could stand where the cursor is."""

from __future__ import annotations

from typing import Final, Literal

from cyclopts import App

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.terminal import Terminal

COMMANDS: Final = ("completion",)

_EXAMPLES: Final = """Examples:
  zenflow completion bash > ~/.local/share/bash-completion/completions/zenflow
  zenflow completion zsh > "${fpath[1]}/_zenflow"
  zenflow completion fish > ~/.config/fish/completions/zenflow.fish
  source <(zenflow completion bash)     in this shell alone"""


def register(app: App, terminal: Terminal) -> None:
    """Add the command."""

    def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
        """Print a script that completes commands, options and names on TAB.

        It offers flows, steps and namespaces of the cluster that the line means, and
        waits for them no longer than 2 s. `kubectl zenflow` needs no script: kubectl
        finds kubectl_complete-zenflow on the PATH. Exit code 0.

        Parameters
        ----------
        shell
            The shell that reads the script.
        """
        terminal.text(SCRIPTS[shell])
        return exits.OK

    app.command(completion, help_epilogue=_EXAMPLES)


_BASH: Final = r"""# Completion of zenflow for bash 3.2 and later.

_zenflow() {
  local program value about line="${COMP_LINE:0:COMP_POINT}" breaks="${COMP_WORDBREAKS//[^=:]/}"
  program="$(type -P -- "$1")" || program=zenflow
  # bash takes a word apart at = and :, and puts what it is told in the place of the last part only.
  local word="${line##*[[:space:]]}"
  local current="$word"
  [[ -n "$breaks" ]] && current="${word##*[$breaks]}"
  local typed=$((${#word} - ${#current}))
  COMPREPLY=()
  while IFS=$'\t' read -r value about; do
    case "$value" in
      :0)
        compopt -o filenames 2>/dev/null
        while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$current")
        ;;
      :*) ;;
      *) COMPREPLY+=("$(printf '%q' "${value:typed}")") ;;
    esac
  done < <("$program" __complete --line "$line" 2>/dev/null)
}

complete -F _zenflow zenflow
"""

_ZSH: Final = r"""#compdef zenflow
# Completion of zenflow for zsh.

_zenflow() {
  local line value about paths=no
  local -a offered
  for line in "${(@f)$("${words[1]}" __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
    value="${line%%$'\t'*}"
    about="${line#*$'\t'}"
    case "$value" in
      :0) paths=yes ;;
      :*|'') ;;
      "$line") offered+=("${value//:/\\:}") ;;
      *) offered+=("${value//:/\\:}:$about") ;;
    esac
  done
  (( $#offered )) && _describe zenflow offered
  [[ $paths == yes ]] && _files
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _zenflow "$@"
else
  compdef _zenflow zenflow
fi
"""

_FISH: Final = r"""# Completion of zenflow for fish.

function __zenflow_complete
    set -l typed (commandline -opc)
    for line in ($typed[1] __complete $typed[2..-1] (commandline -ct) 2>/dev/null)
        switch $line
            case ':0'
                __fish_complete_path (commandline -ct)
            case ':*'
            case '*'
                echo $line
        end
    end
end

complete -c zenflow -f -a '(__zenflow_complete)'
"""

SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
