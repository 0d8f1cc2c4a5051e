//! The shell scripts that run inside a container. They use nothing but builtins where they must work when the sandbox has
//! reached its limit of processes.

/// Variable that marks a command and everything it starts.
pub(crate) const MARK: &str = "VIBEKIT_RUN";

/// Starts a program: `sh -c START sh CWD LOG PROGRAM ARGS…`.
///
/// Its first line of standard output is ours: `+PID` when the program is about to run, `-REASON` when it cannot. An
/// empty LOG runs it in place of the script; otherwise it goes on in the background, with its output in that file.
pub(crate) const START: &str = r#"
cd -- "$1" 2>/dev/null || { echo "-working_directory"; exit 0; }
log=$2
case $3 in
  */*)
    if [ ! -e "$3" ]; then echo "-not_found"; exit 0; fi
    if [ -d "$3" ] || [ ! -x "$3" ]; then echo "-not_executable"; exit 0; fi ;;
  *) command -v -- "$3" >/dev/null 2>&1 || { echo "-not_found"; exit 0; } ;;
esac
shift 2
if [ -n "$log" ]; then
  mkdir -p -- "${log%/*}" 2>/dev/null
  "$@" </dev/null >"$log" 2>&1 &
  echo "+$!"
  exit 0
fi
echo "+$$"
exec "$@"
"#;

/// Ends everything with a mark, and what descends from it: `sh -c STOP sh MARK TENTHS`, TERM, so many tenths of a
/// second, KILL. Prints `NUMBER` of processes that ran, their names one a line, and `ended` if none is left.
///
/// Descendants that have cleared their environment and left their parents at the same time are not found.
pub(crate) const STOP: &str = r#"
mark=$1
scan() {
  found=' '
  table=
  for place in /proc/[0-9]*; do
    pid=${place#/proc/}
    [ "$pid" = $$ ] && continue
    state=
    if read -r line <"$place/stat"; then
      line=${line##*) }
      state=${line%% *}
      line=${line#* }
      parent=${line%% *}
    fi
    case $state in Z | X | '') continue ;; esac
    table="$table $pid:$parent"
    marked=
    while read -r line || [ -n "$line" ]; do
      case $line in *"VIBEKIT_RUN=$mark"*) marked=1; break ;; esac
    done <"$place/environ"
    [ -z "$marked" ] || found="$found$pid "
  done
  more=1
  while [ -n "$more" ]; do
    more=
    for entry in $table; do
      pid=${entry%:*}
      case $found in *" $pid "*) continue ;; esac
      case $found in *" ${entry#*:} "*) found="$found$pid "; more=1 ;; esac
    done
  done
} 2>/dev/null
scan
set -- "$2" $found
tenths=$1
shift
echo $#
for pid in "$@"; do
  read -r name <"/proc/$pid/comm" && echo "$name"
done 2>/dev/null
[ $# = 0 ] || kill -TERM "$@" 2>/dev/null
while [ "$found" != ' ' ] && [ "$tenths" -gt 0 ]; do
  sleep 0.1 || exit 1
  tenths=$((tenths - 1))
  scan
done
rounds=0
while [ "$found" != ' ' ]; do
  kill -KILL $found 2>/dev/null
  rounds=$((rounds + 1))
  [ $rounds -lt 100 ] || exit 1
  [ $rounds -lt 3 ] || sleep 0.05 || exit 1
  scan
done
echo ended
"#;

/// Sends a signal: `sh -c SIGNAL sh NUMBER PID`.
pub(crate) const SIGNAL: &str = r#"kill -"$1" "$2""#;

/// Reads a file: `sh -c READ sh PATH`. The tests are for the sentence; what counts is the shell's own open.
pub(crate) const READ: &str = r#"[ ! -d "$1" ] || { echo "it is a directory" >&2; exit 1; }; exec cat <"$1""#;

/// Writes standard input to a file: `sh -c WRITE sh PATH`. The content appears at once or not at all.
pub(crate) const WRITE: &str = r#"
case $1 in */*) mkdir -p -- "${1%/*}" || exit 1 ;; esac
[ ! -d "$1" ] || { echo "it is a directory" >&2; exit 1; }
if [ -e "$1" ]; then exec cat >"$1"; fi
new=$1.vibekit-$$
trap 'rm -f -- "$new"' EXIT
cat >"$new" && mv -- "$new" "$1"
"#;

/// Lists a directory: `sh -c LIST sh PATH`. Gives `KIND SIZE NAME` records, each ended by NUL.
pub(crate) const LIST: &str = r#"
cd -- "$1" || exit 1
for name in * .[!.]* ..?*; do
  if [ -L "$name" ]; then kind=symlink
  elif [ -f "$name" ]; then kind=file
  elif [ -d "$name" ]; then kind=directory
  elif [ -e "$name" ]; then kind=other
  else continue; fi
  size=0
  [ $kind != file ] || size=$(stat -c %s -- "$name" 2>/dev/null || wc -c <"./$name")
  printf '%s %s %s\0' $kind "$size" "$name"
done
"#;

/// Removes a file or directory: `sh -c REMOVE sh PATH`.
pub(crate) const REMOVE: &str = r#"rm -rf -- "$1""#;
