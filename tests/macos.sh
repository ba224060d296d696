#!/usr/bin/env bash
# What somebody with a Mac runs, in five minutes, so that there is a word on macOS from a Mac. The output can be pasted into an issue: it
# names no user and no directory but a temporary one.
#
#     tests/macos.sh                      builds wave first (cargo build --release)
#     WAVE=DIR/wave tests/macos.sh        for a program that is there, such as that of .ci/macos
#     WASI_TESTSUITE=DIR tests/macos.sh   runs the official suite, too: a checkout of github.com/WebAssembly/wasi-testsuite, branch
#                                         prod/testsuite-base
#
# On Linux it runs what is not about macOS. It is for the bash 3.2 and the tools that macOS has.
set -u
# Nothing reads what is typed meanwhile.
exec </dev/null
cd "$(dirname "$0")/.." || exit 2
unset CDPATH
export LC_ALL=C

if [ -z "${WAVE:-}" ]; then
  cargo build --release --quiet || exit 2
  WAVE=$PWD/target/release/wave
fi
work=$(mktemp -d) || exit 2
work=$(cd "$work" && pwd -P)
listener=
trap 'rm -rf "$work"; if [ -n "$listener" ]; then kill "$listener" 2>/dev/null; fi' EXIT
mac=
if [ "$(uname -s)" = Darwin ]; then mac=yes; fi
passed=0 failed=0

# result NAME WORD DETAIL: prints a line for a check, and the output of one that failed.
result() {
  if [ "$2" = ok ]; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "$1"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s: %s\n' "$1" "$3"
    sed 's/^/        | /' "$work/output"
  fi
}

# expect NAME STATUS TEXT COMMAND...: the command ends with this status, and TEXT is in what it prints.
expect() {
  local name=$1 status=$2 text=$3 got
  shift 3
  "$@" >"$work/output" 2>&1
  got=$?
  if [ "$got" != "$status" ]; then
    result "$name" no "status $got, not $status"
  elif [ -n "$text" ] && ! grep -qF -- "$text" "$work/output"; then
    result "$name" no "it does not print: $text"
  else
    result "$name" ok
  fi
}

standard() {
  "$WAVE" --sandbox standard run "$@"
}

# deny NAME COMMAND...: the command, which works outside, fails under the profile.
deny() {
  local name=$1
  shift
  if ! "$@" >"$work/output" 2>&1; then
    result "$name" no 'it does not work without a profile, so it proves nothing'
  elif under "$@" >"$work/output" 2>&1; then
    result "$name" no 'the profile allows it'
  else
    result "$name" ok
  fi
}

# permit NAME COMMAND...: the command works under the profile.
permit() {
  local name=$1
  shift
  if under "$@" >"$work/output" 2>&1; then result "$name" ok; else result "$name" no "status $?"; fi
}

# Runs a program under the profile that wave writes for a policy, as if the program were wave.
under() {
  sandbox-exec -p "$(sed "s#/usr/local/bin/wave#$1#g" "$work/profile")" "$@"
}

echo "wave on $(uname -s) $(uname -r), $(uname -m)"
if [ -n "$mac" ]; then
  echo "macOS $(sw_vers -productVersion); Rosetta: $(sysctl -n sysctl.proc_translated 2>/dev/null || echo no)"
fi
"$WAVE" --version

echo
echo '# Files for the programs'
chmod 755 "$work"
mkdir "$work/in" "$work/out"
# A run that root starts is another user.
chmod 777 "$work/out"
echo 'a granted file' >"$work/in/file"
echo 'a secret' >"$work/secret"
ln -s ../secret "$work/in/leads-out"
ln -s "$work/in/file" "$work/in/absolute"
ln -s in "$work/link"
cat >"$work/make.wat" <<'WAT'
;; Creates the file `made` in its first directory. The exit code is the error of path_open.
(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "made")
  (func (export "_start")
    ;; Creation: 1. The right to write: 64.
    (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1) (i64.const 64) (i64.const 0)
      (i32.const 0) (i32.const 8)))))
WAT
echo '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))' >"$work/loop.wat"
echo '(module (memory (export "memory") 1) (func $f (export "_start") (call $f)))' >"$work/deep.wat"
echo '(module (memory (export "memory") 1) (func (export "_start") (drop (i32.load (i32.const 70000)))))' >"$work/far.wat"

echo
echo '# The commands of the README'
expect 'hello' 0 'Hello from inside the sandbox!' standard examples/hello.wat
expect 'hello without a sandbox' 0 'Hello from inside the sandbox!' "$WAVE" --sandbox off run examples/hello.wat
expect 'a granted directory' 0 'a granted file' standard --dir "$work/in::/in::ro" examples/show.wat file
expect 'a path that leads out' 76 'NOTCAPABLE' standard --trace=fs --dir "$work/in::/in::ro" examples/show.wat ../secret
expect 'the report' 0 'sandbox: standard' standard --report examples/hello.wat
expect 'help' 0 'Usage' "$WAVE" run --help

echo
echo '# Endings'
expect 'an exit code' 3 '' standard examples/exit.wat
expect 'a trap' 134 'wave: trap' standard examples/trap.wat
expect 'a load past the memory' 134 'out of bounds memory access' standard "$work/far.wat"
expect 'a recursion without end' 134 'call stack exhausted' standard "$work/deep.wat"
expect 'a loop with a time limit' 124 'time limit' standard --timeout 1s "$work/loop.wat"
expect 'a loop with a limit on processor time' 124 'processor time limit' standard --cpu-time 1s "$work/loop.wat"
expect 'a loop with fuel' 124 'fuel of 100000 used up' standard --fuel 100000 "$work/loop.wat"

echo
echo '# Escapes that the monitor stops'
expect 'a link that leads out' 76 '' standard --dir "$work/in::/in::ro" examples/show.wat leads-out
expect 'a link to an absolute path' 76 '' standard --dir "$work/in::/in::ro" examples/show.wat absolute
expect 'an absolute path' 76 '' standard --dir "$work/in::/in::ro" examples/show.wat /etc/hosts
expect 'no directory' 8 '' standard examples/show.wat file
expect 'creating under ::ro' 76 '' standard --dir "$work/in::/in::ro" "$work/make.wat"
expect 'and nothing was made' 1 '' test -e "$work/in/made"
expect 'creating under ::rw' 0 '' standard --dir "$work/out::/out::rw" "$work/make.wat"
expect 'and the file was made' 0 '' test -e "$work/out/made"
rm -f "$work/out/made"
expect 'a grant by way of a link' 0 'a granted file' standard --dir "$work/link::/in::ro" examples/show.wat file

echo
echo '# A policy as a profile'
"$WAVE" policy gen --sandbox standard examples/show.wat >"$work/policy.toml" 2>"$work/output"
cat >>"$work/policy.toml" <<TOML
[[fs]]
host = "$work/in"
guest = "/in"
access = "ro"
[[fs]]
host = "$work/out"
guest = "/out"
access = "rw"
TOML
"$WAVE" policy export --format seatbelt "$work/policy.toml" 2>"$work/output" | tee "$work/profile"
expect 'it grants the directory' 0 '' grep -qF "(allow file-read* (subpath \"$work/in\"))" "$work/profile"

if [ -n "$mac" ]; then
  echo
  echo '# What macOS does not have'
  expect 'strict' 125 'cannot filter system calls on macOS' "$WAVE" run examples/hello.wat
  expect 'the profile is reported' 0 'seatbelt' standard --report examples/hello.wat
  expect 'the mark without a profile' 125 'self-test' "$WAVE" '-- inside-seatbelt' --sandbox standard run examples/hello.wat
  expect 'doctor' 1 'sandbox-exec' "$WAVE" doctor
  expect 'containers' 125 'only Linux has' "$WAVE" oci list
  expect 'a limit on the whole process' 125 'control groups' standard --max-rss 64M examples/hello.wat

  echo
  echo '# The profile: each access works outside, and fails under it unless it is granted'
  permit 'reading a granted file' /bin/cat "$work/in/file"
  deny 'reading another file' /bin/cat "$work/secret"
  deny 'reading a file of the system' /bin/cat /private/etc/passwd
  deny 'listing a directory that is not granted' /bin/ls "$work"
  permit 'making a file where that is granted' /usr/bin/touch "$work/out/new"
  permit 'removing it' /bin/rm "$work/out/new"
  deny 'making a file elsewhere' /usr/bin/touch "$work/new"
  deny 'making a file under ro' /usr/bin/touch "$work/in/new"
  : >"$work/out/kept"
  deny 'changing the mode of a granted file' /bin/chmod 600 "$work/out/kept"
  deny 'setting an attribute of a granted file' /usr/bin/xattr -w user.a b "$work/out/kept"
  deny 'a symbolic link elsewhere' /bin/ln -sf in "$work/new-link"
  deny 'a hard link to another file' /bin/ln -f "$work/secret" "$work/out/secret"
  deny 'starting a program' /usr/bin/env /usr/bin/true
  deny 'a process' /bin/bash -c '(exit 0)'
  deny 'a signal to another process' /bin/kill -0 $$
  deny 'a number that identifies the machine' /usr/sbin/sysctl -n kern.hostname
  deny 'the list of processes' /usr/bin/pgrep -q .
  /usr/bin/nc -lk 127.0.0.1 47113 >/dev/null 2>&1 &
  listener=$!
  sleep 1
  deny 'a connection' /usr/bin/nc -z -w 2 127.0.0.1 47113
else
  echo
  echo 'NOT RUN: not a Mac: the refusals of macOS, and the accesses under its profile'
fi

echo
if [ -z "${WASI_TESTSUITE:-}" ]; then
  echo 'NOT RUN: the official suite: WASI_TESTSUITE is not set'
elif ! command -v python3 >/dev/null; then
  echo 'NOT RUN: the official suite: there is no python3'
else
  echo '# The official suite'
  # As root on Linux, each run is a user who may not write to the directories of the suite.
  expect 'wasi-testsuite' 0 'all end as the suite says' python3 - "$WAVE" "$WASI_TESTSUITE" <<'PYTHON'
import json, pathlib, subprocess, sys

wave, suite = sys.argv[1:]
programs = sorted(pathlib.Path(suite, "tests").glob("*/testsuite/wasm32-wasip1/*.wasm"))
wrong = 0
for program in programs:
    manifest = program.with_suffix(".json")
    says = json.loads(manifest.read_text()) if manifest.exists() else {}
    words = [wave, "--quiet", "--sandbox", "standard", "run"]
    for name, value in says.get("env", {}).items():
        words += ["--env", name + "=" + value]
    if "root" in says:
        words += ["--dir", str(program.with_name(says["root"])) + "::/"]
    words += [str(program)] + says.get("args", [])
    run = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seen = {"exit_code": run.returncode, "stdout": run.stdout.decode(), "stderr": run.stderr.decode()}
    expected = dict(says, exit_code=says.get("exit_code", 0))
    if any(seen[key] != expected[key] for key in seen if key in expected):
        wrong += 1
        print(program.name, seen)
print(len(programs), "programs,", wrong or "none", "other than expected" if wrong else "wrong: all end as the suite says")
sys.exit(bool(wrong or not programs))
PYTHON
  tail -n 1 "$work/output"
fi

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
